//! The gradient of GroupNorm and of the ReLU after it: two passes over activations and gradients, the second of which
//! writes in place.

use super::norm_passes::{Apply, Pixels, Sums};
use crate::cpu::affine::Affine;
use crate::cpu::memory::Buffer;
use crate::cpu::moments::Moments;
use crate::cpu::parallel::{Shared, for_each};
use crate::cpu::shape::Shape;
use crate::cpu::simd::Isa;

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
