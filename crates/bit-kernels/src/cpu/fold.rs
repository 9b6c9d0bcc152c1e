//! Strided convolutions of few channels, such as the stem's, as ones without stride.
//!
//! A 7x7 window of three channels that moves by two pixels is a 4x4 window of twelve channels that moves by one: the four
//! pixels of each square of two by two become channels of one pixel. Winograd's algorithm takes that one, with a third of
//! the multiplications.

use std::ops::RangeInclusive;

use super::affine::Activations;
use super::memory::Scratch;
use super::micro::BLOCK;
use super::moments::Moments;
use super::parallel::{Shared, for_each};
use super::shape::{Geometry, Padding, Shape, Window};
use super::simd::Isa;
use super::weights::Packed;
use super::winograd;

/// Rows and columns of pixels that become one.
const SIDE: usize = 2;
/// Taps of the folded window on a side.
const TAPS: usize = 4;
/// Channels of the folded image, as Winograd's algorithm wants them; the last ones may be zeros that no weight reads.
const CHANNELS: usize = BLOCK;
/// Channels that make up enough of those: with fewer the plain product is as good.
const INPUTS: RangeInclusive<usize> = 3..=CHANNELS / (SIDE * SIDE);

/// The weights of a strided convolution, for an image that is folded.
pub(super) struct Folded(Packed);

impl Folded {
    /// Folds `weight`, `[channels, inputs, taps]`, where its window is one that is better folded.
    pub(super) fn new(
        isa: Isa,
        weight: &[f32],
        [channels, inputs]: [usize; 2],
        window: Window,
        bias: Option<&[f32]>,
    ) -> Option<Folded> {
        let [tall, wide] = window.kernel;
        let taps = tall.div_ceil(SIDE) == TAPS && wide.div_ceil(SIDE) == TAPS;
        let moves = window.stride == [SIDE; 2] && window.dilation == [1; 2];
        if !(taps && moves && INPUTS.contains(&inputs)) {
            return None;
        }
        let shape = [channels, SIDE * SIDE * inputs, TAPS * TAPS];
        let mut folded = vec![0.0; shape.iter().product()];
        let filters = folded.chunks_exact_mut(shape[1] * shape[2]);
        for (from, to) in weight.chunks_exact(inputs * tall * wide).zip(filters) {
            for (at, value) in from.iter().enumerate() {
                let (input, y, x) = (at / (tall * wide), at / wide % tall, at % wide);
                let channel = (y % SIDE * SIDE + x % SIDE) * inputs + input;
                to[(channel * TAPS + y / SIDE) * TAPS + x / SIDE] = *value;
            }
        }
        Some(Folded(Packed::new(isa, &folded, shape, bias)))
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The convolution of the folded image that is the same, where it pays.
    pub(super) fn geometry(&self, of: &Geometry, input: Activations<'_>) -> Option<Geometry> {
        let Shape {
            images,
            height,
            width,
            ..
        } = of.output;
        let geometry = Geometry {
            input: Shape::new(images, height + TAPS - 1, width + TAPS - 1, CHANNELS),
            window: Window::square(TAPS, 1),
            padding: Padding::default(),
            output: of.output,
        };
        (input.affine.is_none() && winograd::applies(&geometry, &self.0)).then_some(geometry)
    }

    /// Computes the convolution as `product::convolve` does.
    ///
    /// # Safety
    /// As `product::convolve`, and `folded` is [`Folded::geometry`] of `geometry`.
    pub(super) unsafe fn convolve(
        &self,
        geometry: &Geometry,
        folded: &Geometry,
        input: Activations<'_>,
        out: *mut f32,
        residual: *const f32,
        want_moments: bool,
    ) -> Option<Moments> {
        let mut image = Scratch::take(folded.input.len());
        fold(geometry, folded.input, input.data, Shared(image.as_mut_ptr()));
        let input = Activations::new(&image, folded.input);
        // SAFETY: the caller's promises.
        unsafe { winograd::convolve(folded, &self.0, input, out, residual, want_moments) }
    }
}

/// Writes the padded images of `from` to `to`, whose shape is `folded`.
fn fold(geometry: &Geometry, folded: Shape, from: &[f32], to: Shared<f32>) {
    let Shape {
        height,
        width,
        channels,
        ..
    } = geometry.input;
    let row_len = folded.width * folded.channels;
    for_each(folded.images * folded.height, |task| {
        let (image, row) = (task / folded.height, task % folded.height);
        // SAFETY: each task has a row of its own.
        let to = unsafe { std::slice::from_raw_parts_mut(to.at(task * row_len), row_len) };
        to.fill(0.0);
        for half in 0..SIDE {
            let y = (row * SIDE + half).wrapping_sub(geometry.padding.top);
            if y < height {
                let from = &from[(image * height + y) * width * channels..][..width * channels];
                let to = &mut to[half * SIDE * channels..];
                match channels {
                    3 => fold_row::<3>(from, geometry.padding.left, to),
                    _ => fold_row::<4>(from, geometry.padding.left, to),
                }
            }
        }
    });
}

/// Writes a row of pixels, `left` pixels in, to each `CHANNELS` floats as many as fit.
fn fold_row<const INPUTS: usize>(from: &[f32], left: usize, to: &mut [f32]) {
    let pixels = from.as_chunks::<INPUTS>().0;
    for (x, pixel) in pixels.iter().enumerate() {
        let x = x + left;
        let at = x / SIDE * CHANNELS + x % SIDE * INPUTS;
        let Some(to) = to.get_mut(at..at + INPUTS) else {
            return;
        };
        to.copy_from_slice(pixel);
    }
}
