//! One vector interface, a file for each instruction set, and [`Isa`] to choose between them at run time.
//!
//! A kernel is written once, generic over [`Simd`], and compiled for every instruction set: `Isa::run` enters
//! a function with the right `#[target_feature]`, into which the kernel is inlined.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod plain;

use std::sync::OnceLock;

/// The environment variable that overrides the instruction set: `plain`, `avx2`, `avx512` or `neon`.
pub const ISA_VARIABLE: &str = "BIT_BURN_ISA";

/// Vectors of `f32`, as one instruction set has them.
pub(super) trait Simd: Copy + 'static {
    /// One vector register.
    type V: Copy;
    /// Floats in a vector.
    const LANES: usize;
    /// Rows of the largest micro-tile; two columns of vectors by this many rows fill the register file.
    const ROWS: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads `LANES` floats; no alignment is asked for.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes `LANES` floats; no alignment is asked for.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `a + b`
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger one; `b` where either is NaN, so that `max(zero, x)` keeps NaN as torch's ReLU does.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `v` in the lanes where `of` is larger than zero, zero in the others.
    unsafe fn keep_positive(of: Self::V, v: Self::V) -> Self::V;
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Asks for the cache line at `at` (any address, never read) to be brought into the second-level cache.
    unsafe fn prefetch(at: *const f32);
    /// Asks for the cache line at `at` (any address) to be brought near for writing.
    unsafe fn prefetch_write(at: *const f32);
    /// Runs `kernel` compiled for this instruction set, as a function of its own.
    unsafe fn enter<K: Kernel>(kernel: K) -> K::Output;
}

/// A computation that is compiled for every instruction set.
pub(super) trait Kernel {
    /// What it returns.
    type Output;
    /// The computation; implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has `S`'s instructions, and what the implementation asks of its fields holds.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set that kernels can be compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Rust without intrinsics; runs everywhere.
    Plain,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512F.
    Avx512,
    /// 64-bit Arm.
    Neon,
}

impl Isa {
    const ALL: [(Isa, &'static str); 4] = [
        (Isa::Avx512, "avx512"),
        (Isa::Avx2, "avx2"),
        (Isa::Neon, "neon"),
        (Isa::Plain, "plain"),
    ];

    /// The fastest one this processor has, or what [`ISA_VARIABLE`] names if the processor has that.
    pub fn active() -> Isa {
        static ACTIVE: OnceLock<Isa> = OnceLock::new();
        *ACTIVE.get_or_init(|| {
            let wanted = std::env::var(ISA_VARIABLE).unwrap_or_default();
            let named = Isa::ALL
                .into_iter()
                .find(|(isa, name)| *name == wanted && isa.is_available());
            named.map_or_else(|| Isa::available()[0], |(isa, _)| isa)
        })
    }

    /// Those this processor has, the fastest first; never empty.
    pub fn available() -> Vec<Isa> {
        Isa::ALL
            .into_iter()
            .map(|(isa, _)| isa)
            .filter(|isa| isa.is_available())
            .collect()
    }

    /// Its name in [`ISA_VARIABLE`].
    pub fn name(self) -> &'static str {
        Isa::ALL
            .into_iter()
            .find(|(isa, _)| *isa == self)
            .map_or("plain", |(_, name)| name)
    }

    fn is_available(self) -> bool {
        match self {
            Isa::Plain => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    ///
    /// # Safety
    /// What the kernel asks of its fields holds.
    ///
    /// # Panics
    /// When the processor lacks the instruction set.
    pub(super) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        assert!(
            self.is_available(),
            "instruction set {} is not available on this processor",
            self.name()
        );
        // SAFETY: the processor has the instructions (just checked); the kernel's own conditions are the caller's.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => avx2::Avx2::enter(kernel),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512 => avx512::Avx512::enter(kernel),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon => neon::Neon::enter(kernel),
                _ => plain::Plain::enter(kernel),
            }
        }
    }

    /// Output channels a packed panel of weights holds: two vectors.
    pub(super) fn panel_width(self) -> usize {
        2 * self.lanes()
    }

    /// Floats in a vector.
    pub(super) fn lanes(self) -> usize {
        match self {
            Isa::Plain | Isa::Neon => 4,
            Isa::Avx2 => 8,
            Isa::Avx512 => 16,
        }
    }

    /// Rows of the largest micro-tile.
    pub(super) fn tile_rows(self) -> usize {
        match self {
            Isa::Plain => plain::Plain::ROWS,
            Isa::Avx2 => 6,
            Isa::Avx512 | Isa::Neon => 14,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shape;
    impl Kernel for Shape {
        type Output = (usize, usize);
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> (usize, usize) {
            (S::LANES, S::ROWS)
        }
    }

    #[test]
    fn tables_agree_with_the_instruction_sets() {
        for isa in Isa::available() {
            // SAFETY: `Shape` touches no memory.
            let shape = unsafe { isa.run(Shape) };
            assert_eq!(shape, (isa.lanes(), isa.tile_rows()), "{isa:?}");
        }
    }

    #[test]
    fn plain_rust_is_always_available_and_last() {
        assert_eq!(Isa::available().last(), Some(&Isa::Plain));
    }
}
