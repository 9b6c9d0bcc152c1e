//! The two passes of a separable resize over interleaved `u8` pixels.
//!
//! Each output is `clamp((half + sum of pixel * weight) >> precision)`; the sum wraps in `i32`, so its order
//! does not matter and every faster form of these loops gives the same bytes.

use std::ops::Range;

use super::weights::Weights;

/// A rectangle of interleaved 8-bit pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
}

impl<'a> Plane<'a> {
    /// Bytes in a row.
    pub(crate) fn stride(&self) -> usize {
        self.width * self.channels
    }

    pub(crate) fn row(&self, y: usize) -> &'a [u8] {
        &self.data[y * self.stride()..][..self.stride()]
    }
}

/// Where a pass puts the rows it made.
pub(crate) type Rows = Vec<u8>;

/// Resizes each of the source's `rows` to the window of `weights`, with the fastest instructions there are. The source
/// starts at the picture's column `first`.
pub(crate) fn horizontal(
    source: Plane<'_>,
    first: usize,
    rows: Range<usize>,
    weights: &Weights,
    out: &mut Rows,
) {
    out.resize(rows.len() * weights.taps.len() * source.channels, 0);
    Horizontal::new(weights, first).run(source, rows, out);
}

/// The horizontal pass for any number of rows.
pub(crate) struct Horizontal<'a> {
    weights: &'a Weights,
    first: usize,
    #[cfg(target_arch = "x86_64")]
    avx2: Option<super::avx2::Horizontal<'a>>,
}

impl<'a> Horizontal<'a> {
    /// For sources that start at the picture's column `first`.
    pub(crate) fn new(weights: &'a Weights, first: usize) -> Self {
        Self {
            weights,
            first,
            #[cfg(target_arch = "x86_64")]
            avx2: super::avx2::Horizontal::new(weights, first),
        }
    }

    /// Resizes `rows`, each to the width of the window.
    pub(crate) fn run(&self, source: Plane<'_>, rows: Range<usize>, out: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let (3 | 4, Some(avx2)) = (source.channels, &self.avx2) {
            return avx2.run(source, rows, out);
        }
        plain_horizontal(source, self.first, rows, self.weights, out);
    }
}

/// [`Horizontal::run`] in plain Rust.
pub(crate) fn plain_horizontal(
    source: Plane<'_>,
    first: usize,
    rows: Range<usize>,
    weights: &Weights,
    out: &mut [u8],
) {
    let stride = weights.taps.len() * source.channels;
    for (y, line) in rows.zip(out.chunks_exact_mut(stride.max(1))) {
        match source.channels {
            1 => horizontal_row::<1>(source.row(y), first, weights, line),
            2 => horizontal_row::<2>(source.row(y), first, weights, line),
            3 => horizontal_row::<3>(source.row(y), first, weights, line),
            _ => horizontal_row::<4>(source.row(y), first, weights, line),
        }
    }
}

fn horizontal_row<const CHANNELS: usize>(source: &[u8], first: usize, weights: &Weights, out: &mut [u8]) {
    let (pixels, _) = source.as_chunks::<CHANNELS>();
    let (out, _) = out.as_chunks_mut::<CHANNELS>();
    for (out, (taps, row)) in out.iter_mut().zip(weights.rows()) {
        let mut sums = [half(weights.precision); CHANNELS];
        for (pixel, &weight) in pixels[taps.start - first..].iter().zip(row) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
            }
        }
        *out = sums.map(|sum| clamp(sum, weights.precision));
    }
}

/// How many neighbouring bytes of a row are summed together: few enough to stay in registers.
const BLOCK: usize = 32;

/// Resizes the source's columns to the window of `weights`; row 0 of `source` is source row `first`.
pub(crate) fn vertical(source: Plane<'_>, first: usize, weights: &Weights, out: &mut Rows) {
    out.resize(weights.taps.len() * source.stride(), 0);
    pulp::Arch::new().dispatch(Vertical {
        source,
        first,
        weights,
        out,
    });
}

/// [`plain_vertical`], compiled once for each instruction set: the compiler vectorizes the loops over a block.
struct Vertical<'a> {
    source: Plane<'a>,
    first: usize,
    weights: &'a Weights,
    out: &'a mut [u8],
}

impl pulp::NullaryFnOnce for Vertical<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        plain_vertical(self.source, self.first, self.weights, self.out);
    }
}

#[inline(always)]
pub(crate) fn plain_vertical(source: Plane<'_>, first: usize, weights: &Weights, out: &mut [u8]) {
    let stride = source.stride();
    for (line, (taps, row)) in out.chunks_exact_mut(stride.max(1)).zip(weights.rows()) {
        let top = taps.start - first;
        let (blocks, rest) = line.as_chunks_mut::<BLOCK>();
        let done = blocks.len() * BLOCK;
        for (i, block) in blocks.iter_mut().enumerate() {
            let mut sums = [half(weights.precision); BLOCK];
            for (k, &weight) in row.iter().enumerate() {
                let values: &[u8] = &source.row(top + k)[i * BLOCK..][..BLOCK];
                for (sum, &value) in sums.iter_mut().zip(values) {
                    *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
                }
            }
            for (byte, sum) in block.iter_mut().zip(sums) {
                *byte = clamp(sum, weights.precision);
            }
        }
        for (x, byte) in rest.iter_mut().enumerate() {
            let mut sum = half(weights.precision);
            for (k, &weight) in row.iter().enumerate() {
                sum = sum.wrapping_add(i32::from(source.row(top + k)[done + x]).wrapping_mul(weight));
            }
            *byte = clamp(sum, weights.precision);
        }
    }
}

pub(crate) fn half(precision: u32) -> i32 {
    // Precision zero needs weights beyond i16; torch's own code would shift by -1 there.
    1 << precision.saturating_sub(1)
}

#[inline(always)]
fn clamp(sum: i32, precision: u32) -> u8 {
    (sum >> precision).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Filter;
    use super::super::weights::{Axis, FixedPoint};
    use super::*;

    const FILTERS: [Filter; 5] = [
        Filter::Box,
        Filter::Bilinear,
        Filter::Hamming,
        Filter::Bicubic,
        Filter::Lanczos,
    ];

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    /// The side of a source, and the weights of a window of its resize.
    fn weights() -> impl Strategy<Value = (usize, Weights)> {
        let sides = (1..=140_usize, 1..=140_usize, 0.0..1.0, 0.0..1.0);
        let arithmetic = prop_oneof![Just(FixedPoint::Pillow), Just(FixedPoint::Torch)];
        (sides, prop::sample::select(&FILTERS[..]), arithmetic).prop_map(|(sides, filter, arithmetic)| {
            let (input, output, start, length) = sides;
            let start = (start * output as f64) as usize;
            let end = start + 1 + (length * (output - start) as f64) as usize;
            let axis = Axis {
                input,
                output,
                window: start..end.min(output),
            };
            let mut weights = Weights::default();
            weights.fill(&axis, filter, arithmetic);
            (input, weights)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn the_fast_horizontal_pass_equals_the_plain_one(
            (width, weights) in weights(), height in 1..=9_usize, top in 0..=2_usize, cut: bool,
            channels in 1..=4_usize,
        ) {
            let first = if cut { weights.source().start } else { 0 };
            let (width, height) = (width - first, top + height);
            let data = noise(height * width * channels);
            let source = Plane { data: &data, height, width, channels };
            let mut fast = Vec::new();
            let mut plain = vec![0; (height - top) * weights.taps.len() * channels];
            horizontal(source, first, top..height, &weights, &mut fast);
            plain_horizontal(source, first, top..height, &weights, &mut plain);
            prop_assert_eq!(fast, plain);
        }

        #[test]
        fn the_fast_vertical_pass_equals_the_plain_one(
            (height, weights) in weights(), width in 1..=45_usize, cut: bool, channels in 1..=4_usize,
        ) {
            let first = if cut { weights.source().start } else { 0 };
            let height = height - first;
            let data = noise(height * width * channels);
            let source = Plane { data: &data, height, width, channels };
            let (mut fast, mut plain) = (Vec::new(), vec![0; weights.taps.len() * source.stride()]);
            vertical(source, first, &weights, &mut fast);
            plain_vertical(source, first, &weights, &mut plain);
            prop_assert_eq!(fast, plain);
        }
    }
}
