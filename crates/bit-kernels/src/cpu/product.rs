//! A convolution as one matrix product over packed tiles: which thread packs and computes what.
//!
//! With many pixels each task packs a block of tiles into its own cache and runs all panels of weights over it. With
//! few (a small image's last stages) the tiles are packed once for all and the tasks split the panels, so that each
//! weight comes from memory once.

use std::ops::Range;

use rayon::prelude::*;

use super::affine::Activations;
use super::gather::Gather;
use super::memory::Scratch;
use super::micro::{BLOCK, Tile, tile_len};
use super::moments::{Moments, Partials};
use super::shape::Geometry;
use super::weights::Packed;

/// Floats of packed input that leave room for a panel of weights in a second-level cache of 1 MiB.
const PACKED_LIMIT: usize = 96 * 1024;
/// Tasks a thread should have to choose from, so that none waits long for the last one.
const TASKS_PER_THREAD: usize = 8;

/// A pointer into an output that tasks fill without overlap.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(pub(super) *mut T);
// SAFETY: tasks write disjoint places, and the owner waits for all of them before it looks.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `by` values on.
    ///
    /// # Safety
    /// It is inside the allocation.
    pub(super) unsafe fn at(&self, by: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(by) }
    }
}

/// Runs `task` for every index, in parallel.
pub(super) fn for_each(tasks: usize, task: impl Fn(usize) + Sync + Send) {
    (0..tasks).into_par_iter().with_max_len(1).for_each(task);
}

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
                for panel in 0..self.weights.count() {
                    self.compute(image, block, panel, to);
                }
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
        for_each(images * self.weights.count(), |task| unsafe {
            let (panel, image) = (task / images, task % images);
            self.compute(image, 0, panel, to.at(image * image_len));
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

    /// One panel of output channels for all tiles of a block, packed at `packed`.
    unsafe fn compute(&self, image: usize, block: usize, panel: usize, packed: *const f32) {
        let weights = self.weights.panel(panel);
        let channel = panel * self.weights.isa.panel_width();
        let (tiles, stride) = (self.tiles_of(block), self.weights.channels);
        let lines = weights.len() / BLOCK;
        let share = if panel + 1 < self.weights.count() {
            lines.div_ceil(tiles.len().max(1))
        } else {
            0
        };
        let next = weights.as_ptr_range().end;
        let mut seen = 0;
        for (i, tile) in tiles.enumerate() {
            let pixels = self.pixels(tile..tile + 1);
            let at = (image * self.geometry.output.pixels() + pixels.start) * stride + channel;
            // SAFETY: the tile's rows and the panel's columns are inside the output, the residual, the packed
            // input and the block's part of the statistics.
            unsafe {
                let tile = Tile {
                    depth: self.weights.depth,
                    rows: pixels.len(),
                    columns: self.weights.columns(panel),
                    a: packed.add(self.packed_offset(block, tile)),
                    b: weights.as_ptr(),
                    bias: self.weights.bias(panel),
                    out: self.out.at(at),
                    residual: if self.residual.0.is_null() {
                        self.residual.0
                    } else {
                        self.residual.at(at)
                    },
                    stride,
                    moments: match &self.partials {
                        Some((to, partials)) => to.at(partials.offset(image, block) + channel),
                        None => std::ptr::null_mut(),
                    },
                    moments_stride: self.partials.as_ref().map_or(0, |(_, partials)| partials.stride),
                    seen,
                    next: next.wrapping_add(i * share * BLOCK),
                    next_lines: share,
                };
                self.weights.isa.run(tile);
            }
            seen += pixels.len();
        }
    }
}
