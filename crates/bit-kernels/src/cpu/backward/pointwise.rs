//! Gradients that need no more than a pass over the values.

use rayon::prelude::*;

use crate::cpu::memory::Buffer;
use crate::cpu::shape::Shape;

/// Values a task handles.
const CHUNK: usize = 16 * 1024;

/// `onto + gradient`, where there is something to add to.
///
/// # Panics
/// When the lengths differ.
pub fn add_in_place(onto: Option<Buffer>, gradient: Buffer) -> Buffer {
    let Some(mut onto) = onto else { return gradient };
    add_slice(&mut onto, &gradient);
    onto
}

/// As [`add_in_place`], for a gradient that is needed again.
///
/// # Panics
/// When the lengths differ.
pub fn add_copy(onto: Option<Buffer>, gradient: &Buffer) -> Buffer {
    match onto {
        None => {
            let mut copy = Buffer::take(gradient.len());
            copy.copy_from_slice(gradient);
            copy
        }
        Some(mut onto) => {
            add_slice(&mut onto, gradient);
            onto
        }
    }
}

/// Adds `gradient` to `onto`.
fn add_slice(onto: &mut [f32], gradient: &[f32]) {
    assert_eq!(onto.len(), gradient.len(), "gradients of one activation");
    onto.par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .for_each(|(onto, gradient)| onto.iter_mut().zip(gradient).for_each(|(a, b)| *a += b));
}

/// The gradient before a ReLU: `gradient` where `output` is larger than zero, and zero elsewhere.
///
/// # Panics
/// When the lengths differ.
pub fn relu_gradient(mut gradient: Buffer, output: &[f32]) -> Buffer {
    assert_eq!(gradient.len(), output.len(), "a gradient for each output");
    gradient
        .par_chunks_mut(CHUNK)
        .zip(output.par_chunks(CHUNK))
        .for_each(|(gradient, output)| {
            for (gradient, &output) in gradient.iter_mut().zip(output) {
                *gradient = if output > 0.0 { *gradient } else { 0.0 };
            }
        });
    gradient
}

/// The gradient before a global average: `gradient`, `[images, channels]`, in equal parts for all pixels, added to
/// `onto`.
///
/// # Panics
/// When the lengths are not those of `shape`.
pub fn global_average_pool_gradient(gradient: &[f32], shape: Shape, onto: Option<Buffer>) -> Buffer {
    assert_eq!(
        gradient.len(),
        shape.images * shape.channels,
        "a gradient for each average of {shape:?}"
    );
    let (share, channels) = (1.0 / shape.pixels() as f32, shape.channels.max(1));
    let mut spread = Buffer::take(shape.len());
    spread
        .par_chunks_mut((shape.pixels() * channels).max(1))
        .zip(gradient.par_chunks(channels))
        .for_each(|(image, gradient)| {
            for pixel in image.chunks_exact_mut(channels) {
                pixel
                    .iter_mut()
                    .zip(gradient)
                    .for_each(|(to, from)| *to = from * share);
            }
        });
    add_in_place(onto, spread)
}
