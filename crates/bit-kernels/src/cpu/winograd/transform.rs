//! The one-dimensional transforms of Winograd's algorithms (Lavin & Gray 2016). Applied to columns and then to rows they
//! make the two-dimensional ones.
//!
//! A tile of three outputs does without one of the points, so that it shares the filters of the others; factors that differ
//! are in the inputs' transforms.

use crate::cpu::simd::Simd;

/// The most outputs a tile has on a side in any scheme.
pub(super) const OUT: usize = 4;
/// The most taps a filter has on a side.
pub(super) const TAPS: usize = 4;
/// Points a transformed filter has on a side.
pub(super) const FILTER_SIDE: usize = 6;
/// The most inputs, and products, any scheme has on a side.
pub(super) const MOST: usize = 9;

/// One way to get a few neighbouring outputs of a filter from fewer products than one a tap and output.
pub(super) trait Scheme: Copy + Send + Sync {
    /// Outputs of a tile on a side, unless it is short by one.
    const OUT: usize;
    /// Whether tiles may be short.
    const SHORT: bool;
    /// Taps of a filter on a side.
    const TAPS: usize;
    /// Inputs, and products, of a tile on a side.
    const SIDE: usize;
    /// Steps from one output to the next.
    const STRIDE: usize;

    /// Transforms the first `SIDE` values.
    unsafe fn input<S: Simd>(values: [S::V; MOST]) -> [S::V; MOST];
    /// Transforms the first `SIDE - STRIDE` values of a short tile; the products that it lacks are nothing.
    unsafe fn input_short<S: Simd>(values: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe { Self::input::<S>(values) }
    }
    /// Whether a short tile lacks this product.
    fn lacks(_product: usize) -> bool {
        false
    }
    /// Transforms the first `TAPS` values. Product `i` takes filter point `min(i, FILTER_SIDE - 1)`.
    unsafe fn filter<S: Simd>(taps: [S::V; TAPS]) -> [S::V; FILTER_SIDE];
    /// Turns the first `SIDE` sums of products into outputs.
    unsafe fn output<S: Simd>(sums: [S::V; MOST]) -> [S::V; OUT];
    /// Turns the sums of products that a short tile has into outputs, the last of which is nothing.
    unsafe fn output_short<S: Simd>(sums: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe { Self::output::<S>(sums) }
    }
}

/// F(4, 3): six products on the points 0, ±1, ±2 and infinity.
#[derive(Clone, Copy)]
pub(super) struct EveryPixel;

impl Scheme for EveryPixel {
    const OUT: usize = 4;
    const SHORT: bool = true;
    const TAPS: usize = 3;
    const SIDE: usize = 6;
    const STRIDE: usize = 1;

    #[inline(always)]
    unsafe fn input<S: Simd>([d0, d1, d2, d3, d4, d5, ..]: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [zero, two, four] = [S::splat(0.0), S::splat(2.0), S::splat(4.0)];
            let [minus_two, minus_four, minus_five] = [S::splat(-2.0), S::splat(-4.0), S::splat(-5.0)];
            let (even, odd) = (S::fma(minus_four, d2, d4), S::fma(minus_four, d1, d3));
            let (outer, inner) = (S::sub(d4, d2), S::sub(d3, d1));
            [
                S::fma(four, d0, S::fma(minus_five, d2, d4)),
                S::add(even, odd),
                S::sub(even, odd),
                S::fma(two, inner, outer),
                S::fma(minus_two, inner, outer),
                S::fma(four, d1, S::fma(minus_five, d3, d5)),
                zero,
                zero,
                zero,
            ]
        }
    }

    /// Without the point -2.
    #[inline(always)]
    unsafe fn input_short<S: Simd>([d0, d1, d2, d3, d4, ..]: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [zero, two, three, four] = [S::splat(0.0), S::splat(2.0), S::splat(3.0), S::splat(4.0)];
            let (minus_two, minus_three) = (S::splat(-2.0), S::splat(-3.0));
            let (outer, inner) = (S::sub(d4, d2), S::sub(d3, d1));
            [
                S::fma(four, S::sub(d0, d2), S::mul(two, inner)),
                S::mul(three, S::sub(S::fma(minus_two, d1, d3), d2)),
                S::fma(minus_three, d2, S::fma(two, d1, d3)),
                S::mul(four, inner),
                zero,
                S::fma(minus_two, inner, outer),
                zero,
                zero,
                zero,
            ]
        }
    }

    #[inline(always)]
    fn lacks(product: usize) -> bool {
        product == 4
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>([g0, g1, g2, _]: [S::V; TAPS]) -> [S::V; FILTER_SIDE] {
        // SAFETY: register arithmetic.
        unsafe {
            let [quarter, sixth, twelfth] = [S::splat(1.0 / 4.0), S::splat(1.0 / 6.0), S::splat(1.0 / 12.0)];
            let [minus_sixth, minus_twelfth] = [S::splat(-1.0 / 6.0), S::splat(-1.0 / 12.0)];
            let ones = S::mul(S::add(g0, g2), minus_sixth);
            let twos = S::fma(g0, S::splat(1.0 / 24.0), S::mul(g2, sixth));
            [
                S::mul(g0, quarter),
                S::fma(g1, minus_sixth, ones),
                S::fma(g1, sixth, ones),
                S::fma(g1, twelfth, twos),
                S::fma(g1, minus_twelfth, twos),
                g2,
            ]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>([m0, m1, m2, m3, m4, m5, ..]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            let (twos, twos_odd) = (S::add(m3, m4), S::sub(m3, m4));
            [
                S::add(S::add(m0, ones), twos),
                S::fma(S::splat(2.0), twos_odd, ones_odd),
                S::fma(S::splat(4.0), twos, ones),
                S::fma(S::splat(8.0), twos_odd, S::add(ones_odd, m5)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn output_short<S: Simd>([m0, m1, m2, m3, _, m5, ..]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            [
                S::add(S::add(m0, ones), m3),
                S::fma(S::splat(2.0), m3, ones_odd),
                S::fma(S::splat(4.0), m3, S::add(ones, m5)),
                S::splat(0.0),
            ]
        }
    }
}

/// Stride two: the outer taps see the even inputs, which is F(4, 2) with five products on the points 0, ±1, 2 and
/// infinity; the middle tap sees the odd inputs, four products that need no transform.
#[derive(Clone, Copy)]
pub(super) struct EveryOtherPixel;

impl Scheme for EveryOtherPixel {
    const OUT: usize = 4;
    const SHORT: bool = true;
    const TAPS: usize = 3;
    const SIDE: usize = 9;
    const STRIDE: usize = 2;

    #[inline(always)]
    unsafe fn input<S: Simd>([d0, e0, d1, e1, d2, e2, d3, e3, d4]: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [two, minus_two, minus_three] = [S::splat(2.0), S::splat(-2.0), S::splat(-3.0)];
            [
                S::sub(S::fma(two, S::sub(d0, d2), d3), d1),
                S::sub(S::fma(minus_two, d1, d3), d2),
                S::fma(minus_three, d2, S::fma(two, d1, d3)),
                S::sub(d3, d1),
                S::sub(S::fma(two, S::sub(d1, d3), d4), d2),
                e0,
                e1,
                e2,
                e3,
            ]
        }
    }

    /// Without the point 2 and the last input that is not transformed.
    #[inline(always)]
    unsafe fn input_short<S: Simd>([d0, e0, d1, e1, d2, e2, d3, ..]: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [zero, two, three] = [S::splat(0.0), S::splat(2.0), S::splat(3.0)];
            [
                S::mul(two, S::sub(d0, d2)),
                S::sub(S::sub(zero, d1), d2),
                S::mul(three, S::sub(d1, d2)),
                zero,
                S::sub(d3, d1),
                e0,
                e1,
                e2,
                zero,
            ]
        }
    }

    #[inline(always)]
    fn lacks(product: usize) -> bool {
        product == 3 || product == 8
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>([g0, g1, g2, _]: [S::V; TAPS]) -> [S::V; FILTER_SIDE] {
        // SAFETY: register arithmetic.
        unsafe {
            let [half, sixth, third] = [S::splat(1.0 / 2.0), S::splat(1.0 / 6.0), S::splat(1.0 / 3.0)];
            [
                S::mul(g0, half),
                S::mul(S::add(g0, g2), S::splat(-1.0 / 2.0)),
                S::mul(S::sub(g2, g0), sixth),
                S::fma(g0, sixth, S::mul(g2, third)),
                g2,
                g1,
            ]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>([m0, m1, m2, m3, m4, n0, n1, n2, n3]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            [
                S::add(S::add(m0, ones), S::add(m3, n0)),
                S::add(S::fma(S::splat(2.0), m3, ones_odd), n1),
                S::add(S::fma(S::splat(4.0), m3, ones), n2),
                S::add(S::fma(S::splat(8.0), m3, S::add(ones_odd, m4)), n3),
            ]
        }
    }

    #[inline(always)]
    unsafe fn output_short<S: Simd>([m0, m1, m2, _, m4, n0, n1, n2, _]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            [
                S::add(S::add(m0, ones), n0),
                S::add(ones_odd, n1),
                S::add(S::add(ones, m4), n2),
                S::splat(0.0),
            ]
        }
    }
}
