//! Inputs of tiles, transformed and packed for the micro-kernel.

use std::marker::PhantomData;

use super::grid::Grid;
use super::transform::{MOST, OUT, Scheme};
use crate::cpu::affine::Activations;
use crate::cpu::micro::BLOCK;
use crate::cpu::simd::{Kernel, Simd};

/// Transforms the inputs of `count` tiles from `first`, each point packed as a micro-kernel's tile.
///
/// `to` holds packed tiles of all input channels, one a point and `point_stride` floats apart.
pub(super) struct Inputs<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: Grid<'a>,
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
        let channels = self.input.shape.channels;
        let mut here = self.pixels(self.first);
        for row in 0..self.count {
            let (image, _) = self.grid.place(self.first + row);
            let (source, reading) = self.input.image(image);
            let ahead = if row + 1 < self.count {
                self.pixels(self.first + row + 1)
            } else {
                here
            };
            for channel in (0..channels).step_by(S::LANES) {
                let at = (channel / BLOCK * self.count + row) * BLOCK + channel % BLOCK;
                // SAFETY: pixels are inside the image, the packed place is inside the tile of `count` rows, and
                // prefetching may go anywhere.
                unsafe {
                    for y in 0..W::SIDE {
                        for x in W::SIDE - OUT * W::STRIDE..W::SIDE {
                            S::prefetch(source.wrapping_add(ahead[y][x].unwrap_or(0) + channel));
                        }
                    }
                    let reading = reading.channels::<S>(channel);
                    transform_tile::<S, W>(
                        &here,
                        source.add(channel),
                        reading,
                        self.to.add(at),
                        self.point_stride,
                    );
                }
            }
            here = ahead;
        }
    }
}

/// Where a tile's pixels start in their image; `None` in the padding.
type Pixels = [[Option<usize>; MOST]; MOST];

impl<W: Scheme> Inputs<'_, W> {
    fn pixels(&self, tile: usize) -> Pixels {
        let (_, corner) = self.grid.place(tile);
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

/// A vector of channels of one tile: read at `source`, transformed, and written to `to` and on, a point apart.
#[inline(always)]
unsafe fn transform_tile<S: Simd, W: Scheme>(
    pixels: &Pixels,
    source: *const f32,
    [scale, shift, floor]: [S::V; 3],
    to: *mut f32,
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
            let column = W::input::<S>(column);
            for y in 0..W::SIDE {
                rows[y][x] = column[y];
            }
        }
        for y in 0..W::SIDE {
            let row = W::input::<S>(rows[y]);
            for x in 0..W::SIDE {
                S::store(to.add((y * W::SIDE + x) * point_stride), row[x]);
            }
        }
    }
}
