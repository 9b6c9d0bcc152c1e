//! Integer weights of one resize axis: which source pixels each output pixel reads, and how much of each.

use std::ops::Range;

use super::Filter;

/// Whose fixed-point arithmetic the weights follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum FixedPoint {
    /// Pillow: 22 fractional bits.
    Pillow,
    /// torchvision's uint8 path: as many bits as keep the largest weight of the axis in an `i16`.
    Torch,
}

/// One axis of a resize: `input` source pixels become `output` pixels, of which `window` are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Axis {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) window: Range<usize>,
}

impl Axis {
    /// True when nothing has to be resampled; the window is then a plain crop.
    pub(crate) fn is_copy(&self) -> bool {
        self.input == self.output
    }

    fn scale(&self) -> f64 {
        self.input as f64 / self.output as f64
    }

    fn support(&self, filter: Filter) -> f64 {
        filter.support() * self.scale().max(1.0)
    }

    /// The source pixels that output pixel `i` reads (Pillow's `precompute_coeffs`).
    fn taps(&self, filter: Filter, i: usize) -> Range<usize> {
        let (center, support) = ((i as f64 + 0.5) * self.scale(), self.support(filter));
        // A cast from f64 truncates toward zero and saturates, as the C code's clamps do.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(self.input);
        first..end.max(first)
    }

    /// The source pixels that the whole window reads.
    pub(crate) fn source(&self, filter: Filter) -> Range<usize> {
        let last = self.window.end.saturating_sub(1);
        self.taps(filter, self.window.start).start..self.taps(filter, last).end
    }

    /// No output pixel reads more source pixels.
    pub(crate) fn most_taps(&self, filter: Filter) -> usize {
        // A cast from f64 saturates.
        self.input.min((2.0 * self.support(filter)) as usize + 2)
    }

    /// Normalized weights of the pixels in `taps(i)`, appended to `out`.
    fn normalized(&self, filter: Filter, i: usize, out: &mut Vec<f64>) -> Range<usize> {
        let taps = self.taps(filter, i);
        let center = (i as f64 + 0.5) * self.scale();
        let inverse = 1.0 / self.scale().max(1.0);
        out.clear();
        let mut sum = 0.0;
        for x in 0..taps.len() {
            let weight = filter.weight((x as f64 + taps.start as f64 - center + 0.5) * inverse);
            out.push(weight);
            sum += weight;
        }
        if sum != 0.0 {
            out.iter_mut().for_each(|weight| *weight /= sum);
        }
        taps
    }

    /// The fractional bits of the fixed-point weights.
    fn precision(&self, filter: Filter, arithmetic: FixedPoint, weights: &mut Vec<f64>) -> u32 {
        const PILLOW_BITS: u32 = 32 - 8 - 2;
        if arithmetic == FixedPoint::Pillow {
            return PILLOW_BITS;
        }
        let mut largest = 0.0_f64;
        for i in 0..self.output {
            self.normalized(filter, i, weights);
            largest = weights.iter().copied().fold(largest, f64::max);
        }
        let overflows = |bits: u32| (0.5 + largest * f64::from(1_u32 << bits)) as i64 >= 1 << 15;
        (0..PILLOW_BITS)
            .find(|bits| overflows(bits + 1))
            .unwrap_or(PILLOW_BITS)
    }
}

/// The weights of an axis's window, `stride` a row, zero after a row's own taps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    /// Fractional bits of every weight.
    pub(crate) precision: u32,
    /// The source pixels each wanted output reads.
    pub(crate) taps: Vec<Range<usize>>,
    /// Fixed-point weights, row after row.
    pub(crate) values: Vec<i32>,
    /// The length of a row of `values`.
    pub(crate) stride: usize,
    /// The same weights as the vector pass takes them.
    #[cfg(target_arch = "x86_64")]
    pub(super) groups: super::avx2::Groups,
    /// A row before it is rounded.
    row: Vec<f64>,
}

impl Weights {
    /// Becomes the weights of another axis, in the same memory.
    pub(crate) fn fill(&mut self, axis: &Axis, filter: Filter, arithmetic: FixedPoint) {
        let Self {
            taps, values, row, ..
        } = self;
        self.precision = axis.precision(filter, arithmetic, row);
        let unit = f64::from(1_u32 << self.precision);
        taps.clear();
        taps.extend(axis.window.clone().map(|i| axis.taps(filter, i)));
        self.stride = taps.iter().map(Range::len).max().unwrap_or(0);
        values.clear();
        values.reserve(taps.len() * self.stride);
        for (done, i) in axis.window.clone().enumerate() {
            axis.normalized(filter, i, row);
            // Adding half and truncating toward zero rounds halves away from zero.
            values.extend(
                row.iter()
                    .map(|&weight| (weight * unit + 0.5_f64.copysign(weight)) as i32),
            );
            values.resize((done + 1) * self.stride, 0);
        }
        #[cfg(target_arch = "x86_64")]
        self.groups.fill(values, self.stride);
    }

    /// The source pixels that the whole window reads.
    pub(crate) fn source(&self) -> Range<usize> {
        let start = self.taps.iter().map(|taps| taps.start).min().unwrap_or(0);
        start..self.taps.iter().map(|taps| taps.end).max().unwrap_or(start)
    }

    /// Each output's taps with their weights.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Range<usize>, &[i32])> {
        let rows = self.values.chunks_exact(self.stride.max(1));
        self.taps
            .iter()
            .zip(rows)
            .map(|(taps, row)| (taps.clone(), &row[..taps.len()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(axis: &Axis, filter: Filter, arithmetic: FixedPoint) -> Weights {
        let mut weights = Weights::default();
        weights.fill(axis, filter, arithmetic);
        weights
    }

    fn axis(input: usize, output: usize) -> Axis {
        Axis {
            input,
            output,
            window: 0..output,
        }
    }

    #[test]
    fn pillow_weights_of_a_row_sum_to_one_up_to_rounding() {
        for (input, output) in [(7, 3), (3, 7), (100, 1), (1, 100), (640, 224)] {
            let weights = weights(&axis(input, output), Filter::Bicubic, FixedPoint::Pillow);
            for (taps, row) in weights.rows() {
                let sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
                assert!(
                    (sum - (1 << 22)).abs() <= taps.len() as i64,
                    "{input} to {output}: {sum}"
                );
            }
        }
    }

    #[test]
    fn torch_weights_fit_sixteen_bits_and_use_them() {
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos] {
            for (input, output) in [(7, 3), (3, 7), (1920, 398), (300, 301)] {
                let weights = weights(&axis(input, output), filter, FixedPoint::Torch);
                let largest = weights.values.iter().copied().max().unwrap_or(0);
                assert!(largest < 1 << 15, "{filter:?} {input} to {output}");
                assert!(largest >= 1 << 13, "{filter:?} {input} to {output}: {largest}");
            }
        }
    }

    #[test]
    fn a_window_has_the_same_weights_as_the_whole_axis() {
        let whole = weights(&axis(641, 224), Filter::Lanczos, FixedPoint::Torch);
        let part = Axis {
            window: 50..60,
            ..axis(641, 224)
        };
        let part = weights(&part, Filter::Lanczos, FixedPoint::Torch);
        assert_eq!(part.precision, whole.precision);
        for ((taps, row), (whole_taps, whole_row)) in part.rows().zip(whole.rows().skip(50)) {
            assert_eq!((taps, row), (whole_taps, whole_row));
        }
    }
}
