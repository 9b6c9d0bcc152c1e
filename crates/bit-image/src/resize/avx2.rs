//! The horizontal pass for three and four channels with AVX2, through `pulp`'s safe intrinsics.
//!
//! Four source pixels are multiplied at a time: their bytes are spread so that each 32-bit lane holds two
//! neighbouring values of one channel, and `madd` multiplies and adds the two. Weights of more than 16 bits are
//! split into a high and a low half with accumulators of their own. Four rows go together to share the weights.

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

/// Rows that share their weights.
const ROWS: usize = 4;

/// Bytes of a load.
const LOAD: usize = 16;

/// [`passes::Horizontal`](super::passes::Horizontal) for sources of three or four channels.
pub(super) struct Horizontal<'a> {
    simd: V3,
    weights: &'a Weights,
    /// The picture's column at which sources start.
    first: usize,
}

impl<'a> Horizontal<'a> {
    /// `None` on processors without AVX2.
    pub(super) fn new(weights: &'a Weights, first: usize) -> Option<Self> {
        V3::try_new().map(|simd| Self { simd, weights, first })
    }

    pub(super) fn run(&self, source: Plane<'_>, rows: Range<usize>, out: &mut [u8]) {
        match source.channels {
            3 => self.simd.vectorize(Pass::<3>::new(self, source, rows, out)),
            _ => self.simd.vectorize(Pass::<4>::new(self, source, rows, out)),
        }
    }
}

/// Weights in groups of four, a row of groups for each output.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    per_output: usize,
    /// Whole weights, or the low bits of split ones.
    low: Vec<[i16; GROUP]>,
    /// The high bits of split weights; empty when whole weights fit 16 bits.
    high: Vec<[i16; GROUP]>,
}

impl Groups {
    /// Takes weights of `stride` an output.
    pub(super) fn fill(&mut self, weights: &[i32], stride: usize) {
        let split = weights.iter().any(|&weight| i16::try_from(weight).is_err());
        self.per_output = stride.div_ceil(GROUP);
        self.low.clear();
        self.high.clear();
        for four in weights
            .chunks_exact(stride.max(1))
            .flat_map(|row| row.chunks(GROUP))
        {
            let weight = |i: usize| four.get(i).copied().unwrap_or(0);
            if split {
                let mask = (1 << LOW_BITS) - 1;
                let (low, high) = (|i| (weight(i) & mask) as i16, |i| (weight(i) >> LOW_BITS) as i16);
                self.low.push(std::array::from_fn(low));
                self.high.push(std::array::from_fn(high));
            } else {
                self.low.push(std::array::from_fn(|i| weight(i) as i16));
            }
        }
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
    first: usize,
    weights: &'a Weights,
    out: &'a mut [u8],
}

impl<const CHANNELS: usize> NullaryFnOnce for Pass<'_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn call(mut self) {
        let stride = self.weights.taps.len() * CHANNELS;
        let out = std::mem::take(&mut self.out);
        for (block, lines) in out.chunks_mut((ROWS * stride).max(1)).enumerate() {
            let first = self.rows.start + ROWS * block;
            // The last block may have fewer rows: it computes its last one several times.
            let rows = std::array::from_fn(|row| (first + row).min(self.rows.end - 1));
            let mut lines = lines.chunks_exact_mut(stride);
            let mut line = || lines.next().unwrap_or_default().as_chunks_mut::<CHANNELS>().0;
            self.block(rows, std::array::from_fn(|_| line()));
        }
    }
}

impl<'a, const CHANNELS: usize> Pass<'a, CHANNELS> {
    fn new(prepared: &'a Horizontal<'a>, source: Plane<'a>, rows: Range<usize>, out: &'a mut [u8]) -> Self {
        Self {
            simd: prepared.simd,
            source,
            rows,
            first: prepared.first,
            weights: prepared.weights,
            out,
        }
    }

    #[inline(always)]
    fn block(&self, rows: [usize; ROWS], mut lines: [&mut [[u8; CHANNELS]]; ROWS]) {
        let starts = rows.map(|y| y * self.source.stride());
        for (x, taps) in self.weights.taps.iter().enumerate() {
            let left = (taps.start - self.first) * CHANNELS;
            let sums = self.sums(x, starts.map(|start| start + left), taps.len());
            for (line, pixel) in lines.iter_mut().zip(self.pixels(sums)) {
                if let Some(out) = line.get_mut(x) {
                    *out = std::array::from_fn(|c| pixel[c]);
                }
            }
        }
    }

    /// The weighted sums of output `x` in the rows whose first taps lie at the bytes `at`, two rows a vector: lanes
    /// are `[r0, g0, r1, g1 | b0, a0, b1, a1]`.
    #[inline(always)]
    fn sums(&self, x: usize, at: [usize; ROWS], taps: usize) -> [__m256i; ROWS / 2] {
        let count = taps.div_ceil(GROUP);
        let groups = &self.weights.groups;
        let lows = groups.of(&groups.low, x, count);
        let highs = groups.of(&groups.high, x, count);
        // A load takes 16 bytes, also where the last group needs fewer.
        let needed = count.saturating_sub(1) * GROUP * CHANNELS + LOAD;
        let data = self.source.data;
        match at.map(|at| data.get(at..at + needed)) {
            [Some(a), Some(b), Some(c), Some(d)] => {
                let rows = [a, b, c, d];
                let load = |row: usize, group: usize| {
                    *rows[row][group * GROUP * CHANNELS..]
                        .first_chunk::<LOAD>()
                        .expect("rows are as long as their groups")
                };
                self.multiply(load, lows, highs)
            }
            _ => self.multiply(
                |row, group| padded(data, at[row] + group * GROUP * CHANNELS),
                lows,
                highs,
            ),
        }
    }

    #[inline(always)]
    fn multiply(
        &self,
        load: impl Fn(usize, usize) -> [u8; LOAD],
        lows: &[[i16; GROUP]],
        highs: &[[i16; GROUP]],
    ) -> [__m256i; ROWS / 2] {
        let (avx, avx2) = (self.simd.avx, self.simd.avx2);
        let spread: __m256i = pulp::cast(SPREAD[CHANNELS - 3]);
        let splat = |weights: &[i16; GROUP]| avx._mm256_set1_epi64x(pulp::cast(*weights));
        let pixels = |row: usize, group: usize| {
            let bytes = avx2._mm256_broadcastsi128_si256(pulp::cast::<_, __m128i>(load(row, group)));
            avx2._mm256_shuffle_epi8(bytes, spread)
        };
        let add = |sum, pixels, weights| avx2._mm256_add_epi32(sum, avx2._mm256_madd_epi16(pixels, weights));
        let neighbours =
            |[a, b, c, d]: [__m256i; ROWS]| [avx2._mm256_hadd_epi32(a, b), avx2._mm256_hadd_epi32(c, d)];
        let mut low = [avx._mm256_setzero_si256(); ROWS];
        if highs.is_empty() {
            for (group, weights) in lows.iter().enumerate() {
                let weights = splat(weights);
                for (row, low) in low.iter_mut().enumerate() {
                    *low = add(*low, pixels(row, group), weights);
                }
            }
            return neighbours(low);
        }
        let mut high = low;
        for (group, (low_weights, high_weights)) in lows.iter().zip(highs).enumerate() {
            let (low_weights, high_weights) = (splat(low_weights), splat(high_weights));
            for (row, (low, high)) in low.iter_mut().zip(&mut high).enumerate() {
                let pixels = pixels(row, group);
                *low = add(*low, pixels, low_weights);
                *high = add(*high, pixels, high_weights);
            }
        }
        let (low, high) = (neighbours(low), neighbours(high));
        let both = |i: usize| avx2._mm256_add_epi32(low[i], avx2._mm256_slli_epi32::<LOW_BITS>(high[i]));
        [both(0), both(1)]
    }

    /// Rounds, shifts and clamps the sums to the pixels of the rows.
    #[inline(always)]
    fn pixels(&self, sums: [__m256i; ROWS / 2]) -> [[u8; 4]; ROWS] {
        let (sse2, avx, avx2) = (self.simd.sse2, self.simd.avx, self.simd.avx2);
        let precision = self.weights.precision;
        let half = avx._mm256_set1_epi32(half(precision));
        let precision = sse2._mm_cvtsi32_si128(precision as i32);
        let [first, second] =
            sums.map(|sums| avx2._mm256_sra_epi32(avx2._mm256_add_epi32(sums, half), precision));
        let words = avx2._mm256_packs_epi32(first, second);
        let bytes = avx2._mm256_packus_epi16(words, words);
        let (red_green, blue_alpha) = (
            avx._mm256_castsi256_si128(bytes),
            avx2._mm256_extracti128_si256::<1>(bytes),
        );
        pulp::cast(sse2._mm_unpacklo_epi16(red_green, blue_alpha))
    }
}

/// The bytes from `at` on, with zeros after the end of the picture.
#[cold]
fn padded(data: &[u8], at: usize) -> [u8; LOAD] {
    std::array::from_fn(|i| data.get(at + i).copied().unwrap_or(0))
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
