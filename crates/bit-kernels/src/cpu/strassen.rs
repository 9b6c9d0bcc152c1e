//! How a product of matrices is put together from products of their parts: as it is, or by one level of Strassen's
//! algorithm in Winograd's form, which makes do with seven products of quarters instead of eight.
//!
//! With inputs `A` (pixels by depth), weights `B` (depth by channels) and outputs `C`, each in quarters:
//!
//! ```text
//! S1 = A21 + A22   T1 = B12 - B11   P1 = A11 B11   P5 = S1 T1   U2 = P1 + P6   C11 = P1 + P2
//! S2 = S1 - A11    T2 = B22 - T1    P2 = A12 B21   P6 = S2 T2   U3 = U2 + P7   C12 = U2 + P5 + P3
//! S3 = A11 - A21   T3 = B22 - B12   P3 = S4 B22    P7 = S3 T3                  C21 = U3 + P4
//! S4 = A12 - S2    T4 = B21 - T2    P4 = A22 T4                                C22 = U3 + P5
//! ```
//!
//! The quarters are those of two register tiles of pixels (a unit) and of two adjacent panels of channels (a group), so
//! that sums of products are made in registers and wait in a cache. Sums of weights are made in every forward, as are
//! those of inputs: reading them from memory would cost more.

use super::micro::BLOCK;
use super::shape::Geometry;
use super::simd::{Kernel, Simd};
use super::weights::Packed;

/// The products that make up a unit of pixels by a group of panels.
pub(super) struct Scheme {
    /// Parts that pixels, depth and channels are cut into.
    pub(super) side: usize,
    /// Units whose waiting sums stay in a first-level cache.
    pub(super) units_at_once: usize,
    /// The products in their order, which is also that of a unit's packed operands.
    pub(super) steps: &'static [Step],
}

/// A product of parts, and what becomes of it.
pub(super) struct Step {
    /// What the unit's operand is multiplied by.
    pub(super) weights: Weights,
    /// Whether what the first place holds is added.
    pub(super) add_first: bool,
    /// The place, of two, that keeps the sum so far.
    pub(super) keep: Option<usize>,
    /// Whether what the second place holds is then added.
    pub(super) add_second: bool,
    /// The part of the output, by pixels and channels, that this is.
    pub(super) out: Option<[usize; 2]>,
}

/// A part of a group's weights as they are packed, or one of the sums of them.
#[derive(Clone, Copy)]
pub(super) enum Weights {
    Part(usize),
    Sum(usize),
}

/// The product as it is.
static PLAIN: Scheme = Scheme {
    side: 1,
    units_at_once: usize::MAX,
    steps: &[step(Weights::Part(0), false, None, false, Some([0, 0]))],
};

/// Seven products instead of eight. A group's parts are `B11 B21 B12 B22`, its sums `T1 T2 T3 T4`, a unit's operands
/// `A11 A12 S2 S1 S4 S3 A22`.
static STRASSEN: Scheme = Scheme {
    side: 2,
    units_at_once: 8,
    steps: &[
        // P1; P2, which makes C11; P6, which makes U2; P5; P3, which makes C12; P7, which makes U3 and C22; P4 for C21.
        step(Weights::Part(0), false, Some(0), false, None),
        step(Weights::Part(1), true, None, false, Some([0, 0])),
        step(Weights::Sum(1), true, Some(0), false, None),
        step(Weights::Sum(0), false, Some(1), false, None),
        step(Weights::Part(3), true, None, true, Some([0, 1])),
        step(Weights::Sum(2), true, Some(0), true, Some([1, 1])),
        step(Weights::Sum(3), true, None, false, Some([1, 0])),
    ],
};

const fn step(
    weights: Weights,
    add_first: bool,
    keep: Option<usize>,
    add_second: bool,
    out: Option<[usize; 2]>,
) -> Step {
    Step {
        weights,
        add_first,
        keep,
        add_second,
        out,
    }
}

/// Depth, and pixels of an image, from which one product in eight is worth more than the sums.
const LEAST_DEPTH: usize = 64;
const LEAST_PIXELS: usize = 128;

impl Scheme {
    /// The better one for a convolution.
    pub(super) fn of(geometry: &Geometry, weights: &Packed) -> &'static Scheme {
        let (depth, width) = (geometry.depth(), weights.isa.panel_width());
        let whole = depth.is_multiple_of(2 * BLOCK) && weights.channels.is_multiple_of(2 * width);
        let enough = depth >= LEAST_DEPTH && geometry.output.pixels() >= LEAST_PIXELS;
        if whole && enough { &STRASSEN } else { &PLAIN }
    }

    /// Products summed for one output value in one step.
    pub(super) fn part_depth(&self, weights: &Packed) -> usize {
        weights.depth / self.side
    }

    /// Floats of each step's weights for one group.
    pub(super) fn part_len(&self, weights: &Packed) -> usize {
        self.part_depth(weights) * weights.isa.panel_width()
    }

    /// Floats of the sums of a group's weights.
    pub(super) fn sums_len(&self, weights: &Packed) -> usize {
        let sums = self
            .steps
            .iter()
            .filter(|step| matches!(step.weights, Weights::Sum(_)));
        sums.count() * self.sum_stride(weights)
    }

    /// Floats from one sum to the next: a line more than needed, as those a power of two apart would fall on the same
    /// cache sets.
    pub(super) fn sum_stride(&self, weights: &Packed) -> usize {
        self.part_len(weights) + BLOCK
    }

    /// Groups of panels.
    pub(super) fn groups(&self, weights: &Packed) -> usize {
        weights.count() / self.side
    }

    /// Floats of a unit's operands, with tiles of so many rows and floats of depth.
    pub(super) fn unit_len(&self, rows: usize, depth: usize) -> usize {
        self.steps.len() * rows * depth / self.side
    }
}

/// Computes the sums `T1 T2 T3 T4` of a group's parts.
pub(super) struct WeightSums {
    /// Floats of a part: whole vectors.
    pub(super) len: usize,
    pub(super) parts: *const f32,
    pub(super) sums: *mut f32,
    pub(super) sum_stride: usize,
}

impl Kernel for WeightSums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.len).step_by(S::LANES) {
            // SAFETY: the caller vouches for four parts of `len` floats and as many sums.
            unsafe {
                let [b11, b21, b12, b22] =
                    [0, 1, 2, 3].map(|part| S::load(self.parts.add(part * self.len + at)));
                let t1 = S::sub(b12, b11);
                let t2 = S::sub(b22, t1);
                let sums = [t1, t2, S::sub(b22, b12), S::sub(b21, t2)];
                for (sum, value) in sums.into_iter().enumerate() {
                    S::store(self.sums.add(sum * self.sum_stride + at), value);
                }
            }
        }
    }
}

/// Completes the operands of a unit, `A11 A12 S2 S1 S4 S3 A22`, of which `S3` is `A21` before.
pub(super) struct InputSums {
    /// Floats of an operand: whole vectors.
    pub(super) len: usize,
    pub(super) operands: *mut f32,
}

impl Kernel for InputSums {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.len).step_by(S::LANES) {
            // SAFETY: the caller vouches for seven operands of `len` floats.
            unsafe {
                let place = |operand: usize| self.operands.add(operand * self.len + at);
                let [a11, a12, a21, a22] = [0, 1, 5, 6].map(|operand| S::load(place(operand)));
                let s1 = S::add(a21, a22);
                let s2 = S::sub(s1, a11);
                S::store(place(2), s2);
                S::store(place(3), s1);
                S::store(place(4), S::sub(a12, s2));
                S::store(place(5), S::sub(a11, a21));
            }
        }
    }
}
