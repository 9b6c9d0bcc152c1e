//! A convolution's gradient with respect to its weight: over all pixels, the sum of outer products of what lies under
//! the window (after normalization) by the output's gradient.
//!
//! It is computed as `[taps * inputs][channels]`. Tasks split these rows into blocks whose packed inputs fit a
//! second-level cache and, where there are too few blocks, the pixels into slices whose sums are added at the end.

use std::ops::Range;

use rayon::prelude::*;

use super::outer::Outer;
use super::weight_packing::{PackGradients, PackInputs};
use crate::cpu::affine::Activations;
use crate::cpu::memory::Scratch;
use crate::cpu::parallel::{Shared, for_each};
use crate::cpu::shape::{Geometry, Padding, Window};
use crate::cpu::simd::{Isa, Kernel, Simd};

/// Pixels whose products are summed before the sums go back to memory: a panel of gradients stays in L1.
const DEPTH: usize = 128;
/// Rows of a block: its packed inputs stay in a second-level cache of 1 MiB.
const ROWS: usize = 640;
/// Tasks a thread should have to choose from.
const TASKS_PER_THREAD: usize = 4;

/// What a weight's gradient is computed from.
#[derive(Clone, Copy)]
pub struct WeightGradient<'a> {
    /// The convolution's input.
    pub input: Activations<'a>,
    /// The gradient of its output, channels last.
    pub gradient: &'a [f32],
    /// Output channels.
    pub channels: usize,
    /// The convolution's window.
    pub window: Window,
    /// The zeros around its input.
    pub padding: Padding,
}

/// The gradient of a convolution's weight, `[channels, inputs, kernel height, kernel width]`.
///
/// # Panics
/// When the window does not fit the input, or the gradient's length is not the output's.
pub fn weight_gradient(of: WeightGradient<'_>) -> Vec<f32> {
    weight_gradient_with(Isa::active(), of)
}

pub(in crate::cpu) fn weight_gradient_with(isa: Isa, of: WeightGradient<'_>) -> Vec<f32> {
    let input = of.input.shape;
    let Some(output) = of.window.output(input, of.padding, of.channels) else {
        panic!("{:?} does not fit {input:?} with {:?}", of.window, of.padding);
    };
    assert_eq!(of.gradient.len(), output.len(), "a gradient of shape {output:?}");
    let geometry = Geometry {
        input,
        output,
        window: of.window,
        padding: of.padding,
    };
    let work = Work::new(isa, geometry, &of);
    let mut sums = Scratch::take(work.slices * work.sums());
    let to = Shared(sums.as_mut_ptr());
    for_each(work.slices * work.blocks, |task| {
        // SAFETY: each task has its own slice's rows of the sums.
        unsafe { work.block(task % work.blocks, task / work.blocks, to) };
    });
    work.collect(&sums[..work.slices * work.sums()])
}

/// A weight gradient, cut into tasks.
pub(super) struct Work<'a> {
    isa: Isa,
    pub(super) geometry: Geometry,
    pub(super) input: Activations<'a>,
    pub(super) gradient: &'a [f32],
    tiles: Vec<Range<usize>>,
    blocks: usize,
    slices: usize,
}

impl<'a> Work<'a> {
    fn new(isa: Isa, geometry: Geometry, of: &WeightGradient<'a>) -> Work<'a> {
        let tiles = tiles(&geometry, isa.tile_rows());
        let blocks = geometry.depth().div_ceil(ROWS).min(tiles.len());
        let wanted = rayon::current_num_threads() * TASKS_PER_THREAD;
        let pixels = geometry.output.images * geometry.output.pixels();
        Work {
            isa,
            geometry,
            input: of.input,
            gradient: of.gradient,
            tiles,
            blocks,
            slices: wanted.div_ceil(blocks).min(pixels.div_ceil(2 * DEPTH)).max(1),
        }
    }

    /// Floats of a row of sums: channels, rounded up to whole panels.
    fn stride(&self) -> usize {
        self.geometry
            .output
            .channels
            .next_multiple_of(self.isa.panel_width())
    }

    /// Floats of a slice's sums.
    fn sums(&self) -> usize {
        self.geometry.depth() * self.stride()
    }

    fn pixels(&self) -> usize {
        self.geometry.output.images * self.geometry.output.pixels()
    }

    /// One block's sums over one slice of the pixels.
    unsafe fn block(&self, block: usize, slice: usize, to: Shared<f32>) {
        let tiles =
            &self.tiles[self.tiles.len() * block / self.blocks..self.tiles.len() * (block + 1) / self.blocks];
        let pixels = self.pixels() * slice / self.slices..self.pixels() * (slice + 1) / self.slices;
        let rows = tiles[tiles.len() - 1].end - tiles[0].start;
        let width = self.isa.panel_width();
        let mut inputs = Scratch::take(DEPTH * rows + self.isa.lanes());
        let mut gradients = Scratch::take(DEPTH * width);
        let mut line = Scratch::take(self.geometry.depth() + self.isa.lanes());
        let mut first = pixels.start;
        while first < pixels.end {
            let pixels = first..pixels.end.min(first + DEPTH);
            // SAFETY: tiles are rows of the sums, panels columns; the buffers hold `DEPTH` pixels of both.
            unsafe {
                self.isa.run(PackInputs {
                    work: self,
                    tiles,
                    pixels: pixels.clone(),
                    line: line.as_mut_ptr(),
                    to: inputs.as_mut_ptr(),
                });
                for panel in 0..self.stride() / width {
                    self.isa.run(PackGradients {
                        work: self,
                        pixels: pixels.clone(),
                        panel,
                        to: gradients.as_mut_ptr(),
                    });
                    self.isa.run(Panel {
                        stride: self.stride(),
                        tiles,
                        depth: pixels.len(),
                        inputs: inputs.as_ptr(),
                        gradients: gradients.as_ptr(),
                        to: to.at(slice * self.sums() + panel * width),
                        add: first > self.pixels() * slice / self.slices,
                    });
                }
            }
            first = pixels.end;
        }
    }

    /// The slices' sums, added and in the order of the weight.
    fn collect(&self, sums: &[f32]) -> Vec<f32> {
        let width = self.isa.panel_width();
        let (depth, channels) = (self.geometry.depth(), self.geometry.output.channels);
        let mut weight = vec![0.0; channels * depth];
        weight
            .par_chunks_mut((width * depth).max(1))
            .enumerate()
            .for_each(|(panel, filters)| self.collect_panel(sums, panel * width, filters));
        weight
    }

    /// The filters of a panel that starts with channel `first`. Some inputs at a time, so that each filter is written
    /// in pieces longer than a cache line.
    fn collect_panel(&self, sums: &[f32], first: usize, filters: &mut [f32]) {
        const INPUTS: usize = 16;
        let (depth, stride, width) = (self.geometry.depth(), self.stride(), self.isa.panel_width());
        let (inputs, taps) = (self.geometry.input.channels, self.geometry.window.taps());
        let mut piece = vec![0.0; INPUTS * taps * width];
        let mut row = vec![0.0f32; width];
        for input in (0..inputs).step_by(INPUTS) {
            let count = INPUTS.min(inputs - input);
            let len = count * taps;
            for (tap, i) in (0..taps).flat_map(|tap| (0..count).map(move |i| (tap, i))) {
                row.fill(0.0);
                for slice in sums.chunks_exact(self.sums()) {
                    let from = &slice[(tap * inputs + input + i) * stride + first..][..width];
                    row.iter_mut().zip(from).for_each(|(sum, from)| *sum += from);
                }
                let column = piece[i * taps + tap..].iter_mut().step_by(len);
                column.zip(&row).for_each(|(to, sum)| *to = *sum);
            }
            for (filter, piece) in filters.chunks_exact_mut(depth).zip(piece.chunks_exact(len)) {
                filter[input * taps..][..len].copy_from_slice(piece);
            }
        }
    }
}

/// The rows cut into micro-tiles. Those of one tap lie side by side in the input; so do those of adjacent taps where
/// there are few channels.
fn tiles(geometry: &Geometry, most: usize) -> Vec<Range<usize>> {
    let (depth, inputs) = (geometry.depth(), geometry.input.channels);
    let run = if inputs < most { depth } else { inputs };
    let each = run.div_ceil(most);
    (0..depth / run)
        .flat_map(|tap| {
            (0..each).map(move |tile| tap * run + run * tile / each..tap * run + run * (tile + 1) / each)
        })
        .collect()
}

/// One panel of the gradients by all tiles of a block.
struct Panel<'a> {
    stride: usize,
    tiles: &'a [Range<usize>],
    depth: usize,
    inputs: *const f32,
    gradients: *const f32,
    to: *mut f32,
    add: bool,
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let first = self.tiles[0].start;
        for tile in self.tiles {
            // SAFETY: the tile's inputs are packed there, and its rows are among the sums.
            unsafe {
                let outer = Outer {
                    depth: self.depth,
                    rows: tile.len(),
                    inputs: self.inputs.add((tile.start - first) * self.depth),
                    gradients: self.gradients,
                    to: self.to.add(tile.start * self.stride),
                    stride: self.stride,
                    add: self.add,
                };
                outer.run::<S>();
            }
        }
    }
}
