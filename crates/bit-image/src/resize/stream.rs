//! A resize of a picture that comes a few rows at a time.

use std::ops::Range;
use std::sync::Arc;

use super::passes::{self, Horizontal, Plane};
use super::weights::{FixedPoint, Weights};
use super::{Buffers, Kernel, PassOrder, Resize};

/// Values of a pixel: only RGB is streamed.
const CHANNELS: usize = 3;

/// A resize whose horizontal pass comes first, so that it can take rows as they are decoded.
pub(crate) struct Stream {
    rows: Arc<Weights>,
    columns: Arc<Weights>,
}

impl Stream {
    /// `None` when the resize needs the whole picture: without a filter, along one axis, or with its vertical pass
    /// first.
    pub(crate) fn new(resize: &Resize, kernel: Kernel, buffers: &mut Buffers) -> Option<Self> {
        let (filter, arithmetic) = match kernel {
            Kernel::Pillow(_, PassOrder::Pillow13) if resize.vertical_first() => return None,
            Kernel::Pillow(filter, _) => (filter, FixedPoint::Pillow),
            Kernel::Torch(filter) => (filter, FixedPoint::Torch),
            Kernel::PillowNearest | Kernel::TorchNearestExact => return None,
        };
        if resize.rows.is_copy() || resize.columns.is_copy() {
            return None;
        }
        let mut weights = |axis| buffers.weights.get(axis, filter, arithmetic);
        Some(Self {
            rows: weights(&resize.rows),
            columns: weights(&resize.columns),
        })
    }

    /// The rows that the window reads.
    pub(crate) fn rows(&self) -> Range<usize> {
        self.rows.source()
    }

    /// The columns that the window reads.
    pub(crate) fn columns(&self) -> Range<usize> {
        self.columns.source()
    }

    /// Resizes the rows that `decode` hands to its argument, all of [`rows`](Self::rows) in their order, and that
    /// start with the picture's column `first`. `None` when `decode` says so.
    pub(crate) fn run(
        &self,
        first: usize,
        buffers: &mut Buffers,
        out: &mut Vec<u8>,
        decode: impl FnOnce(&mut dyn FnMut(usize, Plane<'_>)) -> Option<()>,
    ) -> Option<()> {
        let horizontal = Horizontal::new(&self.columns, first);
        let (needed, width) = (self.rows(), self.columns.taps.len());
        let between = &mut buffers.between;
        between.resize(needed.len() * width * CHANNELS, 0);
        decode(&mut |row, plane| {
            let lines = &mut between[(row - needed.start) * width * CHANNELS..];
            horizontal.run(
                plane,
                0..plane.height,
                &mut lines[..plane.height * width * CHANNELS],
            );
        })?;
        let between = Plane {
            data: between,
            height: needed.len(),
            width,
            channels: CHANNELS,
        };
        passes::vertical(between, needed.start, &self.rows, out);
        Some(())
    }
}
