//! A convolution as one matrix product over packed tiles: which thread packs and computes what.
//!
//! With many pixels each task packs a block of tiles into its own cache and runs all panels of weights over it. With
//! few (a small image's last stages) the tiles are packed once for all and the tasks split the panels, so that each
//! weight comes from memory once.

use std::ops::Range;

use super::affine::Activations;
use super::gather::Gather;
use super::memory::Scratch;
use super::micro::{BLOCK, Tile, tile_len};
use super::moments::{Moments, Partials};
use super::parallel::{Shared, for_each};
use super::shape::Geometry;
use super::simd::{Kernel, Simd};
use super::weights::Packed;

/// Floats of packed input that leave room for a panel of weights in a second-level cache of 1 MiB.
const PACKED_LIMIT: usize = 96 * 1024;
/// Tasks a thread should have to choose from, so that none waits long for the last one.
const TASKS_PER_THREAD: usize = 8;

/// One convolution: what is read, what by, and where to.
struct Product<'a> {
    geometry: &'a Geometry,
    weights: &'a Packed,
    input: Activations<'a>,
    out: Shared<f32>,
    residual: Shared<f32>,
    partials: Option<(Shared<f32>, &'a Partials)>,
    tiles: usize,
    blocks: usize,
}

/// Computes the convolution into `out`, adding `residual` (null for none, may be `out`) and returning statistics
/// where asked for.
///
/// # Safety
/// `out` and a `residual` that is not null hold `geometry.output.len()` floats (`out` need not be initialised).
pub(super) unsafe fn convolve(
    geometry: &Geometry,
    weights: &Packed,
    input: Activations<'_>,
    out: *mut f32,
    residual: *const f32,
    want_moments: bool,
) -> Option<Moments> {
    let images = geometry.output.images;
    let tiles = geometry.output.pixels().div_ceil(weights.isa.tile_rows());
    let tile_floats = tile_len(weights.isa.tile_rows(), geometry.depth()).max(1);
    let wanted = rayon::current_num_threads() * TASKS_PER_THREAD;
    let split_pixels = images * tiles >= 2 * wanted;
    let blocks = if split_pixels {
        let fit = (PACKED_LIMIT / tile_floats).clamp(1, tiles);
        tiles.div_ceil(fit).max(wanted.div_ceil(images)).min(tiles)
    } else {
        1
    };
    let width = weights.count() * weights.isa.panel_width();
    let mut partials = want_moments.then(|| Partials::new(images, blocks, width));
    let at = partials.as_mut().map(Partials::as_mut_ptr);
    let product = Product {
        geometry,
        weights,
        input,
        out: Shared(out),
        residual: Shared(residual.cast_mut()),
        partials: at.map(Shared).zip(partials.as_ref()),
        tiles,
        blocks,
    };
    // SAFETY: the caller's promise about `out` and `residual`; each task has tiles or panels of its own.
    unsafe {
        if split_pixels {
            product.split_pixels()
        } else {
            product.split_panels()
        }
    }
    let counts: Vec<usize> = (0..blocks)
        .map(|block| product.pixels(product.tiles_of(block)).len())
        .collect();
    partials.map(|partials| partials.combine(weights.channels, |_, block| counts[block]))
}

impl Product<'_> {
    fn tiles_of(&self, block: usize) -> Range<usize> {
        self.tiles * block / self.blocks..self.tiles * (block + 1) / self.blocks
    }

    /// The output pixels of tiles; all tiles are equally tall, give or take one.
    fn pixels(&self, tiles: Range<usize>) -> Range<usize> {
        let at = |tile: usize| self.geometry.output.pixels() * tile / self.tiles.max(1);
        at(tiles.start)..at(tiles.end)
    }

    fn depth_padded(&self) -> usize {
        self.geometry.depth().next_multiple_of(BLOCK)
    }

    unsafe fn split_pixels(&self) {
        for_each(self.geometry.output.images * self.blocks, |task| {
            let (image, block) = (task / self.blocks, task % self.blocks);
            let tiles = self.tiles_of(block);
            let mut packed = Scratch::take(self.pixels(tiles.clone()).len() * self.depth_padded());
            // SAFETY: the block's tiles fill the buffer, and are this task's alone.
            unsafe {
                let to = packed.as_mut_ptr();
                tiles.for_each(|tile| self.pack(image, tile, to.add(self.packed_offset(block, tile))));
                self.compute(image, block, 0..self.weights.count(), to);
            }
        });
    }

    unsafe fn split_panels(&self) {
        let image_len = self.geometry.output.pixels() * self.depth_padded();
        let mut packed = Scratch::take(self.geometry.output.images * image_len);
        let to = Shared(packed.as_mut_ptr());
        let images = self.geometry.output.images;
        // SAFETY: tiles have disjoint places in the buffer; panels have disjoint channels of the output.
        for_each(images * self.tiles, |task| unsafe {
            let (image, tile) = (task / self.tiles, task % self.tiles);
            self.pack(
                image,
                tile,
                to.at(image * image_len + self.packed_offset(0, tile)),
            );
        });
        // SAFETY: every tile is packed now, and the panels are disjoint.
        for_each(images * self.weights.count(), |task| unsafe {
            let (panel, image) = (task / images, task % images);
            self.compute(image, 0, panel..panel + 1, to.at(image * image_len));
        });
    }

    /// Floats from a block's packed input to that of one of its tiles.
    fn packed_offset(&self, block: usize, tile: usize) -> usize {
        self.pixels(self.tiles_of(block).start..tile).len() * self.depth_padded()
    }

    unsafe fn pack(&self, image: usize, tile: usize, to: *mut f32) {
        let (source, reading) = self.input.image(image);
        let pixels = self.pixels(tile..tile + 1);
        let (first_row, rows) = (pixels.start, pixels.len());
        // SAFETY: the input is as long as its shape says, and the caller made room at `to`.
        unsafe {
            self.weights.isa.run(Gather {
                geometry: self.geometry,
                source,
                reading,
                first_row,
                rows,
                to,
            })
        }
    }

    /// Panels of output channels for all tiles of a block, packed at `packed`.
    unsafe fn compute(&self, image: usize, block: usize, panels: Range<usize>, packed: *const f32) {
        // SAFETY: the caller's promise that the block is packed there.
        unsafe {
            self.weights.isa.run(Panels {
                product: self,
                image,
                block,
                panels,
                packed,
            })
        }
    }
}

/// Some panels of output channels for all tiles of a block.
struct Panels<'a> {
    product: &'a Product<'a>,
    image: usize,
    block: usize,
    panels: Range<usize>,
    packed: *const f32,
}

impl Kernel for Panels<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let weights = self.product.weights;
        let tiles = self.product.tiles_of(self.block);
        for panel in self.panels.clone() {
            let values = weights.panel(panel);
            // The next panel comes closer meanwhile, a part with every tile.
            let share = if panel + 1 < weights.count() {
                (values.len() / BLOCK).div_ceil(tiles.len())
            } else {
                0
            };
            let mut next = values.as_ptr_range().end;
            let mut seen = 0;
            for index in tiles.clone() {
                let tile = Tile {
                    next,
                    next_lines: share,
                    seen,
                    ..self.tile(panel, index)
                };
                // SAFETY: `tile()` keeps to the output and its like; the block is packed; a prefetch may go anywhere.
                unsafe { tile.run::<S>() };
                seen += tile.rows;
                next = next.wrapping_add(share * BLOCK);
            }
        }
    }
}

impl Panels<'_> {
    /// The micro-kernel's work on one tile by one panel.
    #[inline(always)]
    fn tile(&self, panel: usize, index: usize) -> Tile {
        let (product, weights) = (self.product, self.product.weights);
        let pixels = product.pixels(index..index + 1);
        let channel = panel * weights.isa.panel_width();
        let at = (self.image * product.geometry.output.pixels() + pixels.start) * weights.channels + channel;
        let residual = product.residual.0;
        let (moments, moments_stride) =
            product
                .partials
                .map_or((std::ptr::null_mut(), 0), |(to, partials)| {
                    (
                        to.0.wrapping_add(partials.offset(self.image, self.block) + channel),
                        partials.stride,
                    )
                });
        Tile {
            depth: weights.depth,
            rows: pixels.len(),
            columns: weights.columns(panel),
            a: self.packed.wrapping_add(product.packed_offset(self.block, index)),
            b: weights.panel(panel).as_ptr(),
            bias: weights.bias(panel),
            out: product.out.0.wrapping_add(at),
            residual: if residual.is_null() {
                residual
            } else {
                residual.wrapping_add(at)
            },
            stride: weights.channels,
            moments,
            moments_stride,
            seen: 0,
            far: true,
            next: std::ptr::null(),
            next_lines: 0,
        }
    }
}
