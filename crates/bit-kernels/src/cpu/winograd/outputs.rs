//! Sums of products, transformed to the outputs of tiles.

use std::marker::PhantomData;

use super::grid::Grid;
use super::transform::{MOST, OUT, Scheme};
use crate::cpu::micro::add_moments;
use crate::cpu::simd::{Kernel, Simd};

/// Transforms the sums of `count` tiles from `first` to outputs of one panel, and adds bias and residual.
pub(super) struct Outputs<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: Grid<'a>,
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
        let mut seen = self.seen_before();
        for row in 0..self.count {
            let (image, corner) = self.grid.place(self.first + row);
            if image != self.grid.place((self.first + row).saturating_sub(1)).0 {
                seen = 0;
            }
            let [tall, wide] = self.grid.extent(corner);
            for half in 0..2 {
                // SAFETY: the sums of `row` and half a panel's channels of output, residual and statistics.
                unsafe {
                    let mut values = self.tile::<S>(row, half);
                    self.finish::<S>(&mut values, image, corner, half);
                    if !self.moments.is_null() {
                        let at = self.moments.add(image * self.moments_image + half * S::LANES);
                        add_moments::<S>(&values[..tall * wide], at, self.moments_stride, seen);
                    }
                }
            }
            seen += tall * wide;
        }
    }
}

impl<W: Scheme> Outputs<'_, W> {
    /// Pixels of the first tile's image that are in the statistics already.
    fn seen_before(&self) -> usize {
        let (image, _) = self.grid.place(self.first);
        let from = self.since.max(image * self.grid.per_image());
        let pixels = |tile| {
            self.grid
                .extent(self.grid.place(tile).1)
                .iter()
                .product::<usize>()
        };
        (from..self.first).map(pixels).sum()
    }

    /// Half a panel's outputs of the tile in `row`, before clipping.
    #[inline(always)]
    unsafe fn tile<S: Simd>(&self, row: usize, half: usize) -> [S::V; OUT * OUT] {
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
                let column = W::output::<S>(column);
                for y in 0..OUT {
                    rows[y][x] = column[y];
                }
            }
            let mut values = [S::splat(0.0); OUT * OUT];
            for (y, row) in rows.into_iter().enumerate() {
                values[y * OUT..][..OUT].copy_from_slice(&W::output::<S>(row));
            }
            values
        }
    }

    /// Adds bias and residual and stores; the values inside the output end up at the front of `values`.
    #[inline(always)]
    unsafe fn finish<S: Simd>(
        &self,
        values: &mut [S::V; OUT * OUT],
        image: usize,
        corner: [usize; 2],
        half: usize,
    ) {
        let shape = self.grid.geometry.output;
        let [tall, wide] = self.grid.extent(corner);
        // SAFETY: only pixels inside the output are touched.
        unsafe {
            for (y, x) in (0..tall).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                let pixel = (image * shape.height + corner[0] + y) * shape.width + corner[1] + x;
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
    }
}
