//! 3x3 convolutions by Winograd's algorithms: for 16 outputs 36 products of matrices of tiles by channels do the work of
//! 144 with stride 1, and 81 with stride 2; and 4x4 ones, where for 9 outputs 36 do the work of 144. Tiles of three rows or
//! columns make up what is left of a 3x3 convolution's output of 14 or 7.
//!
//! Filters are transformed again in every forward: that costs less than reading a transform that is four times as
//! large from memory, and the weights stay what the direct convolution uses as well.

// Rows and columns of small matrices read best by their indices.
#![allow(clippy::needless_range_loop)]

mod choice;
mod four_taps;
mod grid;
mod groups;
mod inputs;
mod outputs;
mod plan;
mod products;
mod transform;

use std::marker::PhantomData;
use std::ops::Range;

pub(super) use self::choice::applies;
use self::choice::window_of;
use self::four_taps::FourTaps;
use self::grid::Grid;
use self::inputs::Inputs;
use self::outputs::Outputs;
use self::plan::Plan;
use self::products::{Filters, Products};
use self::transform::{EveryOtherPixel, EveryPixel, FILTER_SIDE, Scheme};
use super::affine::Activations;
use super::memory::Scratch;
use super::micro::BLOCK;
use super::moments::{Moments, Partials};
use super::parallel::{Shared, for_each};
use super::shape::Geometry;
use super::weights::Packed;

/// Computes the convolution as `product::convolve` does.
///
/// The input may have more channels than the weights, which read the first ones.
///
/// # Safety
/// As `product::convolve`, and [`applies`] is true.
pub(super) unsafe fn convolve(
    geometry: &Geometry,
    weights: &Packed,
    input: Activations<'_>,
    out: *mut f32,
    residual: *const f32,
    want_moments: bool,
) -> Option<Moments> {
    let convolve = match geometry.window {
        window if window == window_of::<EveryOtherPixel>() => convolve_by::<EveryOtherPixel>,
        window if window == window_of::<FourTaps>() => convolve_by::<FourTaps>,
        _ => convolve_by::<EveryPixel>,
    };
    // SAFETY: the caller's promises.
    unsafe { convolve(geometry, weights, input, out, residual, want_moments) }
}

unsafe fn convolve_by<W: Scheme>(
    geometry: &Geometry,
    weights: &Packed,
    input: Activations<'_>,
    out: *mut f32,
    residual: *const f32,
    want_moments: bool,
) -> Option<Moments> {
    let output = geometry.output;
    let grid = Grid::new::<W>(geometry);
    let plan = Plan::<W>::new(&grid, weights);
    let ranges = plan.ranges();
    let mut partials = want_moments.then(|| Partials::new(output.images, ranges.len(), weights.channels));
    let moments = Shared(
        partials
            .as_mut()
            .map_or(std::ptr::null_mut(), Partials::as_mut_ptr),
    );
    let (out, residual) = (Shared(out), Shared(residual.cast_mut()));
    let mut at = 0;
    while at < ranges.len() {
        let together = ranges[at..]
            .iter()
            .take_while(|range| range.end - ranges[at].start <= plan.tiles_at_once);
        let batch = at..at + together.count().max(1);
        let pass = Pass {
            plan: &plan,
            weights,
            input,
            ranges: &ranges,
            batch,
            out,
            residual,
            moments,
        };
        // SAFETY: the caller's promises.
        unsafe {
            if plan.group_by_group {
                pass.group_by_group(partials.as_ref());
            } else {
                pass.run(partials.as_ref());
            }
        }
        at = pass.batch.end;
    }
    partials.map(|partials| {
        partials.combine(weights.channels, |image, part| {
            grid.pixels(image, ranges[part].clone())
        })
    })
}

/// The ranges whose transformed inputs are in memory together, by all panels.
struct Pass<'a, W> {
    plan: &'a Plan<'a, W>,
    weights: &'a Packed,
    input: Activations<'a>,
    ranges: &'a [Range<usize>],
    batch: Range<usize>,
    out: Shared<f32>,
    residual: Shared<f32>,
    moments: Shared<f32>,
}

impl<W: Scheme> Pass<'_, W> {
    unsafe fn run(&self, partials: Option<&Partials>) {
        let ranges = &self.ranges[self.batch.clone()];
        let (first, last) = (ranges[0].start, ranges[ranges.len() - 1].end);
        let channels = self.input.shape.channels;
        // One line more than needed: points a power of two apart would fall on the same cache sets.
        let point_stride = (last - first) * channels + BLOCK;
        let mut inputs = Scratch::take(Plan::<W>::POINTS * point_stride);
        let inputs = Shared(inputs.as_mut_ptr());
        let groups: Vec<Range<usize>> = ranges
            .iter()
            .flat_map(|range| self.plan.groups_of(range))
            .collect();
        for_each(groups.len(), |task| {
            let group = groups[task].clone();
            // SAFETY: each group has its own place at every point.
            unsafe {
                let to = inputs.at((group.start - first) * channels);
                self.transform_inputs(group, to, point_stride);
            }
        });
        for_each(self.weights.count() * ranges.len(), |task| {
            let (panel, range) = (task / ranges.len(), task % ranges.len());
            // SAFETY: each task has its own tiles and channels of output, residual and statistics.
            unsafe {
                self.range(
                    panel,
                    self.batch.start + range,
                    inputs.at(0),
                    first,
                    point_stride,
                    partials,
                )
            };
        });
    }

    /// Transforms a group's inputs to `to`.
    unsafe fn transform_inputs(&self, group: Range<usize>, to: *mut f32, point_stride: usize) {
        // SAFETY: the caller made room for the group at every point.
        unsafe {
            self.weights.isa.run(Inputs {
                scheme: PhantomData::<W>,
                grid: self.plan.grid,
                input: self.input,
                first: group.start,
                count: group.len(),
                to,
                point_stride,
            });
        }
    }

    /// Floats from one point's transformed filters to the next one's: a line more than needed, as for inputs.
    fn filter_stride(&self) -> usize {
        self.plan.depth * self.weights.isa.panel_width() + BLOCK
    }

    /// Transforms a panel's filters from `channel` on to `to`; returns from how many channels.
    unsafe fn transform_filters(&self, panel: usize, channel: usize, to: *mut f32) -> usize {
        let (channels, width) = (self.plan.channels, self.weights.isa.panel_width());
        let count = self.plan.depth.min(channels - channel);
        // SAFETY: the channels are inside the packed panel, and the caller made room.
        unsafe {
            self.weights.isa.run(Filters {
                scheme: PhantomData::<W>,
                from: self.weights.panel(panel).as_ptr().add(channel * width),
                tap_stride: channels * width,
                count,
                to,
                point_stride: self.filter_stride(),
            });
        }
        count
    }

    /// All groups of one range by one panel.
    unsafe fn range(
        &self,
        panel: usize,
        range: usize,
        inputs: *const f32,
        first: usize,
        input_stride: usize,
        partials: Option<&Partials>,
    ) {
        let (plan, width) = (self.plan, self.weights.isa.panel_width());
        let (tiles, channels) = (&self.ranges[range], self.input.shape.channels);
        let groups: Vec<Range<usize>> = plan.groups_of(tiles).collect();
        let filter_stride = self.filter_stride();
        let mut filters = Scratch::take(FILTER_SIDE * FILTER_SIDE * filter_stride);
        let filters = filters.as_mut_ptr();
        let mut sums = Scratch::take(Plan::<W>::POINTS * tiles.len() * width);
        let sums = sums.as_mut_ptr();
        // SAFETY: chunks of channels stay inside the packed panel and inputs, groups inside the sums.
        unsafe {
            for channel in (0..plan.channels).step_by(plan.depth) {
                let depth = self.transform_filters(panel, channel, filters);
                self.weights.isa.run(Products {
                    scheme: PhantomData::<W>,
                    grid: plan.grid,
                    groups: &groups,
                    depth,
                    channels,
                    inputs: inputs.add((tiles.start - first) * channels),
                    input_stride,
                    channel,
                    filters,
                    filter_stride,
                    sums,
                    upcoming: self.upcoming(panel, channel + depth),
                    upcoming_stride: plan.channels * width,
                });
            }
            for group in groups {
                let sums = sums.add((group.start - tiles.start) * Plan::<W>::POINTS * width);
                self.finish(panel, range, group, sums, partials);
            }
        }
    }

    /// The packed weights that follow: of this panel from `channel`, or of the next one.
    fn upcoming(&self, panel: usize, channel: usize) -> *const f32 {
        let (channels, width) = (self.plan.channels, self.weights.isa.panel_width());
        match (channel < channels, panel + 1 < self.weights.count()) {
            (true, _) => self.weights.panel(panel)[channel * width..].as_ptr(),
            (false, true) => self.weights.panel(panel + 1).as_ptr(),
            (false, false) => std::ptr::null(),
        }
    }

    unsafe fn finish(
        &self,
        panel: usize,
        range: usize,
        group: Range<usize>,
        sums: *const f32,
        partials: Option<&Partials>,
    ) {
        let channel = panel * self.weights.isa.panel_width();
        // SAFETY: the panel's channels exist in each of these.
        unsafe {
            self.weights.isa.run(Outputs {
                scheme: PhantomData::<W>,
                grid: self.plan.grid,
                first: group.start,
                count: group.len(),
                sums,
                bias: self.weights.bias(panel),
                out: self.out.at(channel),
                residual: if self.residual.0.is_null() {
                    self.residual.0
                } else {
                    self.residual.at(channel)
                },
                moments: partials.map_or(std::ptr::null_mut(), |partials| {
                    self.moments.at(partials.offset(0, range) + channel)
                }),
                moments_image: partials.map_or(0, |partials| partials.offset(1, 0)),
                moments_stride: partials.map_or(0, |partials| partials.stride),
                since: self.ranges[range].start,
            });
        }
    }
}
