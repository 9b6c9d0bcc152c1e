//! Between `[images, channels, height, width]` and `[images, height, width, channels]`.

use rayon::prelude::*;

use super::memory::Buffer;
use super::shape::Shape;

/// Channels-first data of `shape` (whose fields name sizes, not an order) as channels-last.
///
/// # Panics
/// When `data` has another length than `shape`.
pub fn to_channels_last(data: &[f32], shape: Shape) -> Buffer {
    assert_eq!(
        data.len(),
        shape.len(),
        "activations of {shape:?} need as many values"
    );
    transpose(data, shape.channels, shape.pixels())
}

/// Channels-last data of `shape` as channels-first.
///
/// # Panics
/// When `data` has another length than `shape`.
pub fn to_channels_first(data: &[f32], shape: Shape) -> Buffer {
    assert_eq!(
        data.len(),
        shape.len(),
        "activations of {shape:?} need as many values"
    );
    transpose(data, shape.pixels(), shape.channels)
}

/// Transposes every `rows` by `columns` matrix in `data`, in squares that stay in the first-level cache.
fn transpose(data: &[f32], rows: usize, columns: usize) -> Buffer {
    const SIDE: usize = 32;
    let mut out = Buffer::take(data.len());
    let band = (rows * SIDE).max(1);
    out.par_chunks_mut((rows * columns).max(1))
        .zip(data.par_chunks((rows * columns).max(1)))
        .for_each(|(to, from)| {
            to.par_chunks_mut(band).enumerate().for_each(|(i, to)| {
                for first_row in (0..rows).step_by(SIDE) {
                    for (column, to) in to.chunks_exact_mut(rows).enumerate() {
                        for row in first_row..rows.min(first_row + SIDE) {
                            to[row] = from[row * columns + i * SIDE + column];
                        }
                    }
                }
            });
        });
    out
}
