//! A convolution as a matrix product over packed tiles: which thread packs and computes what.
//!
//! The pixels of an image are cut into units, each as many tiles as the scheme computes together. With many of them each
//! task packs a block of units into its own cache and runs all groups of panels over it. With few (a small image's last
//! stages) the units are packed once for all and the tasks split the groups, so that each weight comes from memory once.

use std::ops::Range;
use std::ptr;

use super::affine::Activations;
use super::gather::Gather;
use super::groups::{Groups, Unit};
use super::memory::Scratch;
use super::micro::BLOCK;
use super::moments::{Moments, Partials};
use super::parallel::{Shared, for_each};
use super::shape::Geometry;
use super::strassen::{InputSums, Scheme, WeightSums};
use super::weights::Packed;

/// Floats of packed input that leave room for a panel of weights in a second-level cache of 1 MiB.
const PACKED_LIMIT: usize = 96 * 1024;
/// Tasks a thread should have to choose from, so that none waits long for the last one.
const TASKS_PER_THREAD: usize = 8;

/// One convolution: what is read, what by, and where to.
struct Product<'a> {
    geometry: &'a Geometry,
    weights: &'a Packed,
    scheme: &'static Scheme,
    input: Activations<'a>,
    out: Shared<f32>,
    residual: Shared<f32>,
    partials: Option<(Shared<f32>, &'a Partials)>,
    /// Units of an image, and the blocks they make up.
    units: usize,
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
    let tile_rows = weights.isa.tile_rows();
    let scheme = Scheme::of(geometry, weights);
    let units = geometry.output.pixels().div_ceil(scheme.side * tile_rows);
    let wanted = rayon::current_num_threads() * TASKS_PER_THREAD;
    let split_pixels = images * units * scheme.side >= 2 * wanted;
    let blocks = if split_pixels {
        let unit_len = scheme.unit_len(tile_rows, geometry.depth().next_multiple_of(BLOCK));
        let fit = (PACKED_LIMIT / unit_len.max(1))
            .min(scheme.units_at_once)
            .clamp(1, units);
        units.div_ceil(fit).max(wanted.div_ceil(images)).min(units)
    } else {
        1
    };
    let width = weights.count() * weights.isa.panel_width();
    let mut partials = want_moments.then(|| Partials::new(images, blocks, width));
    let at = partials.as_mut().map(Partials::as_mut_ptr);
    let product = Product {
        geometry,
        weights,
        scheme,
        input,
        out: Shared(out),
        residual: Shared(residual.cast_mut()),
        partials: at.map(Shared).zip(partials.as_ref()),
        units,
        blocks,
    };
    // SAFETY: the caller's promise about `out` and `residual`; each task has units or groups of its own.
    unsafe {
        if split_pixels {
            product.split_pixels()
        } else {
            product.split_groups()
        }
    }
    let counts: Vec<usize> = (0..blocks)
        .map(|block| product.pixels(product.units_of(block)).len())
        .collect();
    partials.map(|partials| partials.combine(weights.channels, |_, block| counts[block]))
}

impl Product<'_> {
    fn units_of(&self, block: usize) -> Range<usize> {
        self.units * block / self.blocks..self.units * (block + 1) / self.blocks
    }

    /// The output pixels of units; all units are equally tall, give or take one.
    fn pixels(&self, units: Range<usize>) -> Range<usize> {
        let at = |unit: usize| self.geometry.output.pixels() * unit / self.units.max(1);
        at(units.start)..at(units.end)
    }

    /// Rows of each of a unit's tiles.
    fn rows(&self, unit: usize) -> usize {
        self.pixels(unit..unit + 1).len().div_ceil(self.scheme.side)
    }

    fn depth_padded(&self) -> usize {
        self.geometry.depth().next_multiple_of(BLOCK)
    }

    /// Floats that the operands of any unit fit in.
    fn unit_len(&self) -> usize {
        let most = self.geometry.output.pixels().div_ceil(self.units.max(1));
        self.scheme
            .unit_len(most.div_ceil(self.scheme.side), self.depth_padded())
    }

    unsafe fn split_pixels(&self) {
        let groups = self.scheme.groups(self.weights);
        let sums_len = self.scheme.sums_len(self.weights);
        let mut sums = Scratch::take(groups * sums_len);
        let sums = Shared(sums.as_mut_ptr());
        if sums_len > 0 {
            // SAFETY: each group has its own place.
            for_each(groups, |group| unsafe {
                self.sum_weights(group, sums.at(group * sums_len));
            });
        }
        for_each(self.geometry.output.images * self.blocks, |task| {
            let (image, block) = (task / self.blocks, task % self.blocks);
            let (units, unit_len) = (self.units_of(block), self.unit_len());
            let mut packed = Scratch::take(units.len() * unit_len);
            let to = packed.as_mut_ptr();
            // SAFETY: the block's units fill the buffer, and are this task's alone.
            unsafe {
                for (nth, unit) in units.enumerate() {
                    self.pack(image, unit, to.add(nth * unit_len));
                }
                self.compute(image, block, 0..groups, to, sums.at(0));
            }
        });
    }

    unsafe fn split_groups(&self) {
        let (images, unit_len) = (self.geometry.output.images, self.unit_len());
        let mut packed = Scratch::take(images * self.units * unit_len);
        let to = Shared(packed.as_mut_ptr());
        // SAFETY: units have disjoint places in the buffer.
        for_each(images * self.units, |task| unsafe {
            self.pack(task / self.units, task % self.units, to.at(task * unit_len));
        });
        for_each(self.scheme.groups(self.weights), |group| {
            let mut sums = Scratch::take(self.scheme.sums_len(self.weights));
            // SAFETY: every unit is packed now; groups have disjoint channels of the output.
            unsafe {
                self.sum_weights(group, sums.as_mut_ptr());
                for image in 0..images {
                    let packed = to.at(image * self.units * unit_len);
                    self.compute(image, 0, group..group + 1, packed, sums.as_ptr());
                }
            }
        });
    }

    /// Computes what the scheme needs beside a group's weights themselves.
    unsafe fn sum_weights(&self, group: usize, to: *mut f32) {
        if self.scheme.side > 1 {
            // SAFETY: a group's panels are next to each other, and the caller made room for the sums.
            unsafe {
                self.weights.isa.run(WeightSums {
                    len: self.scheme.part_len(self.weights),
                    parts: self.weights.panel(group * self.scheme.side).as_ptr(),
                    sums: to,
                    sum_stride: self.scheme.sum_stride(self.weights),
                });
            }
        }
    }

    /// Packs the operands of a unit.
    unsafe fn pack(&self, image: usize, unit: usize, to: *mut f32) {
        let (source, reading) = self.input.image(image);
        let (isa, rows) = (self.weights.isa, self.rows(unit));
        let first_row = self.pixels(unit..unit + 1).start;
        let tile_len = rows * self.depth_padded();
        let last = self.scheme.unit_len(rows, self.depth_padded()) - tile_len;
        // SAFETY: the input is as long as its shape says, and the caller made room at `to`.
        unsafe {
            // The first tile's parts are the first operands, the last one's the last. A row too many is of another
            // unit or of no pixel, reads as zeros then, and its outputs are not stored.
            for tile in 0..self.scheme.side {
                isa.run(Gather {
                    geometry: self.geometry,
                    source,
                    reading,
                    first_row: first_row + tile * rows,
                    rows,
                    to: to.add(tile * last),
                });
            }
            if self.scheme.side > 1 {
                isa.run(InputSums {
                    len: tile_len / self.scheme.side,
                    operands: to,
                });
            }
        }
    }

    /// Groups of panels for all units of a block, packed at `packed`; `sums` are those of these groups' weights.
    unsafe fn compute(
        &self,
        image: usize,
        block: usize,
        groups: Range<usize>,
        packed: *const f32,
        sums: *const f32,
    ) {
        let (isa, unit_len) = (self.weights.isa, self.unit_len());
        let place_len = isa.tile_rows() * isa.panel_width();
        let mut places = Scratch::take(self.units_of(block).len() * 2 * place_len);
        let places = places.as_mut_ptr();
        let first_pixel = image * self.geometry.output.pixels();
        let unit = |(nth, unit): (usize, usize)| {
            let (pixels, rows) = (self.pixels(unit..unit + 1), self.rows(unit));
            let (start, lower) = (first_pixel + pixels.start, pixels.len() - rows.min(pixels.len()));
            Unit {
                rows,
                pixels: [start, start + rows],
                stored: [rows, lower],
                packed: packed.wrapping_add(nth * unit_len),
                places: [0, 1].map(|place| places.wrapping_add((2 * nth + place) * place_len)),
            }
        };
        let units: Vec<Unit> = self.units_of(block).enumerate().map(unit).collect();
        // SAFETY: the caller's promise that the block is packed there.
        unsafe {
            isa.run(Groups {
                scheme: self.scheme,
                weights: self.weights,
                units: &units,
                groups,
                sums,
                out: self.out.0,
                residual: self.residual.0,
                moments: self.partials.map_or(ptr::null_mut(), |(to, partials)| {
                    to.at(partials.offset(image, block))
                }),
                moments_stride: self.partials.map_or(0, |(_, partials)| partials.stride),
            });
        }
    }
}
