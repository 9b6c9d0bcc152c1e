//! The micro-kernel of weight gradients: sums of outer products of rows of inputs by rows of gradients.
//!
//! Both are packed `[depth][values]`, so that a step of depth reads two short rows; the sums stay in registers.

use crate::cpu::simd::{Kernel, Simd};

/// One tile of the sums: `rows` values of the inputs by a panel of the gradients' values.
#[derive(Clone, Copy)]
pub(super) struct Outer {
    /// Products summed for one value.
    pub(super) depth: usize,
    /// Values of the inputs, at most the instruction set's `ROWS`.
    pub(super) rows: usize,
    /// `[depth][rows]`
    pub(super) inputs: *const f32,
    /// `[depth][panel width]`
    pub(super) gradients: *const f32,
    /// The first sum; a row is `stride` floats after the one above.
    pub(super) to: *mut f32,
    /// Floats from one row of sums to the next.
    pub(super) stride: usize,
    /// Whether there are sums already, to be added to.
    pub(super) add: bool,
}

impl Kernel for Outer {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        macro_rules! by_rows {
            ($($rows:literal)*) => {
                match self.rows {
                    // SAFETY: `S` is in use already, so the processor has it.
                    $($rows if $rows <= S::ROWS => unsafe { S::enter(Rows::<$rows>(self)) },)*
                    rows => unreachable!("a micro-tile has 1 to {} rows, not {rows}", S::ROWS),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    }
}

/// A tile of a number of rows that the compiler knows.
struct Rows<const R: usize>(Outer);

impl<const R: usize> Kernel for Rows<R> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Outer { depth, stride, .. } = self.0;
        let width = 2 * S::LANES;
        // SAFETY: the fields' contract.
        unsafe {
            let mut sums = [[S::splat(0.0); 2]; R];
            let (mut inputs, mut gradients) = (self.0.inputs, self.0.gradients);
            for _ in 0..depth / 4 {
                step::<S, R>(inputs, gradients, &mut sums);
                step::<S, R>(inputs.add(R), gradients.add(width), &mut sums);
                step::<S, R>(inputs.add(2 * R), gradients.add(2 * width), &mut sums);
                step::<S, R>(inputs.add(3 * R), gradients.add(3 * width), &mut sums);
                inputs = inputs.add(4 * R);
                gradients = gradients.add(4 * width);
            }
            for k in 0..depth % 4 {
                step::<S, R>(inputs.add(k * R), gradients.add(k * width), &mut sums);
            }
            for (row, sums) in sums.iter().enumerate() {
                for (half, &sum) in sums.iter().enumerate() {
                    let to = self.0.to.add(row * stride + half * S::LANES);
                    S::store(to, if self.0.add { S::add(S::load(to), sum) } else { sum });
                }
            }
        }
    }
}

/// One step of depth: each value of the inputs times two vectors of gradients.
#[inline(always)]
unsafe fn step<S: Simd, const R: usize>(
    inputs: *const f32,
    gradients: *const f32,
    sums: &mut [[S::V; 2]; R],
) {
    // SAFETY: `inputs` holds `R` values and `gradients` two vectors.
    unsafe {
        let columns = [S::load(gradients), S::load(gradients.add(S::LANES))];
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = S::splat(*inputs.add(row));
            sums[0] = S::fma(value, columns[0], sums[0]);
            sums[1] = S::fma(value, columns[1], sums[1]);
        }
    }
}
