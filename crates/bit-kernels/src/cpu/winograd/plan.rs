//! Which tiles are computed together, and by which task.

use std::marker::PhantomData;
use std::ops::Range;

use super::grid::Grid;
use super::groups;
use super::transform::Scheme;
use crate::cpu::weights::Packed;

/// Input channels whose transformed filters (for one panel) stay in a second-level cache.
const DEPTH: usize = 128;
/// Floats of transformed inputs that are kept at a time; they are read again for every panel.
const INPUTS_LIMIT: usize = 3 << 20;
/// Floats of sums a task keeps while it goes through the input channels.
const SUMS_LIMIT: usize = 128 * 1024;

/// How tiles are split into groups (micro-tiles) and those into ranges (tasks).
pub(super) struct Plan<'a, W> {
    pub(super) scheme: PhantomData<W>,
    pub(super) grid: &'a Grid<'a>,
    pub(super) groups: usize,
    pub(super) groups_per_range: usize,
    pub(super) tiles_at_once: usize,
    /// Input channels that have weights, which are the first; and how many are summed over at a time.
    pub(super) channels: usize,
    pub(super) depth: usize,
    /// Whether each group is a range, and goes from inputs to outputs at once.
    pub(super) group_by_group: bool,
}

impl<'a, W: Scheme> Plan<'a, W> {
    /// Products for one tile and pair of channels.
    pub(super) const POINTS: usize = W::SIDE * W::SIDE;

    pub(super) fn new(grid: &'a Grid<'a>, weights: &Packed) -> Plan<'a, W> {
        let channels = weights.depth / grid.geometry.window.taps();
        let rows = weights.isa.tile_rows();
        let groups = grid.tiles().div_ceil(rows);
        let ranges = (2 * rayon::current_num_threads())
            .div_ceil(weights.count())
            .min(groups);
        let most = (SUMS_LIMIT / (Self::POINTS * rows * weights.isa.panel_width())).max(1);
        let group_by_group = groups::applies(channels, weights.channels, groups);
        let (groups_per_range, tiles_at_once) = if group_by_group {
            (1, usize::MAX)
        } else {
            (
                groups.div_ceil(ranges.max(1)).min(most).max(1),
                INPUTS_LIMIT / (Self::POINTS * grid.geometry.input.channels),
            )
        };
        Plan {
            scheme: PhantomData,
            grid,
            groups,
            groups_per_range,
            tiles_at_once,
            channels,
            depth: if group_by_group {
                channels
            } else {
                channels.min(DEPTH)
            },
            group_by_group,
        }
    }

    /// The tiles of each range.
    pub(super) fn ranges(&self) -> Vec<Range<usize>> {
        let bounds = |group: usize| self.first_tile(group.min(self.groups));
        let starts = (0..self.groups).step_by(self.groups_per_range);
        starts
            .map(|group| bounds(group)..bounds(group + self.groups_per_range))
            .collect()
    }

    pub(super) fn first_tile(&self, group: usize) -> usize {
        self.grid.tiles() * group / self.groups
    }

    /// The groups whose tiles make up `range`.
    pub(super) fn groups_of(&self, range: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = (range.start * self.groups).div_ceil(self.grid.tiles());
        let bounds = (first..self.groups).map(|group| self.first_tile(group)..self.first_tile(group + 1));
        let end = range.end;
        bounds.take_while(move |group| group.start < end)
    }
}
