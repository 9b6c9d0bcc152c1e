//! F(4, 4): seven products for four outputs of a filter of four taps.

use super::transform::{EveryPixel, MOST, MOST_POINTS, MOST_TAPS, OUT, Scheme};
use crate::cpu::simd::Simd;

/// The points of F(4, 3) and then 1/2; without that one it is F(3, 4), for short tiles.
///
/// Each transform is that of F(4, 3), of which the new point is a factor or to which it adds one.
#[derive(Clone, Copy)]
pub(super) struct FourTaps;

impl Scheme for FourTaps {
    const TAPS: usize = 4;
    const FILTER_SIDE: usize = 7;
    const SIDE: usize = 7;
    const STRIDE: usize = 1;

    #[inline(always)]
    unsafe fn input<S: Simd>(d: [S::V; MOST]) -> [S::V; MOST] {
        // SAFETY: register arithmetic.
        unsafe {
            let [zero, minus_half, four, minus_five] =
                [S::splat(0.0), S::splat(-0.5), S::splat(4.0), S::splat(-5.0)];
            let mut pairs = [zero; MOST];
            for i in 0..6 {
                pairs[i] = S::fma(minus_half, d[i], d[i + 1]);
            }
            let mut points = EveryPixel::input::<S>(pairs);
            points[6] = S::fma(four, d[1], S::fma(minus_five, d[3], d[5]));
            points
        }
    }

    /// Without the point 1/2.
    #[inline(always)]
    unsafe fn input_short<S: Simd>(d: [S::V; MOST]) -> [S::V; MOST] {
        const FACTORS: [f32; 5] = [-0.5, 0.5, -1.5, 1.5, -2.5];
        // SAFETY: register arithmetic.
        unsafe {
            let mut points = EveryPixel::input::<S>(d);
            for (point, factor) in points.iter_mut().zip(FACTORS) {
                *point = S::mul(*point, S::splat(factor));
            }
            points
        }
    }

    #[inline(always)]
    fn lacks(product: usize) -> bool {
        product == 6
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>([g0, g1, g2, g3]: [S::V; MOST_TAPS]) -> [S::V; MOST_POINTS] {
        // SAFETY: register arithmetic.
        unsafe {
            let [two, four, eight] = [S::splat(2.0), S::splat(4.0), S::splat(8.0)];
            let (even, odd) = (S::add(g0, g2), S::add(g1, g3));
            let (twos, twos_odd) = (S::fma(four, g2, g0), S::mul(two, S::fma(four, g3, g1)));
            let halves = S::fma(eight, g0, S::fma(four, g1, S::fma(two, g2, g3)));
            [
                S::mul(g0, S::splat(-1.0 / 2.0)),
                S::mul(S::add(even, odd), S::splat(-1.0 / 3.0)),
                S::mul(S::sub(even, odd), S::splat(1.0 / 9.0)),
                S::mul(S::add(twos, twos_odd), S::splat(1.0 / 36.0)),
                S::mul(S::sub(twos, twos_odd), S::splat(-1.0 / 60.0)),
                g3,
                S::mul(halves, S::splat(4.0 / 45.0)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(sums: [S::V; MOST]) -> [S::V; OUT] {
        const POWERS: [f32; OUT] = [1.0, 0.5, 0.25, 0.125];
        // SAFETY: register arithmetic.
        unsafe {
            let mut outputs = EveryPixel::output::<S>(sums);
            for (output, power) in outputs.iter_mut().zip(POWERS) {
                *output = S::fma(S::splat(power), sums[6], *output);
            }
            outputs
        }
    }

    #[inline(always)]
    unsafe fn output_short<S: Simd>([m0, m1, m2, m3, m4, m5, ..]: [S::V; MOST]) -> [S::V; OUT] {
        // SAFETY: register arithmetic.
        unsafe {
            let (ones, ones_odd) = (S::add(m1, m2), S::sub(m1, m2));
            let (twos, twos_odd) = (S::add(m3, m4), S::sub(m3, m4));
            [
                S::add(S::add(m0, ones), twos),
                S::fma(S::splat(2.0), twos_odd, ones_odd),
                S::fma(S::splat(4.0), twos, S::add(ones, m5)),
                S::splat(0.0),
            ]
        }
    }
}
