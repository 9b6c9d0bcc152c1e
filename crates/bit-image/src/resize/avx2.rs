//! The horizontal pass for three and four channels with AVX2, through `pulp`'s safe intrinsics.
//!
//! Four source pixels are multiplied at a time: their bytes are spread so that each 32-bit lane holds two
//! neighbouring values of one channel, and `madd` multiplies and adds the two. Weights of more than 16 bits are
//! split into a high and a low half with accumulators of their own. Two rows go together to share the weights.

use std::arch::x86_64::{__m128i, __m256i};
use std::ops::Range;

use pulp::NullaryFnOnce;
use pulp::x86::V3;

use super::passes::{Plane, half};
use super::weights::Weights;

/// Bits of the low half of a split weight.
const LOW_BITS: i32 = 11;

/// Source pixels that are multiplied at a time.
const GROUP: usize = 4;

/// Bytes of a load.
const LOAD: usize = 16;

/// [`passes::horizontal`](super::passes::horizontal) for sources of three or four channels.
pub(super) fn horizontal(simd: V3, source: Plane<'_>, rows: Range<usize>, weights: &Weights, out: &mut [u8]) {
    let groups = Groups::new(weights);
    match source.channels {
        3 => simd.vectorize(Pass::<3> {
            simd,
            source,
            rows,
            weights,
            groups: &groups,
            out,
        }),
        _ => simd.vectorize(Pass::<4> {
            simd,
            source,
            rows,
            weights,
            groups: &groups,
            out,
        }),
    }
}

/// Weights in groups of four, a row of groups for each output.
struct Groups {
    per_output: usize,
    /// Whole weights, or the low bits of split ones.
    low: Vec<[i16; GROUP]>,
    /// The high bits of split weights; empty when whole weights fit 16 bits.
    high: Vec<[i16; GROUP]>,
}

impl Groups {
    fn new(weights: &Weights) -> Self {
        let split = weights
            .values
            .iter()
            .any(|&weight| i16::try_from(weight).is_err());
        let mut groups = Self {
            per_output: weights.stride.div_ceil(GROUP),
            low: Vec::new(),
            high: Vec::new(),
        };
        for row in weights.values.chunks_exact(weights.stride.max(1)) {
            for four in row.chunks(GROUP) {
                let weight = |i: usize| four.get(i).copied().unwrap_or(0);
                if split {
                    let mask = (1 << LOW_BITS) - 1;
                    groups
                        .low
                        .push(std::array::from_fn(|i| (weight(i) & mask) as i16));
                    groups
                        .high
                        .push(std::array::from_fn(|i| (weight(i) >> LOW_BITS) as i16));
                } else {
                    groups.low.push(std::array::from_fn(|i| weight(i) as i16));
                }
            }
        }
        groups
    }

    #[inline(always)]
    fn of<'a>(&self, groups: &'a [[i16; GROUP]], output: usize, count: usize) -> &'a [[i16; GROUP]] {
        let start = output * self.per_output;
        groups.get(start..start + count).unwrap_or_default()
    }
}

struct Pass<'a, const CHANNELS: usize> {
    simd: V3,
    source: Plane<'a>,
    rows: Range<usize>,
    weights: &'a Weights,
    groups: &'a Groups,
    out: &'a mut [u8],
}

impl<const CHANNELS: usize> NullaryFnOnce for Pass<'_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let stride = self.weights.taps.len() * CHANNELS;
        let out = std::mem::take(&mut self.out);
        for (pair, lines) in out.chunks_mut((2 * stride).max(1)).enumerate() {
            let y = self.rows.start + 2 * pair;
            let (first, second) = lines.split_at_mut(stride);
            let next = if second.is_empty() { y } else { y + 1 };
            self.two_rows([y, next], first, second);
        }
    }
}

impl<const CHANNELS: usize> Pass<'_, CHANNELS> {
    #[inline(always)]
    fn two_rows(&self, rows: [usize; 2], first: &mut [u8], second: &mut [u8]) {
        let starts = rows.map(|y| y * self.source.stride());
        let mut second = second.as_chunks_mut::<CHANNELS>().0.iter_mut();
        for (x, (taps, first)) in self
            .weights
            .taps
            .iter()
            .zip(first.as_chunks_mut::<CHANNELS>().0)
            .enumerate()
        {
            let sums = self.sums(x, starts.map(|start| start + taps.start * CHANNELS), taps.len());
            let [one, two] = self.pixels(sums);
            *first = std::array::from_fn(|c| one[c]);
            if let Some(second) = second.next() {
                *second = std::array::from_fn(|c| two[c]);
            }
        }
    }

    /// The weighted sums of output `x` in two rows, whose first taps lie at the bytes `at`: lanes are
    /// `[r0, g0, r1, g1 | b0, a0, b1, a1]`.
    #[inline(always)]
    fn sums(&self, x: usize, at: [usize; 2], taps: usize) -> __m256i {
        let avx2 = self.simd.avx2;
        let count = taps.div_ceil(GROUP);
        let lows = self.groups.of(&self.groups.low, x, count);
        let highs = self.groups.of(&self.groups.high, x, count);
        // A load takes 16 bytes, also where the last group needs fewer.
        let needed = count.saturating_sub(1) * GROUP * CHANNELS + LOAD;
        let data = self.source.data;
        let [low, high] = match at.map(|at| data.get(at..at + needed)) {
            [Some(first), Some(second)] => self.multiply([first, second], lows, highs),
            _ => {
                let [first, second] = at.map(|at| padded(data, at, needed));
                self.multiply([&first, &second], lows, highs)
            }
        };
        avx2._mm256_add_epi32(low, avx2._mm256_slli_epi32::<LOW_BITS>(high))
    }

    /// The sums for the low and for the high halves of the weights, two rows each.
    #[inline(always)]
    fn multiply(&self, rows: [&[u8]; 2], lows: &[[i16; GROUP]], highs: &[[i16; GROUP]]) -> [__m256i; 2] {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let spread: __m256i = pulp::cast(SPREAD[CHANNELS - 3]);
        let splat = |weights: &[i16; GROUP]| avx._mm256_set1_epi64x(pulp::cast(*weights));
        let pixels = |bytes: &[u8; LOAD]| {
            let bytes = avx2._mm256_broadcastsi128_si256(pulp::cast::<_, __m128i>(*bytes));
            avx2._mm256_shuffle_epi8(bytes, spread)
        };
        let add = |sum, pixels, weights| avx2._mm256_add_epi32(sum, avx2._mm256_madd_epi16(pixels, weights));
        let zero = avx._mm256_setzero_si256();
        let [first, second] = rows.map(|row| row.array_windows::<LOAD>().step_by(GROUP * CHANNELS));
        let loads = first.zip(second);
        let mut low = [zero; 2];
        if highs.is_empty() {
            for ((first, second), weights) in loads.zip(lows) {
                let weights = splat(weights);
                low = [
                    add(low[0], pixels(first), weights),
                    add(low[1], pixels(second), weights),
                ];
            }
            return [avx2._mm256_hadd_epi32(low[0], low[1]), zero];
        }
        let mut high = [zero; 2];
        for ((first, second), (low_weights, high_weights)) in loads.zip(lows.iter().zip(highs)) {
            let (first, second) = (pixels(first), pixels(second));
            let weights = splat(low_weights);
            low = [add(low[0], first, weights), add(low[1], second, weights)];
            let weights = splat(high_weights);
            high = [add(high[0], first, weights), add(high[1], second, weights)];
        }
        [
            avx2._mm256_hadd_epi32(low[0], low[1]),
            avx2._mm256_hadd_epi32(high[0], high[1]),
        ]
    }

    /// Rounds, shifts and clamps the sums to the pixels of the two rows.
    #[inline(always)]
    fn pixels(&self, sums: __m256i) -> [[u8; 4]; 2] {
        let (sse2, avx, avx2) = (self.simd.sse2, self.simd.avx, self.simd.avx2);
        let precision = self.weights.precision;
        let sums = avx2._mm256_add_epi32(sums, avx._mm256_set1_epi32(half(precision)));
        let shifted = avx2._mm256_sra_epi32(sums, sse2._mm_cvtsi32_si128(precision as i32));
        let words = avx2._mm256_packs_epi32(shifted, shifted);
        let bytes = avx2._mm256_packus_epi16(words, words);
        let (red_green, blue_alpha) = (
            avx._mm256_castsi256_si128(bytes),
            avx2._mm256_extracti128_si256::<1>(bytes),
        );
        let [both, _]: [u64; 2] = pulp::cast(sse2._mm_unpacklo_epi16(red_green, blue_alpha));
        pulp::cast(both.to_le_bytes())
    }
}

/// The bytes from `at` on, with zeros after the end of the picture.
#[cold]
fn padded(data: &[u8], at: usize, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = data.iter().skip(at).take(length).copied().collect();
    bytes.resize(length, 0);
    bytes
}

/// A byte that the shuffle fills with zero.
const ZERO: u8 = 0x80;

/// For three and four channels: spreads four pixels into 16-bit values, two neighbours of a channel in a lane.
const SPREAD: [[u8; 32]; 2] = [spread(3), spread(4)];

const fn spread(channels: u8) -> [u8; 32] {
    let mut mask = [ZERO; 32];
    let mut c = 0;
    while c < channels {
        let mut pixel = 0;
        while pixel < GROUP as u8 {
            mask[(c as usize * GROUP + pixel as usize) * 2] = pixel * channels + c;
            pixel += 1;
        }
        c += 1;
    }
    mask
}
