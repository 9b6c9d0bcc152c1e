//! F(3, 4): six products for three outputs of a filter of four taps.

use super::transform::{FILTER_SIDE, MOST, OUT, Scheme, TAPS};
use crate::cpu::simd::Simd;

/// The points 0, ±1, 1/2, -2 and infinity.
///
/// They round half as much as those of F(4, 4), and a third less than ±2 would: a stem is read by all layers, and
/// standardized weights pass on its rounding.
#[derive(Clone, Copy)]
pub(super) struct FourTaps;

impl Scheme for FourTaps {
    const OUT: usize = 3;
    const SHORT: bool = false;
    const TAPS: usize = 4;
    const SIDE: usize = 6;
    const STRIDE: usize = 1;

    #[inline(always)]
    unsafe fn input<S: Simd>([d0, d1, d2, d3, d4, d5, ..]: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [zero, half, two] = [S::splat(0.0), S::splat(0.5), S::splat(2.0)];
            let [three_halves, five_halves] = [S::splat(1.5), S::splat(2.5)];
            let [minus_half, minus_two, minus_five_halves] = [S::splat(-0.5), S::splat(-2.0), S::splat(-2.5)];
            let (outer, inner) = (S::sub(d4, d2), S::sub(d3, d1));
            [
                S::fma(three_halves, inner, S::fma(minus_two, d2, S::add(d0, d4))),
                S::fma(five_halves, d3, S::fma(half, d2, S::sub(d4, d1))),
                S::fma(minus_five_halves, d2, S::fma(half, d3, S::add(d4, d1))),
                S::fma(two, inner, outer),
                S::fma(minus_half, inner, outer),
                S::fma(three_halves, outer, S::fma(minus_two, d3, S::add(d1, d5))),
                zero,
                zero,
                zero,
            ]
        }
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>([g0, g1, g2, g3]: [S::V; TAPS]) -> [S::V; FILTER_SIDE] {
        // SAFETY: register arithmetic.
        unsafe {
            let [two, four, third] = [S::splat(2.0), S::splat(4.0), S::splat(1.0 / 3.0)];
            let (even, odd) = (S::add(g0, g2), S::add(g1, g3));
            let halves = S::fma(four, S::fma(two, g0, g1), S::fma(two, g2, g3));
            let twos = S::sub(S::fma(four, g2, g0), S::mul(two, S::fma(four, g3, g1)));
            [
                g0,
                S::mul(S::add(even, odd), third),
                S::mul(S::sub(odd, even), third),
                S::mul(halves, S::splat(-2.0 / 15.0)),
                S::mul(twos, S::splat(1.0 / 15.0)),
                g3,
            ]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>([m0, m1, m2, m3, m4, m5, ..]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            [
                S::add(S::add(m0, ones), S::add(m3, m4)),
                S::fma(S::splat(-2.0), m4, S::fma(S::splat(0.5), m3, ones_odd)),
                S::fma(S::splat(4.0), m4, S::fma(S::splat(0.25), m3, S::add(ones, m5))),
                S::splat(0.0),
            ]
        }
    }
}
