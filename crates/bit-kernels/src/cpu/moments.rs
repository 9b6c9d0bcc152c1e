//! GroupNorm's statistics: mean and variance of every channel of every image, gathered in parts that are safe to
//! combine, and turned into the scale and shift that the consumer of the activations applies.

use super::affine::Affine;
use super::parallel::{Shared, for_each};
use super::shape::Shape;
use super::simd::{Isa, Kernel, Simd};

/// Pixels whose statistics are taken together: few enough for f32 sums and for a first-level cache.
const PART: usize = 64;

/// Mean and variance over the pixels of each channel of each image.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Images in the batch.
    pub images: usize,
    /// Channels.
    pub channels: usize,
    /// Means, `[images, channels]`.
    pub mean: Vec<f32>,
    /// Biased variances, `[images, channels]`.
    pub variance: Vec<f32>,
}

impl Moments {
    /// GroupNorm's statistics as a scale and a shift a channel: `x * scale + shift` is the normalized activation
    /// (`torch.nn.GroupNorm` with `weight`, `bias` of `[channels]`), `relu` is carried along.
    ///
    /// # Panics
    /// When `groups` does not divide the channels or a parameter has another length.
    pub fn group_norm(
        &self,
        groups: usize,
        weight: &[f32],
        bias: &[f32],
        epsilon: f64,
        relu: bool,
    ) -> Affine {
        let channels = self.channels;
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "{groups} groups do not divide {channels} channels"
        );
        assert_eq!(
            [weight.len(), bias.len()],
            [channels; 2],
            "GroupNorm needs a weight and a bias a channel"
        );
        let size = (channels / groups).max(1);
        let mut scale = vec![0.0; self.mean.len()];
        let mut shift = vec![0.0; self.mean.len()];
        let parameters = weight.chunks(size).zip(bias.chunks(size)).cycle();
        let results = scale.chunks_mut(size).zip(shift.chunks_mut(size));
        let statistics = self.mean.chunks(size).zip(self.variance.chunks(size));
        for (((scale, shift), (means, variances)), (weight, bias)) in results.zip(statistics).zip(parameters)
        {
            let (mean, variance) = of_group(means, variances);
            let inverse = 1.0 / (variance + epsilon).sqrt();
            let results = scale.iter_mut().zip(shift);
            for ((scale, shift), (weight, bias)) in results.zip(weight.iter().zip(bias)) {
                let factor = f64::from(*weight) * inverse;
                *scale = factor as f32;
                *shift = (f64::from(*bias) - mean * factor) as f32;
            }
        }
        Affine { scale, shift, relu }
    }

    /// Mean and biased variance of `size` channels from `first`, counted over all images.
    pub(super) fn of_group(&self, first: usize, size: usize) -> (f64, f64) {
        let group = first..first + size;
        of_group(&self.mean[group.clone()], &self.variance[group])
    }
}

/// Mean and biased variance of channels that have equally many values, from those of each.
fn of_group(means: &[f32], variances: &[f32]) -> (f64, f64) {
    let share = 1.0 / means.len() as f64;
    let mean = sum(means, |mean| mean) * share;
    let between = sum(means, |channel| (channel - mean) * (channel - mean));
    let within = sum(variances, |variance| variance);
    (mean, (between + within) * share)
}

/// The sum of a term for each value, in lanes, as one sum would wait for each addition.
fn sum(values: &[f32], term: impl Fn(f64) -> f64) -> f64 {
    let (whole, rest) = values.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for values in whole {
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane += term(f64::from(*value));
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|value| term(f64::from(*value))).sum::<f64>()
}

/// Statistics in the making: each image's pixels are split into parts, and each part has a mean and a sum of
/// squared deviations a channel, `[images][parts][2][stride]`.
pub(super) struct Partials {
    pub(super) images: usize,
    pub(super) parts: usize,
    pub(super) stride: usize,
    data: Vec<f32>,
}

impl Partials {
    pub(super) fn new(images: usize, parts: usize, stride: usize) -> Partials {
        Partials {
            images,
            parts,
            stride,
            data: vec![0.0; images * parts * 2 * stride],
        }
    }

    /// The first float; part `p` of image `i` starts `offset(i, p)` after.
    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data.as_mut_ptr()
    }

    /// Floats before the means of a part; its squared deviations come `stride` later.
    pub(super) fn offset(&self, image: usize, part: usize) -> usize {
        (image * self.parts + part) * 2 * self.stride
    }

    /// The whole image's statistics of the first `channels` channels; `count(image, part)` is a part's
    /// number of pixels.
    pub(super) fn combine(&self, channels: usize, count: impl Fn(usize, usize) -> usize) -> Moments {
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for image in 0..self.images {
            let (mut seen, mut mean, mut squares) = (0.0, vec![0.0f64; channels], vec![0.0f64; channels]);
            for part in 0..self.parts {
                let n = count(image, part) as f64;
                if n == 0.0 {
                    continue;
                }
                let at = self.offset(image, part);
                let (part_mean, part_squares) = self.data[at..at + 2 * self.stride].split_at(self.stride);
                let share = n / (seen + n);
                let so_far = mean.iter_mut().zip(&mut squares);
                for ((mean, squares), (part_mean, part_squares)) in
                    so_far.zip(part_mean.iter().zip(part_squares))
                {
                    let delta = f64::from(*part_mean) - *mean;
                    *mean += delta * share;
                    *squares += f64::from(*part_squares) + delta * delta * share * seen;
                }
                seen += n;
            }
            means.extend(mean.iter().map(|&m| m as f32));
            variances.extend(squares.iter().map(|&s| (s / seen) as f32));
        }
        Moments {
            images: self.images,
            channels,
            mean: means,
            variance: variances,
        }
    }
}

/// The statistics of activations that are already in memory.
///
/// # Panics
/// When the images have no pixels.
pub fn moments(data: &[f32], shape: Shape) -> Moments {
    moments_with(Isa::active(), data, shape)
}

pub(super) fn moments_with(isa: Isa, data: &[f32], shape: Shape) -> Moments {
    assert_eq!(
        data.len(),
        shape.len(),
        "activations of {shape:?} need as many values"
    );
    assert!(shape.pixels() > 0, "statistics need at least one pixel");
    let parts = shape.pixels().div_ceil(PART);
    let bounds = |part: usize| shape.pixels() * part / parts..shape.pixels() * (part + 1) / parts;
    let mut partials = Partials::new(shape.images, parts, shape.channels);
    let to = Shared(partials.as_mut_ptr());
    for_each(shape.images * parts, |task| {
        let (image, part) = (task / parts, task % parts);
        let pixels = bounds(part);
        let values = data[(image * shape.pixels() + pixels.start) * shape.channels..].as_ptr();
        // SAFETY: the pixels are inside the data, and each task has its own part.
        unsafe {
            let at = to.at(partials.offset(image, part));
            let channels = shape.channels;
            isa.run(RowMoments {
                values,
                rows: pixels.len(),
                channels,
                at,
                stride: channels,
            });
        }
    });
    partials.combine(shape.channels, |_, part| bounds(part).len())
}

/// Mean and sum of squared deviations of each channel over adjacent pixels, in two passes.
pub(super) struct RowMoments {
    pub(super) values: *const f32,
    pub(super) rows: usize,
    pub(super) channels: usize,
    /// Where the means go; the sums of squared deviations go `stride` floats later.
    pub(super) at: *mut f32,
    pub(super) stride: usize,
}

impl Kernel for RowMoments {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let whole = self.channels - self.channels % S::LANES;
        let share = 1.0 / self.rows as f32;
        // SAFETY: the caller vouches for `rows` pixels of `channels` values and for both places.
        unsafe {
            for channel in (0..whole).step_by(S::LANES) {
                let (mut sum, mut squares) = (S::splat(0.0), S::splat(0.0));
                for row in 0..self.rows {
                    sum = S::add(sum, S::load(self.values.add(row * self.channels + channel)));
                }
                let mean = S::mul(sum, S::splat(share));
                for row in 0..self.rows {
                    let deviation = S::sub(S::load(self.values.add(row * self.channels + channel)), mean);
                    squares = S::fma(deviation, deviation, squares);
                }
                S::store(self.at.add(channel), mean);
                S::store(self.at.add(self.stride + channel), squares);
            }
            for channel in whole..self.channels {
                let value = |row: usize| *self.values.add(row * self.channels + channel);
                let mean = (0..self.rows).map(value).sum::<f32>() * share;
                let squares = (0..self.rows).map(|row| (value(row) - mean).powi(2)).sum::<f32>();
                self.at.add(channel).write(mean);
                self.at.add(self.stride + channel).write(squares);
            }
        }
    }
}

/// Adds some values of each lane's channel to the running mean at `at` and sum of squared deviations at
/// `at + stride`, which cover `seen` values so far (Chan, Golub & LeVeque 1979).
///
/// # Safety
/// Both places hold `S::LANES` floats.
#[inline(always)]
pub(super) unsafe fn add_moments<S: Simd>(
    mut values: impl ExactSizeIterator<Item = S::V> + Clone,
    at: *mut f32,
    stride: usize,
    seen: usize,
) {
    let (all, count) = (values.clone(), values.len());
    let Some(mut sum) = values.next() else { return };
    // SAFETY: the caller vouches for the two places.
    unsafe {
        for value in values {
            sum = S::add(sum, value);
        }
        let mut mean = S::mul(sum, S::splat(1.0 / count as f32));
        let mut squares = S::splat(0.0);
        for value in all {
            let deviation = S::sub(value, mean);
            squares = S::fma(deviation, deviation, squares);
        }
        if seen > 0 {
            let (old_mean, old_squares) = (S::load(at), S::load(at.add(stride)));
            let share = count as f32 / (seen + count) as f32;
            let delta = S::sub(mean, old_mean);
            mean = S::fma(delta, S::splat(share), old_mean);
            let between = S::mul(S::mul(delta, delta), S::splat(share * seen as f32));
            squares = S::add(S::add(squares, old_squares), between);
        }
        S::store(at, mean);
        S::store(at.add(stride), squares);
    }
}
