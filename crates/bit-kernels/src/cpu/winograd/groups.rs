//! Convolutions of few channels, a group of tiles at a time from inputs to outputs.
//!
//! The filters of all panels are transformed once. A group's inputs and sums fit in a second-level cache, and then never
//! leave it.

use std::marker::PhantomData;
use std::slice;

use super::products::Products;
use super::transform::{FILTER_SIDE, Scheme};
use super::{Pass, Plan};
use crate::cpu::memory::Scratch;
use crate::cpu::micro::BLOCK;
use crate::cpu::moments::Partials;
use crate::cpu::parallel::{Shared, for_each};

/// Floats of transformed filters that leave room for a group in a second-level cache of 1 MiB.
const NEAR_FILTERS: usize = 160 * 1024;
/// Floats of transformed filters that groups read from a third-level cache, where there are many to share their
/// transform.
const FAR_FILTERS: usize = 600 * 1024;
const MANY_GROUPS: usize = 8;

/// Whether the filters of so many channels are few enough.
pub(super) fn applies(inputs: usize, outputs: usize, groups: usize) -> bool {
    let most = if groups < MANY_GROUPS {
        NEAR_FILTERS
    } else {
        FAR_FILTERS
    };
    FILTER_SIDE * FILTER_SIDE * inputs * outputs <= most
}

impl<W: Scheme> Pass<'_, W> {
    /// All groups, each a range of its own.
    ///
    /// # Safety
    /// As [`Pass::run`].
    pub(super) unsafe fn group_by_group(&self, partials: Option<&Partials>) {
        let panels = self.weights.count();
        let filter_stride = self.filter_stride();
        let panel_len = FILTER_SIDE * FILTER_SIDE * filter_stride;
        let mut filters = Scratch::take(panels * panel_len);
        let filters = Shared(filters.as_mut_ptr());
        // SAFETY: each panel's filters have their own place.
        for_each(panels, |panel| unsafe {
            self.transform_filters(panel, 0, filters.at(panel * panel_len));
        });
        // SAFETY: every filter is transformed now; each group has its own pixels of output, residual and statistics.
        for_each(self.ranges.len(), |range| unsafe {
            self.group(range, filters.at(0), filter_stride, partials);
        });
    }

    /// One group by all panels.
    unsafe fn group(
        &self,
        range: usize,
        filters: *const f32,
        filter_stride: usize,
        partials: Option<&Partials>,
    ) {
        let (group, channels) = (&self.ranges[range], self.input.shape.channels);
        let point_stride = group.len() * channels + BLOCK;
        let mut inputs = Scratch::take(Plan::<W>::POINTS * point_stride);
        let mut sums = Scratch::take(Plan::<W>::POINTS * group.len() * self.weights.isa.panel_width());
        // SAFETY: the group's inputs fill their buffer, the sums of a panel theirs, and filters lie a panel apart.
        unsafe {
            self.transform_inputs(group.clone(), inputs.as_mut_ptr(), point_stride);
            for panel in 0..self.weights.count() {
                self.weights.isa.run(Products {
                    scheme: PhantomData::<W>,
                    grid: self.plan.grid,
                    groups: slice::from_ref(group),
                    depth: self.plan.depth,
                    channels,
                    inputs: inputs.as_ptr(),
                    input_stride: point_stride,
                    channel: 0,
                    filters: filters.add(panel * FILTER_SIDE * FILTER_SIDE * filter_stride),
                    filter_stride,
                    sums: sums.as_mut_ptr(),
                    upcoming: std::ptr::null(),
                    upcoming_stride: 0,
                });
                self.finish(panel, range, group.clone(), sums.as_ptr(), partials);
            }
        }
    }
}
