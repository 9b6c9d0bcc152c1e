//! The one-dimensional transforms of F(4, 3): four outputs of a three-tap filter from six products, on the points
//! 0, ±1, ±2 and infinity (Lavin & Gray 2016). Applied to columns and then to rows they make F(4x4, 3x3).

use crate::cpu::simd::Simd;

/// Values a transformed tile has on a side.
pub(super) const SIDE: usize = 6;
/// Outputs a tile has on a side.
pub(super) const OUT: usize = 4;
/// Products for one tile and pair of channels.
pub(super) const POINTS: usize = SIDE * SIDE;

/// Six inputs of four outputs.
#[inline(always)]
pub(super) unsafe fn input<S: Simd>([d0, d1, d2, d3, d4, d5]: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: register arithmetic.
    unsafe {
        let [two, four, five] = [S::splat(2.0), S::splat(4.0), S::splat(-5.0)];
        let [minus_two, minus_four] = [S::splat(-2.0), S::splat(-4.0)];
        let (even, odd) = (S::fma(minus_four, d2, d4), S::fma(minus_four, d1, d3));
        let (outer, inner) = (S::sub(d4, d2), S::sub(d3, d1));
        [
            S::fma(four, d0, S::fma(five, d2, d4)),
            S::add(even, odd),
            S::sub(even, odd),
            S::fma(two, inner, outer),
            S::fma(minus_two, inner, outer),
            S::fma(four, d1, S::fma(five, d3, d5)),
        ]
    }
}

/// Three taps of a filter.
#[inline(always)]
pub(super) unsafe fn filter<S: Simd>([g0, g1, g2]: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: register arithmetic.
    unsafe {
        let [quarter, sixth, twelfth] = [4.0, 6.0, 12.0].map(|d: f32| S::splat(1.0 / d));
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

/// Six sums of products back to four outputs.
#[inline(always)]
pub(super) unsafe fn output<S: Simd>([m0, m1, m2, m3, m4, m5]: [S::V; 6]) -> [S::V; 4] {
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
