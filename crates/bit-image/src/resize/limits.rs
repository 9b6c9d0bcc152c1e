//! What a resize may allocate besides its result, checked before it starts.

use super::weights::Axis;
use super::{Filter, Kernel, PassOrder, Resize};
use crate::{ImageError, Limits};

/// Most weights of an axis: enough to resample sides of millions of pixels, and about 200 MB.
const MAX_WEIGHTS: usize = 1 << 24;

impl Resize {
    /// Fails when the picture between the two passes would be beyond the limit, or an axis would need too many weights.
    /// `float` is for torch's resize of floats, whose first pass takes all rows.
    pub(crate) fn check(&self, kernel: Kernel, float: bool, limits: &Limits) -> Result<(), ImageError> {
        let (filter, vertical_first) = match kernel {
            Kernel::PillowNearest | Kernel::TorchNearestExact => return Ok(()),
            Kernel::Pillow(filter, order) => (filter, order == PassOrder::Pillow13 && self.vertical_first()),
            Kernel::Torch(filter) => (filter, false),
        };
        let (rows, columns) = (&self.rows, &self.columns);
        check_weights(rows, filter)?;
        check_weights(columns, filter)?;
        let (height, width) = match (float, vertical_first) {
            (true, _) => (rows.input, columns.window.len()),
            // With one pass there is nothing in between.
            (false, _) if rows.is_copy() || columns.is_copy() => return Ok(()),
            (false, true) => (rows.window.len(), columns.source(filter).len()),
            (false, false) => (rows.source(filter).len(), columns.window.len()),
        };
        let (width, height, limit) = (width as u64, height as u64, limits.max_pixels);
        match width.checked_mul(height) {
            Some(pixels) if pixels <= limit => Ok(()),
            _ => Err(ImageError::BetweenTooLarge { width, height, limit }),
        }
    }
}

fn check_weights(axis: &Axis, filter: Filter) -> Result<(), ImageError> {
    let weights = axis.most_taps(filter).saturating_mul(axis.window.len());
    if axis.is_copy() || weights <= MAX_WEIGHTS {
        return Ok(());
    }
    Err(ImageError::TooManyWeights {
        input: axis.input,
        output: axis.output,
        weights,
        limit: MAX_WEIGHTS,
    })
}
