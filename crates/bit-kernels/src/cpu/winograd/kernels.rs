//! What happens to one group of tiles: inputs transformed and packed, filters transformed, products, outputs.

use super::transform::{self, OUT, POINTS, SIDE};
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
/// `to` holds `POINTS` packed tiles of all input channels, `point_stride` floats apart.
pub(super) struct Inputs<'a> {
    pub(super) grid: Grid<'a>,
    pub(super) input: Activations<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) to: *mut f32,
    pub(super) point_stride: usize,
}

impl Kernel for Inputs<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.input.shape.channels;
        for row in 0..self.count {
            let (image, corner) = self.grid.place(self.first + row);
            let (source, reading) = self.input.image(image);
            let places: [Option<usize>; POINTS] = std::array::from_fn(|point| {
                let pixel = self.grid.geometry.source(corner, [point / SIDE, point % SIDE]);
                pixel.map(|pixel| pixel * channels)
            });
            for channel in (0..channels).step_by(S::LANES) {
                let (block, lane) = (channel / BLOCK, channel % BLOCK);
                // SAFETY: places are inside the image; the packed place is inside the tile of `count` rows.
                unsafe {
                    let to = self.to.add((block * self.count + row) * BLOCK + lane);
                    let [scale, shift, floor] = reading.channels::<S>(channel);
                    let mut rows = [[S::splat(0.0); SIDE]; SIDE];
                    for x in 0..SIDE {
                        let mut column = [S::splat(0.0); SIDE];
                        for y in 0..SIDE {
                            if let Some(at) = places[y * SIDE + x] {
                                let value = S::fma(S::load(source.add(at + channel)), scale, shift);
                                column[y] = S::max(floor, value);
                            }
                        }
                        let column = transform::input::<S>(column);
                        for y in 0..SIDE {
                            rows[y][x] = column[y];
                        }
                    }
                    for y in 0..SIDE {
                        let row = transform::input::<S>(rows[y]);
                        for x in 0..SIDE {
                            S::store(to.add((y * SIDE + x) * self.point_stride), row[x]);
                        }
                    }
                }
            }
        }
    }
}

/// Transforms the filters from `count` input channels to one panel of output channels.
///
/// `from` is the panel's `[9][tap_stride]` floats at the first input channel; `to` holds `POINTS` panels of `count`
/// rows, `point_stride` floats apart.
pub(super) struct Filters {
    pub(super) from: *const f32,
    pub(super) tap_stride: usize,
    pub(super) count: usize,
    pub(super) to: *mut f32,
    pub(super) point_stride: usize,
}

impl Kernel for Filters {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.count * 2 * S::LANES).step_by(S::LANES) {
            // SAFETY: `at` stays inside the panel of `count` rows, for each tap and each point.
            unsafe {
                let mut rows = [[S::splat(0.0); 3]; SIDE];
                for x in 0..3 {
                    let mut column = [S::splat(0.0); 3];
                    for y in 0..3 {
                        column[y] = S::load(self.from.add((y * 3 + x) * self.tap_stride + at));
                    }
                    let column = transform::filter::<S>(column);
                    for y in 0..SIDE {
                        rows[y][x] = column[y];
                    }
                }
                for y in 0..SIDE {
                    let row = transform::filter::<S>(rows[y]);
                    for x in 0..SIDE {
                        S::store(self.to.add((y * SIDE + x) * self.point_stride + at), row[x]);
                    }
                }
            }
        }
    }
}

/// The `POINTS` products of a group of tiles by a panel of filters.
pub(super) struct Products {
    /// Input channels.
    pub(super) depth: usize,
    /// Tiles in the group.
    pub(super) rows: usize,
    /// Transformed inputs, from the first input channel.
    pub(super) inputs: *const f32,
    pub(super) input_stride: usize,
    /// Transformed filters.
    pub(super) filters: *const f32,
    pub(super) filter_stride: usize,
    /// `[POINTS][rows][panel width]`
    pub(super) sums: *mut f32,
    /// The weights whose transform is needed next, to bring closer meanwhile, or null: `[9][upcoming_stride]`.
    pub(super) upcoming: *const f32,
    pub(super) upcoming_stride: usize,
    /// Whether the sums are added to what is there.
    pub(super) accumulate: bool,
}

impl Kernel for Products {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let width = 2 * S::LANES;
        for point in 0..POINTS {
            // SAFETY: each point has its own tile, panel and sums; the last prefetch is of an address only.
            unsafe {
                let inputs = self.inputs.add(point * self.input_stride);
                let sums = self.sums.add(point * self.rows * width);
                let (next, next_lines) = if self.upcoming.is_null() {
                    (
                        inputs.wrapping_add(self.input_stride),
                        self.depth * self.rows / BLOCK,
                    )
                } else {
                    // Four points take care of one of the nine taps.
                    let quarter = self.depth * width / 4;
                    let at = point / 4 * self.upcoming_stride + point % 4 * quarter;
                    (self.upcoming.wrapping_add(at), quarter.div_ceil(BLOCK))
                };
                let tile = Tile {
                    depth: self.depth,
                    rows: self.rows,
                    columns: width,
                    a: inputs,
                    b: self.filters.add(point * self.filter_stride),
                    bias: std::ptr::null(),
                    out: sums,
                    residual: if self.accumulate { sums } else { std::ptr::null() },
                    stride: width,
                    moments: std::ptr::null_mut(),
                    moments_stride: 0,
                    seen: 0,
                    far: false,
                    next,
                    next_lines,
                };
                tile.run::<S>();
            }
        }
    }
}

/// Transforms the sums of `count` tiles from `first` to outputs of one panel, and adds bias and residual.
pub(super) struct Outputs<'a> {
    pub(super) grid: Grid<'a>,
    pub(super) first: usize,
    pub(super) count: usize,
    /// `[POINTS][count][panel width]`
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

impl Kernel for Outputs<'_> {
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

impl Outputs<'_> {
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
            let mut rows = [[S::splat(0.0); SIDE]; OUT];
            for x in 0..SIDE {
                let mut column = [S::splat(0.0); SIDE];
                for y in 0..SIDE {
                    column[y] = S::load(sums.add((y * SIDE + x) * self.count * width));
                }
                let column = transform::output::<S>(column);
                for y in 0..OUT {
                    rows[y][x] = column[y];
                }
            }
            let mut values = [S::splat(0.0); OUT * OUT];
            for (y, row) in rows.into_iter().enumerate() {
                values[y * OUT..][..OUT].copy_from_slice(&transform::output::<S>(row));
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
