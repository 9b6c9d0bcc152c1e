//! The micro-kernel's sequence of tiles: groups of panels, for each the scheme's steps, for each the units.

use std::ops::Range;
use std::ptr;

use super::micro::{BLOCK, Tile};
use super::simd::{Kernel, Simd};
use super::strassen::{Scheme, Step, Weights};
use super::weights::Packed;

/// Some pixels, packed, and where their outputs go.
pub(super) struct Unit {
    /// Of each packed tile.
    pub(super) rows: usize,
    /// Each tile's first output pixel, of those of all images, and how many are outputs; the last tile may lack one.
    pub(super) pixels: [usize; 2],
    pub(super) stored: [usize; 2],
    /// The operands of the steps.
    pub(super) packed: *const f32,
    /// Where sums wait.
    pub(super) places: [*mut f32; 2],
}

/// Some groups of panels for some units of one image.
pub(super) struct Groups<'a> {
    pub(super) scheme: &'static Scheme,
    pub(super) weights: &'a Packed,
    pub(super) units: &'a [Unit],
    pub(super) groups: Range<usize>,
    /// The sums of these groups' weights.
    pub(super) sums: *const f32,
    pub(super) out: *mut f32,
    pub(super) residual: *const f32,
    /// The units' statistics, or null.
    pub(super) moments: *mut f32,
    pub(super) moments_stride: usize,
}

impl Kernel for Groups<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (scheme, weights) = (self.scheme, self.weights);
        for group in self.groups.clone() {
            let next_group = (group + 1) * scheme.side;
            // The next group's weights come closer meanwhile, a part with every tile.
            let (mut next, share) = if next_group < weights.count() {
                let lines = scheme.side * weights.panel(next_group).len() / BLOCK;
                let tiles = scheme.steps.len() * self.units.len();
                (weights.panel(next_group).as_ptr(), lines.div_ceil(tiles))
            } else {
                (ptr::null(), 0)
            };
            let mut seen = [0; 2];
            for (index, step) in scheme.steps.iter().enumerate() {
                let operand = self.operand(step.weights, group);
                for unit in self.units {
                    let mut tile = Tile {
                        b: operand,
                        next,
                        next_lines: share,
                        ..self.tile(index, step, unit)
                    };
                    if let Some(part) = step.out {
                        self.write_to(&mut tile, group, unit, part, &mut seen);
                    }
                    // SAFETY: the tile keeps to the output and its like; the units are packed; a prefetch may go anywhere.
                    unsafe { tile.run::<S>() };
                    next = next.wrapping_add(share * BLOCK);
                }
            }
        }
    }
}

impl Groups<'_> {
    #[inline(always)]
    fn operand(&self, weights: Weights, group: usize) -> *const f32 {
        let part_len = self.scheme.part_len(self.weights);
        match weights {
            Weights::Part(part) => {
                let group = self.weights.panel(group * self.scheme.side);
                group.as_ptr().wrapping_add(part * part_len)
            }
            Weights::Sum(sum) => {
                let before = (group - self.groups.start) * self.scheme.sums_len(self.weights);
                self.sums
                    .wrapping_add(before + sum * self.scheme.sum_stride(self.weights))
            }
        }
    }

    /// The micro-kernel's work on one unit in one step, but for the output.
    #[inline(always)]
    fn tile(&self, index: usize, step: &Step, unit: &Unit) -> Tile {
        let depth = self.scheme.part_depth(self.weights);
        let [first, second] = unit.places.map(<*mut f32>::cast_const);
        Tile {
            depth,
            rows: unit.rows,
            columns: self.weights.isa.panel_width(),
            a: unit.packed.wrapping_add(index * unit.rows * depth),
            b: ptr::null(),
            before: if step.add_first { first } else { ptr::null() },
            keep: step.keep.map_or(ptr::null_mut(), |place| unit.places[place]),
            after: if step.add_second { second } else { ptr::null() },
            bias: ptr::null(),
            out: ptr::null_mut(),
            stored: 0,
            residual: ptr::null(),
            stride: self.weights.channels,
            moments: ptr::null_mut(),
            moments_stride: self.moments_stride,
            seen: 0,
            far: true,
            next: ptr::null(),
            next_lines: 0,
        }
    }

    /// Has the tile write the part of the output that is so many tiles and panels from the unit's and the group's first;
    /// `seen` counts the rows that are in each panel's statistics.
    #[inline(always)]
    fn write_to(
        &self,
        tile: &mut Tile,
        group: usize,
        unit: &Unit,
        [down, across]: [usize; 2],
        seen: &mut [usize; 2],
    ) {
        tile.stored = unit.stored[down];
        if tile.stored == 0 {
            return;
        }
        let panel = group * self.scheme.side + across;
        let channel = panel * self.weights.isa.panel_width();
        let at = unit.pixels[down] * self.weights.channels + channel;
        tile.columns = self.weights.columns(panel);
        tile.bias = self.weights.bias(panel);
        tile.out = self.out.wrapping_add(at);
        if !self.residual.is_null() {
            tile.residual = self.residual.wrapping_add(at);
        }
        if !self.moments.is_null() {
            tile.moments = self.moments.wrapping_add(channel);
        }
        tile.seen = seen[across];
        seen[across] += tile.stored;
    }
}
