//! The gradient of GroupNorm and of the ReLU after it: two passes over activations and gradients, the second of which
//! writes in place.

use crate::cpu::affine::Affine;
use crate::cpu::memory::Buffer;
use crate::cpu::moments::Moments;
use crate::cpu::parallel::{Shared, for_each};
use crate::cpu::shape::Shape;
use crate::cpu::simd::{Isa, Kernel, Simd};

/// Pixels whose sums are taken together in f32.
const PART: usize = 64;

/// What GroupNorm's gradient is computed from.
#[derive(Clone, Copy)]
pub struct GroupNormGradient<'a> {
    /// What was normalized, `[images, height, width, channels]`.
    pub input: &'a [f32],
    /// The shape of `input`.
    pub shape: Shape,
    /// Its statistics.
    pub moments: &'a Moments,
    /// What [`Moments::group_norm`] made of them.
    pub affine: &'a Affine,
    /// Number of groups.
    pub groups: usize,
    /// GroupNorm's weight, `[channels]`.
    pub weight: &'a [f32],
    /// Added to a variance before its root.
    pub epsilon: f64,
}

/// Gradients of GroupNorm's weight and bias, `[channels]` each.
pub struct AffineGradient {
    /// Of the weight.
    pub weight: Vec<f32>,
    /// Of the bias.
    pub bias: Vec<f32>,
}

/// Turns `gradient`, the output's, into the input's and adds it to `onto`.
///
/// # Panics
/// When a length is not that of the shape.
pub fn group_norm_gradient(
    of: GroupNormGradient<'_>,
    gradient: Buffer,
    onto: Option<Buffer>,
) -> (Buffer, AffineGradient) {
    group_norm_gradient_with(Isa::active(), of, gradient, onto)
}

pub(in crate::cpu) fn group_norm_gradient_with(
    isa: Isa,
    of: GroupNormGradient<'_>,
    mut gradient: Buffer,
    mut onto: Option<Buffer>,
) -> (Buffer, AffineGradient) {
    let Shape { images, channels, .. } = of.shape;
    let lengths = [
        of.input.len(),
        gradient.len(),
        onto.as_ref().map_or(of.input.len(), |onto| onto.len()),
    ];
    assert_eq!(
        lengths,
        [of.shape.len(); 3],
        "activations and gradients of {:?}",
        of.shape
    );
    assert_eq!(
        [
            of.affine.scale.len(),
            of.moments.mean.len(),
            of.weight.len() * images
        ],
        [images * channels; 3],
        "statistics of {:?}",
        of.shape
    );
    let mut sums = vec![0.0f64; images * 2 * channels];
    let work = Work {
        isa,
        of,
        gradient: Shared(gradient.as_mut_ptr()),
        onto: onto.as_mut().map(|onto| Shared(onto.as_mut_ptr())),
    };
    let to = Shared(sums.as_mut_ptr());
    for_each(images, |image| {
        // SAFETY: each task has its own image, and its own sums.
        unsafe {
            let sums = std::slice::from_raw_parts_mut(to.at(image * 2 * channels), 2 * channels);
            work.sum(image, sums);
            work.apply(image, sums);
        }
    });
    let total = |first: usize| {
        let channel = |c| {
            (0..images)
                .map(|image| sums[image * 2 * channels + first + c])
                .sum::<f64>() as f32
        };
        (0..channels).map(channel).collect()
    };
    let parameters = AffineGradient {
        weight: total(channels),
        bias: total(0),
    };
    let gradient = match onto {
        Some(onto) => onto,
        None => gradient,
    };
    (gradient, parameters)
}

struct Work<'a> {
    isa: Isa,
    of: GroupNormGradient<'a>,
    gradient: Shared<f32>,
    onto: Option<Shared<f32>>,
}

impl Work<'_> {
    /// For each channel of an image the sum of the gradients before ReLU, and that of their products by the normalized
    /// activations.
    unsafe fn sum(&self, image: usize, sums: &mut [f64]) {
        let channels = self.of.shape.channels;
        let groups = self.groups(image);
        let centre: Vec<f32> = groups.iter().map(|&(mean, _)| mean as f32).collect();
        let mut part = vec![0.0f32; 2 * channels];
        for first in (0..self.of.shape.pixels()).step_by(PART) {
            let count = PART.min(self.of.shape.pixels() - first);
            part.fill(0.0);
            // SAFETY: the pixels are inside the image.
            unsafe {
                self.isa.run(Sums {
                    pixels: self.pixels(image, first, count),
                    centre: &centre,
                    to: &mut part,
                })
            };
            sums.iter_mut()
                .zip(&part)
                .for_each(|(sum, part)| *sum += f64::from(*part));
        }
        for (sum, (_, inverse)) in sums[channels..].iter_mut().zip(&groups) {
            *sum *= inverse;
        }
    }

    /// Writes the input's gradient: `inverse * (weight * g - mean(weight * g) - x * mean(weight * g * x))` with the
    /// normalized activation `x` and means over the group.
    unsafe fn apply(&self, image: usize, sums: &[f64]) {
        let Shape { channels, .. } = self.of.shape;
        let size = channels / self.of.groups;
        let count = (size * self.of.shape.pixels()) as f64;
        let (bias, weight) = sums.split_at(channels);
        let groups = self.groups(image);
        let mut factors = vec![0.0f32; 3 * channels];
        for first in (0..channels).step_by(size) {
            let mean = |sums: &[f64]| {
                let terms = (first..first + size).map(|c| f64::from(self.of.weight[c]) * sums[c]);
                terms.sum::<f64>() / count
            };
            let (mean_bias, mean_weight) = (mean(bias), mean(weight));
            for c in first..first + size {
                let (centre, inverse) = groups[c];
                let slope = -inverse * inverse * mean_weight;
                factors[c] = (f64::from(self.of.weight[c]) * inverse) as f32;
                factors[channels + c] = slope as f32;
                factors[2 * channels + c] = (-inverse * mean_bias - slope * centre) as f32;
            }
        }
        // SAFETY: the pixels are inside the image.
        unsafe {
            self.isa.run(Apply {
                pixels: self.pixels(image, 0, self.of.shape.pixels()),
                factors: &factors,
            })
        };
    }

    /// Mean and inverse deviation of each channel's group.
    fn groups(&self, image: usize) -> Vec<(f64, f64)> {
        let channels = self.of.shape.channels;
        let size = channels / self.of.groups;
        (0..channels)
            .step_by(size)
            .flat_map(|first| {
                let (mean, variance) = self.of.moments.of_group(image * channels + first, size);
                std::iter::repeat_n((mean, 1.0 / (variance + self.of.epsilon).sqrt()), size)
            })
            .collect()
    }

    unsafe fn pixels(&self, image: usize, first: usize, count: usize) -> Pixels<'_> {
        let channels = self.of.shape.channels;
        let at = (image * self.of.shape.pixels() + first) * channels;
        // SAFETY: the caller vouches for the pixels.
        unsafe {
            Pixels {
                input: self.of.input[at..].as_ptr(),
                gradient: self.gradient.at(at),
                onto: self.onto.map_or(self.gradient.at(at), |onto| onto.at(at)),
                add: self.onto.is_some(),
                scale: &self.of.affine.scale[image * channels..][..channels],
                shift: &self.of.affine.shift[image * channels..][..channels],
                relu: self.of.affine.relu,
                count,
            }
        }
    }
}

/// Adjacent pixels of an image.
struct Pixels<'a> {
    input: *const f32,
    gradient: *const f32,
    /// Where the input's gradient goes, or is added to.
    onto: *mut f32,
    add: bool,
    scale: &'a [f32],
    shift: &'a [f32],
    relu: bool,
    count: usize,
}

impl Pixels<'_> {
    /// The activations and gradients before ReLU of the vector `at` values on, whose first channel is `channel`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, at: usize, channel: usize) -> [S::V; 2] {
        // SAFETY: the caller vouches for a vector there.
        unsafe {
            let (value, gradient) = (S::load(self.input.add(at)), S::load(self.gradient.add(at)));
            if !self.relu {
                return [value, gradient];
            }
            let scale = S::load(self.scale.as_ptr().add(channel));
            let shift = S::load(self.shift.as_ptr().add(channel));
            [value, S::keep_positive(S::fma(value, scale, shift), gradient)]
        }
    }

    /// As [`Pixels::vector`], for one value.
    #[inline(always)]
    unsafe fn value(&self, at: usize, channel: usize) -> [f32; 2] {
        // SAFETY: the caller vouches for the value.
        let (value, gradient) = unsafe { (*self.input.add(at), *self.gradient.add(at)) };
        let passes = !self.relu || value * self.scale[channel] + self.shift[channel] > 0.0;
        [value, if passes { gradient } else { 0.0 }]
    }
}

/// Adds up gradients, and their products by the centred activations, for each channel: `[2][channels]`.
struct Sums<'a> {
    pixels: Pixels<'a>,
    centre: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Sums<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.centre.len();
        let whole = channels - channels % S::LANES;
        // SAFETY: channels below `whole` come in vectors, in pixels and sums.
        unsafe {
            for channel in (0..whole).step_by(S::LANES) {
                let centre = S::load(self.centre.as_ptr().add(channel));
                let (mut sum, mut products) = (S::splat(0.0), S::splat(0.0));
                for pixel in 0..self.pixels.count {
                    let [value, gradient] = self.pixels.vector::<S>(pixel * channels + channel, channel);
                    sum = S::add(sum, gradient);
                    products = S::fma(S::sub(value, centre), gradient, products);
                }
                S::store(self.to.as_mut_ptr().add(channel), sum);
                S::store(self.to.as_mut_ptr().add(channels + channel), products);
            }
            for channel in whole..channels {
                for pixel in 0..self.pixels.count {
                    let [value, gradient] = self.pixels.value(pixel * channels + channel, channel);
                    self.to[channel] += gradient;
                    self.to[channels + channel] += gradient * (value - self.centre[channel]);
                }
            }
        }
    }
}

/// Writes `factor * gradient + slope * activation + summand`, with `factors` of `[3][channels]`.
struct Apply<'a> {
    pixels: Pixels<'a>,
    factors: &'a [f32],
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.factors.len() / 3;
        let whole = channels - channels % S::LANES;
        let factors = self.factors.as_ptr();
        // SAFETY: channels below `whole` come in vectors, in pixels and factors; the output is written after its
        // gradient has been read.
        unsafe {
            for pixel in 0..self.pixels.count {
                for channel in (0..whole).step_by(S::LANES) {
                    let at = pixel * channels + channel;
                    let [value, gradient] = self.pixels.vector::<S>(at, channel);
                    let slope = S::load(factors.add(channels + channel));
                    let rest = S::fma(value, slope, S::load(factors.add(2 * channels + channel)));
                    let sum = S::fma(gradient, S::load(factors.add(channel)), rest);
                    let to = self.pixels.onto.add(at);
                    S::store(
                        to,
                        if self.pixels.add {
                            S::add(S::load(to), sum)
                        } else {
                            sum
                        },
                    );
                }
                for channel in whole..channels {
                    let at = pixel * channels + channel;
                    let [value, gradient] = self.pixels.value(at, channel);
                    let rest =
                        value * self.factors[channels + channel] + self.factors[2 * channels + channel];
                    let before = if self.pixels.add {
                        *self.pixels.onto.add(at)
                    } else {
                        0.0
                    };
                    self.pixels
                        .onto
                        .add(at)
                        .write(before + gradient * self.factors[channel] + rest);
                }
            }
        }
    }
}
