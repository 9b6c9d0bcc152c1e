//! Filters, transformed a panel at a time, and their products with the inputs of tiles.

use std::marker::PhantomData;
use std::ops::Range;

use super::grid::{Grid, common};
use super::transform::{FILTER_SIDE, Scheme, TAPS};
use crate::cpu::micro::{BLOCK, Tile};
use crate::cpu::simd::{Kernel, Simd};

/// Transforms the filters from `count` input channels to one panel of output channels.
///
/// `from` is the panel's `[taps][tap_stride]` floats at the first input channel; `to` holds a panel of `count` rows for
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
                let mut rows = [[S::splat(0.0); TAPS]; FILTER_SIDE];
                for x in 0..W::TAPS {
                    let mut column = [S::splat(0.0); TAPS];
                    for y in 0..W::TAPS {
                        column[y] = S::load(self.from.add((y * W::TAPS + x) * self.tap_stride + at));
                    }
                    let column = W::filter::<S>(column);
                    for y in 0..FILTER_SIDE {
                        rows[y][x] = column[y];
                    }
                }
                for y in 0..FILTER_SIDE {
                    let row = W::filter::<S>(rows[y]);
                    for x in 0..FILTER_SIDE {
                        let point = y * FILTER_SIDE + x;
                        S::store(self.to.add(point * self.point_stride + at), row[x]);
                    }
                }
            }
        }
    }
}

/// The products of some groups of tiles by a panel of filters, over some of the input channels.
pub(super) struct Products<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: &'a Grid<'a>,
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
    /// The weights whose transform is needed next, to bring closer meanwhile: `[taps][upcoming_stride]`.
    pub(super) upcoming: *const f32,
    pub(super) upcoming_stride: usize,
}

impl<W: Scheme> Kernel for Products<'_, W> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // Point by point, so that its filters stay in the first-level cache for all groups.
        for point in 0..W::SIDE * W::SIDE {
            let (taking_part, next_point) = (self.taking_part(point), self.taking_part(point + 1));
            for index in 0..self.groups.len() {
                let part = common(&self.groups[index], &taking_part);
                if part.is_empty() {
                    continue;
                }
                let after = match self.groups.get(index + 1) {
                    Some(group) => self.inputs(point, index + 1, common(group, &taking_part).len()),
                    None => self.inputs(point + 1, 0, common(&self.groups[0], &next_point).len()),
                };
                let (next, next_lines) = self.next::<S>(point, index, after);
                let tile = Tile {
                    next,
                    next_lines,
                    ..self.tile::<S>(point, index, part)
                };
                // SAFETY: each point and group has its own tile and sums; a prefetch may go anywhere.
                unsafe { tile.run::<S>() };
            }
        }
    }
}

impl<W: Scheme> Products<'_, W> {
    /// The tiles that have a point.
    #[inline(always)]
    fn taking_part(&self, point: usize) -> Range<usize> {
        self.grid
            .taking_part([point / W::SIDE, point % W::SIDE].map(W::lacks))
    }

    /// Where the inputs of so many tiles of a group are, and how many floats.
    #[inline(always)]
    fn inputs(&self, point: usize, index: usize, rows: usize) -> (*const f32, usize) {
        let at = (self.groups[index].start - self.groups[0].start) * self.channels + self.channel * rows;
        (
            self.inputs.wrapping_add(point * self.input_stride + at),
            self.depth * rows,
        )
    }

    #[inline(always)]
    fn tile<S: Simd>(&self, point: usize, index: usize, part: Range<usize>) -> Tile {
        let (group, width) = (&self.groups[index], 2 * S::LANES);
        let row = point * group.len() + part.start - group.start;
        let at = (group.start - self.groups[0].start) * W::SIDE * W::SIDE + row;
        let sums = self.sums.wrapping_add(at * width);
        let last = FILTER_SIDE - 1;
        let filter = (point / W::SIDE).min(last) * FILTER_SIDE + (point % W::SIDE).min(last);
        Tile {
            depth: self.depth,
            rows: part.len(),
            columns: width,
            a: self.inputs(point, index, part.len()).0,
            b: self.filters.wrapping_add(filter * self.filter_stride),
            before: std::ptr::null(),
            keep: std::ptr::null_mut(),
            after: std::ptr::null(),
            bias: std::ptr::null(),
            out: sums,
            stored: part.len(),
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

    /// What to bring closer during a tile: with the first group weights (four points take care of one of the taps), with
    /// the others the inputs of the tile after.
    #[inline(always)]
    fn next<S: Simd>(&self, point: usize, index: usize, inputs: (*const f32, usize)) -> (*const f32, usize) {
        if index == 0 && point < 4 * W::TAPS * W::TAPS && !self.upcoming.is_null() {
            let quarter = self.depth * 2 * S::LANES / 4;
            let at = point / 4 * self.upcoming_stride + point % 4 * quarter;
            return (self.upcoming.wrapping_add(at), quarter.div_ceil(BLOCK));
        }
        (inputs.0, inputs.1 / BLOCK)
    }
}
