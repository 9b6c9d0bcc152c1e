//! What happens to one group of tiles: inputs transformed and packed, filters transformed, products, outputs.

use std::marker::PhantomData;
use std::ops::Range;

use super::transform::{FILTER_SIDE, MOST, OUT, Scheme};
use crate::cpu::affine::Activations;
use crate::cpu::micro::{BLOCK, Tile, add_moments};
use crate::cpu::shape::Geometry;
use crate::cpu::simd::{Kernel, Simd};

/// How the output of a convolution is cut into tiles of `OUT` by `OUT` pixels, numbered through all images.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) down: usize,
    pub(super) across: usize,
}

impl Grid<'_> {
    /// Tiles in one image.
    pub(super) fn per_image(&self) -> usize {
        self.down * self.across
    }

    /// The image of a tile and its first output row and column.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let (image, at) = (tile / self.per_image(), tile % self.per_image());
        (image, [at / self.across * OUT, at % self.across * OUT])
    }

    /// Rows and columns of a tile that lie inside the output.
    #[inline(always)]
    pub(super) fn extent(&self, [y, x]: [usize; 2]) -> [usize; 2] {
        [
            OUT.min(self.geometry.output.height - y),
            OUT.min(self.geometry.output.width - x),
        ]
    }
}

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

/// Transforms the filters from `count` input channels to one panel of output channels.
///
/// `from` is the panel's `[9][tap_stride]` floats at the first input channel; `to` holds a panel of `count` rows for
/// each filter point, `point_stride` floats apart.
pub(super) struct Filters<W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) from: *const f32,
    pub(super) tap_stride: usize,
    pub(super) count: usize,
    pub(super) to: *mut f32,
    pub(super) point_stride: usize,
}

impl<W: Scheme> Kernel for Filters<W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.count * 2 * S::LANES).step_by(S::LANES) {
            // SAFETY: `at` stays inside the panel of `count` rows, for each tap and each point.
            unsafe {
                let mut rows = [[S::splat(0.0); 3]; FILTER_SIDE];
                for x in 0..3 {
                    let mut column = [S::splat(0.0); 3];
                    for y in 0..3 {
                        column[y] = S::load(self.from.add((y * 3 + x) * self.tap_stride + at));
                    }
                    let column = W::filter::<S>(column);
                    for y in 0..FILTER_SIDE {
                        rows[y][x] = column[y];
                    }
                }
                for y in 0..FILTER_SIDE {
                    let row = W::filter::<S>(rows[y]);
                    for x in 0..FILTER_SIDE {
                        S::store(
                            self.to.add((y * FILTER_SIDE + x) * self.point_stride + at),
                            row[x],
                        );
                    }
                }
            }
        }
    }
}

/// The products of some groups of tiles by a panel of filters, over some of the input channels.
pub(super) struct Products<'a, W> {
    pub(super) scheme: PhantomData<W>,
    /// The groups, as numbers of tiles.
    pub(super) groups: &'a [Range<usize>],
    /// Input channels to sum over, of so many in all.
    pub(super) depth: usize,
    pub(super) channels: usize,
    /// The first group's transformed inputs, and how many channels before these.
    pub(super) inputs: *const f32,
    pub(super) input_stride: usize,
    pub(super) channel: usize,
    /// Transformed filters.
    pub(super) filters: *const f32,
    pub(super) filter_stride: usize,
    /// For each group `[points][tiles][panel width]`.
    pub(super) sums: *mut f32,
    /// The weights whose transform is needed next, to bring closer meanwhile: `[9][upcoming_stride]`.
    pub(super) upcoming: *const f32,
    pub(super) upcoming_stride: usize,
}

impl<W: Scheme> Kernel for Products<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // Point by point, so that its filters stay in the first-level cache for all groups.
        for point in 0..W::SIDE * W::SIDE {
            for index in 0..self.groups.len() {
                let (next, next_lines) = self.next::<S>(point, index);
                let tile = Tile {
                    next,
                    next_lines,
                    ..self.tile::<S>(point, index)
                };
                // SAFETY: each point and group has its own tile and sums; a prefetch may go anywhere.
                unsafe { tile.run::<S>() };
            }
        }
    }
}

impl<W: Scheme> Products<'_, W> {
    #[inline(always)]
    fn inputs(&self, point: usize, index: usize) -> *const f32 {
        let group = &self.groups[index];
        let at = (group.start - self.groups[0].start) * self.channels + self.channel * group.len();
        self.inputs.wrapping_add(point * self.input_stride + at)
    }

    #[inline(always)]
    fn tile<S: Simd>(&self, point: usize, index: usize) -> Tile {
        let (group, width) = (&self.groups[index], 2 * S::LANES);
        let at = (group.start - self.groups[0].start) * W::SIDE * W::SIDE + point * group.len();
        let sums = self.sums.wrapping_add(at * width);
        let last = FILTER_SIDE - 1;
        let filter = (point / W::SIDE).min(last) * FILTER_SIDE + (point % W::SIDE).min(last);
        Tile {
            depth: self.depth,
            rows: group.len(),
            columns: width,
            a: self.inputs(point, index),
            b: self.filters.wrapping_add(filter * self.filter_stride),
            bias: std::ptr::null(),
            out: sums,
            residual: if self.channel > 0 { sums } else { std::ptr::null() },
            stride: width,
            moments: std::ptr::null_mut(),
            moments_stride: 0,
            seen: 0,
            far: false,
            next: std::ptr::null(),
            next_lines: 0,
        }
    }

    /// What to bring closer during a tile: with the first group weights (four points take care of one of the nine
    /// taps), with the others the inputs of the tile after.
    #[inline(always)]
    fn next<S: Simd>(&self, point: usize, index: usize) -> (*const f32, usize) {
        if index == 0 && point < 4 * 9 {
            let quarter = self.depth * 2 * S::LANES / 4;
            let at = point / 4 * self.upcoming_stride + point % 4 * quarter;
            return (self.upcoming.wrapping_add(at), quarter.div_ceil(BLOCK));
        }
        let after = if index + 1 < self.groups.len() {
            (point, index + 1)
        } else {
            (point + 1, 0)
        };
        (
            self.inputs(after.0, after.1),
            self.depth * self.groups[index].len() / BLOCK,
        )
    }
}

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
