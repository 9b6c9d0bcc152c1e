//! Resizing in Pillow's and torchvision's exact arithmetic, computing only the window that is kept.
//!
//! | file | holds |
//! |---|---|
//! | `filter.rs` | the filters |
//! | `weights.rs` | taps and fixed-point weights of an axis |
//! | `passes.rs` | the two passes over 8-bit pixels |
//! | `avx2.rs` | the horizontal pass with AVX2 |
//! | `stream.rs` | a resize of rows that are decoded one after the other |
//! | `nearest.rs` | nearest-neighbour index rules |
//! | `float.rs` | torch's `f32` resize |
//! | `limits.rs` | what is refused because of the memory it would need |

#[cfg(target_arch = "x86_64")]
mod avx2;
mod filter;
mod float;
mod limits;
mod nearest;
mod passes;
mod stream;
mod weights;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

pub(crate) use filter::Filter;
use float::FloatBuffers;
pub(crate) use float::{FloatPlane, resize_f32};
use nearest::Indices;
pub(crate) use passes::Plane;
pub(crate) use stream::Stream;
use weights::{Axis, FixedPoint, Weights};

/// A kernel with its rules for index and rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Pillow's NEAREST.
    PillowNearest,
    /// torch's nearest-exact.
    TorchNearestExact,
    /// Pillow's convolution; the flag allows Pillow 13's vertical-first order.
    Pillow(Filter, PassOrder),
    /// torchvision's antialiased uint8 convolution.
    Torch(Filter),
}

/// Which pass of Pillow's resize runs first; rounding between the passes makes it visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PassOrder {
    /// Pillow 13: vertical first when that makes the intermediate picture much smaller.
    #[default]
    Pillow13,
    /// Pillow 12 and older: always horizontal first.
    Pillow12,
}

/// Memory that one thread keeps from resize to resize.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    between: Vec<u8>,
    cropped: Vec<u8>,
    weights: WeightCache,
    indices: Indices,
    floats: FloatBuffers,
}

/// The weights of the last few axes, unless they are large: images of a batch often have the same size.
#[derive(Debug, Default)]
struct WeightCache(VecDeque<((Axis, Filter, FixedPoint), Arc<Weights>)>);

impl WeightCache {
    const KEPT: usize = 8;
    /// Most weights of an axis that is kept.
    const LARGEST: usize = 1 << 18;

    fn get(&mut self, axis: &Axis, filter: Filter, arithmetic: FixedPoint) -> Arc<Weights> {
        let key = (axis.clone(), filter, arithmetic);
        if let Some((_, weights)) = self.0.iter().find(|(kept, _)| *kept == key) {
            return Arc::clone(weights);
        }
        // The oldest entry's memory is taken again.
        let oldest = (self.0.len() >= Self::KEPT).then(|| self.0.pop_back()).flatten();
        let mut weights = oldest.map(|(_, weights)| weights).unwrap_or_default();
        Arc::make_mut(&mut weights).fill(axis, filter, arithmetic);
        if weights.values.len() > Self::LARGEST {
            return weights;
        }
        self.0.push_front((key, Arc::clone(&weights)));
        weights
    }
}

/// A resize of which only a window is wanted. Pairs are (height, width).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) rows: Axis,
    pub(crate) columns: Axis,
}

impl Resize {
    /// From `source` to `target`, keeping the window of the target with these rows and columns.
    pub(crate) fn new(
        source: (usize, usize),
        target: (usize, usize),
        window: (Range<usize>, Range<usize>),
    ) -> Self {
        let rows = Axis {
            input: source.0,
            output: target.0,
            window: window.0,
        };
        Self {
            rows,
            columns: Axis {
                input: source.1,
                output: target.1,
                window: window.1,
            },
        }
    }

    fn vertical_first(&self) -> bool {
        let shrink = |axis: &Axis| axis.input as i64 - axis.output as i64;
        shrink(&self.rows) > 0 && shrink(&self.rows) > 2 * shrink(&self.columns)
    }

    /// Resizes `source` into `out`, which holds the window's interleaved pixels afterwards.
    pub(crate) fn run(&self, source: Plane<'_>, kernel: Kernel, buffers: &mut Buffers, out: &mut Vec<u8>) {
        match kernel {
            Kernel::PillowNearest if self.is_copy() => self.crop(source, out),
            Kernel::PillowNearest => {
                let indices = buffers.indices.pillow(self);
                indices.pick(source.data, source.width, source.channels, out);
            }
            Kernel::TorchNearestExact => {
                let indices = buffers.indices.torch(self);
                indices.pick(source.data, source.width, source.channels, out);
            }
            Kernel::Pillow(filter, order) => {
                let vertical_first = order == PassOrder::Pillow13 && self.vertical_first();
                self.convolve(source, filter, FixedPoint::Pillow, vertical_first, buffers, out);
            }
            Kernel::Torch(filter) => self.convolve(source, filter, FixedPoint::Torch, false, buffers, out),
        }
    }

    /// True when the whole resize is a crop.
    pub(crate) fn is_copy(&self) -> bool {
        self.rows.is_copy() && self.columns.is_copy()
    }

    fn crop(&self, source: Plane<'_>, out: &mut Vec<u8>) {
        let columns = self.columns.window.start * source.channels..self.columns.window.end * source.channels;
        out.clear();
        self.rows
            .window
            .clone()
            .for_each(|y| out.extend_from_slice(&source.row(y)[columns.clone()]));
    }

    fn convolve(
        &self,
        source: Plane<'_>,
        filter: Filter,
        arithmetic: FixedPoint,
        vertical_first: bool,
        buffers: &mut Buffers,
        out: &mut Vec<u8>,
    ) {
        let (rows, columns) = (&self.rows, &self.columns);
        let Buffers {
            between,
            cropped,
            weights,
            ..
        } = buffers;
        let mut weights = |axis: &Axis| weights.get(axis, filter, arithmetic);
        match (rows.is_copy(), columns.is_copy()) {
            (true, true) => self.crop(source, out),
            (true, false) => passes::horizontal(source, 0, rows.window.clone(), &weights(columns), out),
            (false, true) => {
                let source = crop_columns(source, columns.window.clone(), cropped);
                passes::vertical(source, 0, &weights(rows), out);
            }
            (false, false) if vertical_first => {
                let (rows, columns) = (weights(rows), weights(columns));
                let needed = columns.source();
                let source = crop_columns(source, needed.clone(), cropped);
                passes::vertical(source, 0, &rows, between);
                let height = rows.taps.len();
                let between = Plane {
                    data: between,
                    height,
                    ..source
                };
                passes::horizontal(between, needed.start, 0..height, &columns, out);
            }
            (false, false) => {
                let (rows, columns) = (weights(rows), weights(columns));
                let needed = rows.source();
                passes::horizontal(source, 0, needed.clone(), &columns, between);
                let width = columns.taps.len();
                let between = Plane {
                    data: between,
                    height: needed.len(),
                    width,
                    ..source
                };
                passes::vertical(between, needed.start, &rows, out);
            }
        }
    }
}

/// The columns `range` of `source`, copied only when they are not all of it.
fn crop_columns<'a>(source: Plane<'a>, range: Range<usize>, buffer: &'a mut Vec<u8>) -> Plane<'a> {
    if range.len() == source.width {
        return source;
    }
    let bytes = range.start * source.channels..range.end * source.channels;
    buffer.clear();
    (0..source.height).for_each(|y| buffer.extend_from_slice(&source.row(y)[bytes.clone()]));
    Plane {
        data: buffer,
        width: range.len(),
        ..source
    }
}
