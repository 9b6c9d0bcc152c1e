//! Passes over activations that no convolution can take along: normalization on its own, and the sum that ends a
//! post-activation block.

use super::affine::Activations;
use super::memory::Buffer;
use super::parallel::{Shared, for_each};
use super::simd::{Isa, Kernel, Simd};

/// Values a task handles.
const CHUNK: usize = 16 * 1024;

/// The (normalized) input itself, `[images, height, width, channels]`.
pub fn normalize(input: Activations<'_>) -> Buffer {
    pointwise_with(Isa::active(), input, None, false)
}

/// The sum of two (normalized) inputs, then ReLU if `relu`: how a post-activation block ends.
///
/// # Panics
/// When the shapes differ.
pub fn add(left: Activations<'_>, right: Activations<'_>, relu: bool) -> Buffer {
    pointwise_with(Isa::active(), left, Some(right), relu)
}

pub(super) fn pointwise_with(
    isa: Isa,
    left: Activations<'_>,
    right: Option<Activations<'_>>,
    relu: bool,
) -> Buffer {
    let shape = left.shape;
    assert!(
        right.is_none_or(|right| right.shape == shape),
        "both summands have the shape {shape:?}"
    );
    let mut data = Buffer::take(shape.len());
    let out = Shared(data.as_mut_ptr());
    let pixels = (CHUNK / shape.channels.max(1)).max(1);
    let parts = shape.pixels().div_ceil(pixels);
    for_each(shape.images * parts, |task| {
        let (image, first) = (task / parts, task % parts * pixels);
        let count = pixels.min(shape.pixels() - first);
        // SAFETY: each task writes its own pixels.
        unsafe {
            let to = out.at((image * shape.pixels() + first) * shape.channels);
            isa.run(Pixels {
                left,
                right,
                relu,
                image,
                first,
                count,
                to,
            });
        }
    });
    data
}

/// `count` pixels from `first` of one image.
struct Pixels<'a> {
    left: Activations<'a>,
    right: Option<Activations<'a>>,
    relu: bool,
    image: usize,
    first: usize,
    count: usize,
    to: *mut f32,
}

impl Kernel for Pixels<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.left.shape.channels;
        let whole = channels - channels % S::LANES;
        let (left, left_reading) = self.left.image(self.image);
        let right = self.right.map(|right| right.image(self.image));
        // SAFETY: pixels stay inside the image, vectors inside a pixel.
        unsafe {
            for pixel in 0..self.count {
                let at = (self.first + pixel) * channels;
                let to = self.to.add(pixel * channels);
                for channel in (0..whole).step_by(S::LANES) {
                    let mut value = left_reading.vector::<S>(left.add(at + channel), channel);
                    if let Some((right, reading)) = right {
                        value = S::add(value, reading.vector::<S>(right.add(at + channel), channel));
                    }
                    S::store(
                        to.add(channel),
                        if self.relu {
                            S::max(S::splat(0.0), value)
                        } else {
                            value
                        },
                    );
                }
                for channel in whole..channels {
                    let mut value = left_reading.value(left.add(at + channel), channel);
                    if let Some((right, reading)) = right {
                        value += reading.value(right.add(at + channel), channel);
                    }
                    to.add(channel)
                        .write(if self.relu && value < 0.0 { 0.0 } else { value });
                }
            }
        }
    }
}
