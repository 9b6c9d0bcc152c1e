//! Packing for the gradient of a convolution's weight: inputs under the window, and output gradients.

use std::ops::Range;

use super::weight::Work;
use crate::cpu::affine::Reading;
use crate::cpu::simd::{Kernel, Simd};

/// Packs what lies under the window at some pixels, for some tiles: `[tiles][pixels][rows of the tile]`.
pub(super) struct PackInputs<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) tiles: &'a [Range<usize>],
    pub(super) pixels: Range<usize>,
    /// Room for all rows at one pixel.
    pub(super) line: *mut f32,
    pub(super) to: *mut f32,
}

impl Kernel for PackInputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let rows = self.tiles[0].start..self.tiles[self.tiles.len() - 1].end;
        let depth = self.pixels.len();
        for (k, pixel) in self.pixels.clone().enumerate() {
            // SAFETY: `line` holds all rows and a vector more, `to` all tiles. A vector's surplus lanes land on the
            // tile's next pixels, which are written later.
            unsafe {
                self.line::<S>(pixel, rows.clone());
                for tile in self.tiles {
                    let from = self.line.add(tile.start);
                    let to = self.to.add((tile.start - rows.start) * depth + k * tile.len());
                    if tile.len().next_multiple_of(S::LANES) > (depth - k) * tile.len() {
                        to.copy_from_nonoverlapping(from, tile.len());
                        continue;
                    }
                    for lane in (0..tile.len()).step_by(S::LANES) {
                        S::store(to.add(lane), S::load(from.add(lane)));
                    }
                }
            }
        }
    }
}

impl PackInputs<'_> {
    /// Writes the normalized values of `rows` at `pixel`.
    #[inline(always)]
    unsafe fn line<S: Simd>(&self, pixel: usize, rows: Range<usize>) {
        let geometry = &self.work.geometry;
        let (channels, wide) = (geometry.input.channels, geometry.window.kernel[1]);
        let (image, pixel) = (pixel / geometry.output.pixels(), pixel % geometry.output.pixels());
        let at = [pixel / geometry.output.width, pixel % geometry.output.width];
        let (source, reading) = self.work.input.image(image);
        let mut row = rows.start;
        while row < rows.end {
            let (tap, channel) = (row / channels, row % channels);
            let count = (channels - channel).min(rows.end - row);
            // SAFETY: `source()` is inside the image, and `count` channels from `channel` are inside its pixel.
            unsafe {
                let to = self.line.add(row);
                match geometry.source(at, [tap / wide, tap % wide]) {
                    None => std::slice::from_raw_parts_mut(to, count).fill(0.0),
                    Some(at) => read::<S>(source.add(at * channels + channel), reading, channel, count, to),
                }
            }
            row += count;
        }
    }
}

/// `count` values from channel `channel`, normalized.
#[inline(always)]
unsafe fn read<S: Simd>(from: *const f32, reading: Reading, channel: usize, count: usize, to: *mut f32) {
    let whole = count - count % S::LANES;
    // SAFETY: the caller vouches for `count` values at each place.
    unsafe {
        for lane in (0..whole).step_by(S::LANES) {
            S::store(to.add(lane), reading.vector::<S>(from.add(lane), channel + lane));
        }
        for lane in whole..count {
            to.add(lane).write(reading.value(from.add(lane), channel + lane));
        }
    }
}

/// Packs one panel of the gradients at some pixels, zeros beyond the last channel.
pub(super) struct PackGradients<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) pixels: Range<usize>,
    pub(super) panel: usize,
    pub(super) to: *mut f32,
}

impl Kernel for PackGradients<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (channels, width) = (self.work.geometry.output.channels, 2 * S::LANES);
        let first = self.panel * width;
        let columns = width.min(channels - first);
        for (k, pixel) in self.pixels.clone().enumerate() {
            // SAFETY: `columns` channels from `first` are inside the pixel; `to` holds a panel for each pixel.
            unsafe {
                let from = self.work.gradient.as_ptr().add(pixel * channels + first);
                let to = self.to.add(k * width);
                if columns == width {
                    S::store(to, S::load(from));
                    S::store(to.add(S::LANES), S::load(from.add(S::LANES)));
                } else {
                    for column in 0..width {
                        to.add(column)
                            .write(if column < columns { *from.add(column) } else { 0.0 });
                    }
                }
            }
        }
    }
}
