//! The gradient of max pooling: it goes to the first of the largest values under each window, and nowhere where that is
//! a zero of the padding.

use crate::cpu::affine::Activations;
use crate::cpu::memory::{Buffer, Scratch};
use crate::cpu::parallel::{Shared, for_each};
use crate::cpu::shape::{Geometry, Padding, Window};

/// The gradient of the (normalized) input of [`max_pool`](crate::cpu::max_pool), added to `onto`; `gradient` is the
/// output's.
///
/// # Panics
/// When the window does not fit, or a length is not its shape's.
pub fn max_pool_gradient(
    input: Activations<'_>,
    gradient: &[f32],
    window: Window,
    padding: Padding,
    onto: Option<Buffer>,
) -> Buffer {
    let Some(output) = window.output(input.shape, padding, input.shape.channels) else {
        panic!("{window:?} does not fit {:?} with {padding:?}", input.shape);
    };
    assert_eq!(gradient.len(), output.len(), "a gradient of shape {output:?}");
    let geometry = Geometry {
        input: input.shape,
        output,
        window,
        padding,
    };
    let mut sum = onto.unwrap_or_else(|| {
        let mut zeros = Buffer::take(input.shape.len());
        zeros.fill(0.0);
        zeros
    });
    assert_eq!(
        sum.len(),
        input.shape.len(),
        "a gradient of shape {:?}",
        input.shape
    );
    let to = Shared(sum.as_mut_ptr());
    let (pixels, channels) = (input.shape.pixels() * input.shape.channels, output.channels);
    for_each(output.images, |image| {
        // SAFETY: each task adds to its own image.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(image * pixels), pixels) };
        let mut window = Window2d::new(&geometry, input, image);
        for pixel in 0..output.pixels() {
            let at = (image * output.pixels() + pixel) * channels;
            window.share(
                [pixel / output.width, pixel % output.width],
                &gradient[at..][..channels],
                to,
            );
        }
    });
    sum
}

/// The window over one image, with what was the largest under it at each channel.
struct Window2d<'a> {
    geometry: &'a Geometry,
    input: Activations<'a>,
    image: usize,
    largest: Scratch,
    values: Scratch,
    /// Which tap that is, as a float, so that it is as wide as the values.
    winners: Scratch,
}

impl<'a> Window2d<'a> {
    fn new(geometry: &'a Geometry, input: Activations<'a>, image: usize) -> Self {
        let channels = geometry.input.channels;
        Window2d {
            geometry,
            input,
            image,
            largest: Scratch::take(channels),
            values: Scratch::take(channels),
            winners: Scratch::take(channels),
        }
    }

    /// Adds the gradient of output pixel `at` to those of the inputs that it came from.
    fn share(&mut self, at: [usize; 2], gradient: &[f32], to: &mut [f32]) {
        let [tall, wide] = self.geometry.window.kernel;
        let channels = self.geometry.input.channels;
        self.largest.fill(f32::NEG_INFINITY);
        self.winners.fill(-1.0);
        for tap in 0..tall * wide {
            let pixel = self.geometry.source(at, [tap / wide, tap % wide]);
            self.read(pixel);
            let found = self
                .largest
                .iter_mut()
                .zip(self.winners.iter_mut())
                .zip(self.values.iter());
            for ((largest, winner), &value) in found {
                let wins = value > *largest;
                *largest = if wins { value } else { *largest };
                *winner = if wins { tap as f32 } else { *winner };
            }
        }
        for tap in 0..tall * wide {
            let Some(pixel) = self.geometry.source(at, [tap / wide, tap % wide]) else {
                continue;
            };
            let to = &mut to[pixel * channels..][..channels];
            for ((to, &winner), &gradient) in to.iter_mut().zip(self.winners.iter()).zip(gradient) {
                *to += if winner == tap as f32 { gradient } else { 0.0 };
            }
        }
    }

    /// The normalized values of a pixel of the image, zeros in the padding.
    fn read(&mut self, pixel: Option<usize>) {
        let Some(pixel) = pixel else {
            return self.values.fill(0.0);
        };
        let channels = self.geometry.input.channels;
        let from = (self.image * self.geometry.input.pixels() + pixel) * channels;
        self.values.copy_from_slice(&self.input.data[from..][..channels]);
        if let Some(affine) = self.input.affine {
            let (scale, shift) = (
                &affine.scale[self.image * channels..],
                &affine.shift[self.image * channels..],
            );
            for ((value, scale), shift) in self.values.iter_mut().zip(scale).zip(shift) {
                let normalized = *value * scale + shift;
                *value = if affine.relu && normalized < 0.0 {
                    0.0
                } else {
                    normalized
                };
            }
        }
    }
}
