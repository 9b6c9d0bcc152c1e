//! The two passes of GroupNorm's gradient over an image: sums for each channel, then the input's gradient.

use crate::cpu::simd::{Kernel, Simd};

/// Adjacent pixels of an image.
pub(super) struct Pixels<'a> {
    pub(super) input: *const f32,
    pub(super) gradient: *const f32,
    /// Where the input's gradient goes, or is added to.
    pub(super) onto: *mut f32,
    pub(super) add: bool,
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    pub(super) relu: bool,
    pub(super) count: usize,
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
pub(super) struct Sums<'a> {
    pub(super) pixels: Pixels<'a>,
    pub(super) centre: &'a [f32],
    pub(super) to: &'a mut [f32],
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
pub(super) struct Apply<'a> {
    pub(super) pixels: Pixels<'a>,
    pub(super) factors: &'a [f32],
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
