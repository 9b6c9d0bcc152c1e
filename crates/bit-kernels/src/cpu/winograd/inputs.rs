//! Inputs of tiles, transformed and packed for the micro-kernel.

use std::marker::PhantomData;

use super::grid::{Grid, common};
use super::transform::{MOST, Scheme};
use crate::cpu::affine::Activations;
use crate::cpu::micro::BLOCK;
use crate::cpu::simd::{Kernel, Simd};

/// Transforms the inputs of `count` tiles from `first`, each point packed as a micro-kernel's tile.
///
/// `to` holds packed tiles of all input channels, one a point and `point_stride` floats apart.
pub(super) struct Inputs<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: &'a Grid<'a>,
    pub(super) input: Activations<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) to: *mut f32,
    pub(super) point_stride: usize,
}

impl<W: Scheme> Kernel for Inputs<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (channels, tiles) = (self.input.shape.channels, self.first..self.first + self.count);
        let parts = KINDS_OF_POINTS.map(|kind| common(&tiles, &self.grid.taking_part(kind)));
        // As most are; then one place and no conditions are enough.
        let uniform = parts.iter().all(|part| *part == tiles);
        let mut here = self.pixels(self.first);
        for tile in tiles.clone() {
            let place = self.grid.place(tile);
            let (source, reading) = self.input.image(place.image);
            let ahead = if tile + 1 < tiles.end {
                self.pixels(tile + 1)
            } else {
                here
            };
            for channel in (0..channels).step_by(S::LANES) {
                // Where the tile is none of a part's, nothing is written there.
                let to = parts.each_ref().map(|part| {
                    let row = tile.wrapping_sub(part.start);
                    let at = (channel / BLOCK * part.len())
                        .wrapping_add(row)
                        .wrapping_mul(BLOCK);
                    self.to.wrapping_add(at.wrapping_add(channel % BLOCK))
                });
                // SAFETY: pixels are inside the image, the packed places are inside the parts of those kinds of points
                // that the tile has, and prefetching may go anywhere.
                unsafe {
                    for y in 0..W::SIDE {
                        for x in W::SIDE - W::OUT * W::STRIDE..W::SIDE {
                            S::prefetch(source.wrapping_add(ahead[y][x].unwrap_or(0) + channel));
                        }
                    }
                    let reading = reading.channels::<S>(channel);
                    let source = source.add(channel);
                    if uniform {
                        let (short, to) = ([false; 2], [to[0]; 4]);
                        transform_tile::<S, W>(&here, short, source, reading, to, self.point_stride);
                    } else {
                        transform_tile::<S, W>(&here, place.short, source, reading, to, self.point_stride);
                    }
                }
            }
            here = ahead;
        }
    }
}

/// The kinds of points, by whether tiles with short rows, or columns, lack them; `kind_of_point` is an index.
const KINDS_OF_POINTS: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

#[inline(always)]
fn kind_of_point<W: Scheme>(y: usize, x: usize) -> usize {
    2 * usize::from(W::lacks(y)) + usize::from(W::lacks(x))
}

/// Where a tile's pixels start in their image; `None` in the padding.
type Pixels = [[Option<usize>; MOST]; MOST];

impl<W: Scheme> Inputs<'_, W> {
    fn pixels(&self, tile: usize) -> Pixels {
        let corner = self.grid.place(tile).corner;
        let mut pixels = [[None; MOST]; MOST];
        for y in 0..W::SIDE {
            for x in 0..W::SIDE {
                let pixel = self.grid.geometry.source(corner, [y, x]);
                pixels[y][x] = pixel.map(|pixel| pixel * self.input.shape.channels);
            }
        }
        pixels
    }
}

/// A vector of channels of one tile: read at `source`, transformed, and written for each kind of points to `to` and on,
/// a point apart.
#[inline(always)]
unsafe fn transform_tile<S: Simd, W: Scheme>(
    pixels: &Pixels,
    [short_rows, short_columns]: [bool; 2],
    source: *const f32,
    [scale, shift, floor]: [S::V; 3],
    to: [*mut f32; 4],
    point_stride: usize,
) {
    // SAFETY: the caller vouches for the pixels and the points.
    unsafe {
        let mut rows = [[S::splat(0.0); MOST]; MOST];
        for x in 0..W::SIDE {
            let mut column = [S::splat(0.0); MOST];
            for y in 0..W::SIDE {
                if let Some(at) = pixels[y][x] {
                    column[y] = S::max(floor, S::fma(S::load(source.add(at)), scale, shift));
                }
            }
            let column = if short_rows {
                W::input_short::<S>(column)
            } else {
                W::input::<S>(column)
            };
            for y in 0..W::SIDE {
                rows[y][x] = column[y];
            }
        }
        for y in 0..W::SIDE {
            if short_rows && W::lacks(y) {
                continue;
            }
            let row = if short_columns {
                W::input_short::<S>(rows[y])
            } else {
                W::input::<S>(rows[y])
            };
            for x in 0..W::SIDE {
                if !(short_columns && W::lacks(x)) {
                    let to = to[kind_of_point::<W>(y, x)];
                    S::store(to.add((y * W::SIDE + x) * point_stride), row[x]);
                }
            }
        }
    }
}
