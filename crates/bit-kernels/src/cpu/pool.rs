//! Max pooling over zero-padded images, and the global average pool with its normalization.

use super::affine::Activations;
use super::memory::Buffer;
use super::moments::{Moments, Partials, RowMoments};
use super::parallel::{Shared, for_each};
use super::shape::{Geometry, Padding, Shape, Window};
use super::simd::{Isa, Kernel, Simd};

/// Max pooling of `input` surrounded by zeros that take part in the maximum, which is what BiT's stem does (not the
/// same as ignoring the padding); the statistics of the result come with it.
///
/// # Panics
/// When the window does not fit.
pub fn max_pool(input: Activations<'_>, window: Window, padding: Padding) -> (Buffer, Shape, Moments) {
    max_pool_with(Isa::active(), input, window, padding)
}

pub(super) fn max_pool_with(
    isa: Isa,
    input: Activations<'_>,
    window: Window,
    padding: Padding,
) -> (Buffer, Shape, Moments) {
    let Some(shape) = window.output(input.shape, padding, input.shape.channels) else {
        panic!("{window:?} does not fit {:?} with {padding:?}", input.shape);
    };
    let geometry = Geometry {
        input: input.shape,
        output: shape,
        window,
        padding,
    };
    let mut data = Buffer::take(shape.len());
    let mut partials = Partials::new(shape.images, shape.height, shape.channels);
    let (out, moments) = (Shared(data.as_mut_ptr()), Shared(partials.as_mut_ptr()));
    for_each(shape.images * shape.height, |task| {
        let (image, row) = (task / shape.height, task % shape.height);
        // SAFETY: each task writes its own row of the output, then reads it for its own part of the statistics.
        unsafe {
            let to = out.at(task * shape.width * shape.channels);
            isa.run(PoolRow {
                geometry: &geometry,
                input,
                image,
                row,
                to,
            });
            let at = moments.at(partials.offset(image, row));
            isa.run(RowMoments {
                values: to,
                rows: shape.width,
                channels: shape.channels,
                at,
                stride: shape.channels,
            });
        }
    });
    (data, shape, partials.combine(shape.channels, |_, _| shape.width))
}

/// One row of output pixels of one image.
struct PoolRow<'a> {
    geometry: &'a Geometry,
    input: Activations<'a>,
    image: usize,
    row: usize,
    to: *mut f32,
}

impl Kernel for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.geometry.input.channels;
        let whole = channels - channels % S::LANES;
        let (image, reading) = self.input.image(self.image);
        let [tall, wide] = self.geometry.window.kernel;
        for x in 0..self.geometry.output.width {
            let source = |tap: usize| self.geometry.source([self.row, x], [tap / wide, tap % wide]);
            // SAFETY: `source` is inside the image, channels below `whole` come in vectors, and `to` is a row.
            unsafe {
                let to = self.to.add(x * channels);
                for channel in (0..whole).step_by(S::LANES) {
                    let mut best = S::splat(f32::NEG_INFINITY);
                    for tap in 0..tall * wide {
                        let mut value = S::splat(0.0);
                        if let Some(at) = self.geometry.source([self.row, x], [tap / wide, tap % wide]) {
                            value = reading.vector::<S>(image.add(at * channels + channel), channel);
                        }
                        best = S::max(best, value);
                    }
                    S::store(to.add(channel), best);
                }
                for channel in whole..channels {
                    let value = |tap| {
                        source(tap).map_or(0.0, |at| {
                            reading.value(image.add(at * channels + channel), channel)
                        })
                    };
                    let best = (0..tall * wide).map(value).fold(f32::NEG_INFINITY, f32::max);
                    to.add(channel).write(best);
                }
            }
        }
    }
}

/// The mean over each image's pixels of the (normalized) input: `[images, channels]`.
///
/// # Panics
/// When the images have no pixels.
pub fn global_average_pool(input: Activations<'_>) -> Vec<f32> {
    global_average_pool_with(Isa::active(), input)
}

pub(super) fn global_average_pool_with(isa: Isa, input: Activations<'_>) -> Vec<f32> {
    let Shape { images, channels, .. } = input.shape;
    assert!(input.shape.pixels() > 0, "an average needs at least one pixel");
    let chunk = 256.min(channels.max(1));
    let chunks = channels.div_ceil(chunk);
    let mut data = vec![0.0; images * channels];
    let out = Shared(data.as_mut_ptr());
    for_each(images * chunks, |task| {
        let (image, first) = (task / chunks, task % chunks * chunk);
        let count = chunk.min(channels - first);
        // SAFETY: each task writes its own channels of its own image.
        unsafe {
            isa.run(Average {
                input,
                image,
                first,
                count,
                to: out.at(image * channels + first),
            })
        }
    });
    data
}

/// The average of `count` channels from `first` of one image.
struct Average<'a> {
    input: Activations<'a>,
    image: usize,
    first: usize,
    count: usize,
    to: *mut f32,
}

impl Kernel for Average<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (pixels, channels) = (self.input.shape.pixels(), self.input.shape.channels);
        let (image, reading) = self.input.image(self.image);
        let whole = self.count - self.count % S::LANES;
        let share = 1.0 / pixels as f32;
        // SAFETY: channels stay below `first + count`, pixels inside the image.
        unsafe {
            for at in (0..whole).step_by(S::LANES) {
                let mut sum = S::splat(0.0);
                for pixel in 0..pixels {
                    let from = image.add(pixel * channels + self.first + at);
                    sum = S::add(sum, reading.vector::<S>(from, self.first + at));
                }
                S::store(self.to.add(at), S::mul(sum, S::splat(share)));
            }
            for at in whole..self.count {
                let value = |pixel: usize| {
                    reading.value(image.add(pixel * channels + self.first + at), self.first + at)
                };
                self.to.add(at).write((0..pixels).map(value).sum::<f32>() * share);
            }
        }
    }
}
