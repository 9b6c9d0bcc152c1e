//! Sums of products, transformed to the outputs of tiles.

use std::marker::PhantomData;

use super::grid::{Grid, Place};
use super::transform::{MOST, OUT, Scheme};
use crate::cpu::moments::add_moments;
use crate::cpu::simd::{Kernel, Simd};

/// Transforms the sums of `count` tiles from `first` to outputs of one panel, and adds bias and residual.
pub(super) struct Outputs<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: &'a Grid<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
    /// `[points][count][panel width]`
    pub(super) sums: *const f32,
    /// The panel's bias, or null.
    pub(super) bias: *const f32,
    /// The panel's channels of the output's (and the residual's, or null) first pixel.
    pub(super) out: *mut f32,
    pub(super) residual: *const f32,
    /// The panel's channels of the first image's statistics, or null; those of the next image and the squared
    /// deviations are so many floats on.
    pub(super) moments: *mut f32,
    pub(super) moments_image: usize,
    pub(super) moments_stride: usize,
    /// The first tile whose values are in these statistics.
    pub(super) since: usize,
}

impl<W: Scheme> Kernel for Outputs<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut seen = self.seen_before(self.first);
        for row in 0..self.count {
            let place = self.grid.place(self.first + row);
            for half in 0..2 {
                // SAFETY: the sums of `row` and half a panel's channels of output, residual and statistics.
                unsafe {
                    let mut values = if place.short == [false; 2] {
                        self.tile::<S>(row, half, [false; 2])
                    } else {
                        self.tile::<S>(row, half, place.short)
                    };
                    let values = self.finish::<S>(&mut values, place, half);
                    if !self.moments.is_null() {
                        let at = self
                            .moments
                            .add(place.image * self.moments_image + half * S::LANES);
                        add_moments::<S>(values.iter().copied(), at, self.moments_stride, seen);
                    }
                }
            }
            seen += place.extent[0] * place.extent[1];
            if row + 1 < self.count && self.grid.place(self.first + row + 1).image != place.image {
                seen = self.seen_before(self.first + row + 1);
            }
        }
    }
}

impl<W: Scheme> Outputs<'_, W> {
    /// Pixels of a tile's image that are in the statistics before the tile itself.
    fn seen_before(&self, tile: usize) -> usize {
        self.grid.pixels(self.grid.place(tile).image, self.since..tile)
    }

    /// Half a panel's outputs of the tile in `row`, before clipping.
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, row: usize, half: usize, short: [bool; 2]) -> [S::V; OUT * OUT] {
        let width = 2 * S::LANES;
        // SAFETY: the caller vouches for the sums.
        unsafe {
            let sums = self.sums.add(row * width + half * S::LANES);
            let mut rows = [[S::splat(0.0); MOST]; OUT];
            for x in 0..W::SIDE {
                let mut column = [S::splat(0.0); MOST];
                for y in 0..W::SIDE {
                    column[y] = S::load(sums.add((y * W::SIDE + x) * self.count * width));
                }
                let column = outputs::<S, W>(column, short[0]);
                for y in 0..W::OUT {
                    rows[y][x] = column[y];
                }
            }
            let mut values = [S::splat(0.0); OUT * OUT];
            for (y, row) in rows.into_iter().enumerate().take(W::OUT) {
                values[y * OUT..][..OUT].copy_from_slice(&outputs::<S, W>(row, short[1]));
            }
            values
        }
    }

    /// Adds bias and residual and stores; returns the values inside the output.
    #[inline(always)]
    unsafe fn finish<'v, S: Simd>(
        &self,
        values: &'v mut [S::V; OUT * OUT],
        place: &Place,
        half: usize,
    ) -> &'v [S::V] {
        let shape = self.grid.geometry.output;
        let ([top, left], [tall, wide]) = (place.corner, place.extent);
        // SAFETY: only pixels inside the output are touched.
        unsafe {
            for (y, x) in (0..tall).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                let pixel = (place.image * shape.height + top + y) * shape.width + left + x;
                let at = pixel * shape.channels + half * S::LANES;
                let mut value = values[y * OUT + x];
                if !self.bias.is_null() {
                    value = S::add(value, S::load(self.bias.add(half * S::LANES)));
                }
                if !self.residual.is_null() {
                    value = S::add(value, S::load(self.residual.add(at)));
                }
                S::store(self.out.add(at), value);
                values[y * wide + x] = value;
            }
        }
        &values[..tall * wide]
    }
}

#[inline(always)]
unsafe fn outputs<S: Simd, W: Scheme>(sums: [S::V; MOST], short: bool) -> [S::V; OUT] {
    // SAFETY: register arithmetic.
    unsafe {
        if short {
            W::output_short::<S>(sums)
        } else {
            W::output::<S>(sums)
        }
    }
}
