//! Files that are a table of contents and then the tensors' bytes: safetensors and Burnpack.

use super::Source;
use crate::elements::Elements;
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::TensorInfo;
use std::collections::BTreeMap;

/// A row of the table: a tensor, and its start and end counted from where the bytes start.
pub(super) type Row = (TensorInfo, (u64, u64));

/// Whether bytes may belong to no tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    None,
    Allowed,
}

/// Such a file, its table checked.
#[derive(Debug)]
pub(crate) struct FlatFile {
    file: DataFile,
    tensors: Vec<TensorInfo>,
    /// Where each tensor starts in the file.
    starts: Vec<u64>,
    metadata: BTreeMap<String, String>,
}

impl FlatFile {
    /// A file whose tensors' bytes start at `data_start`.
    ///
    /// # Errors
    ///
    /// When tensors overlap, leave gaps that are not allowed, or are not as long as their shapes and types say, and
    /// when the file ends too early.
    pub(super) fn new(
        file: DataFile,
        data_start: u64,
        mut rows: Vec<Row>,
        gaps: Gaps,
        metadata: BTreeMap<String, String>,
    ) -> Result<Self> {
        rows.sort_by_key(|(_, offsets)| *offsets);
        let mut tensors = Vec::with_capacity(rows.len());
        let mut starts = Vec::with_capacity(rows.len());
        let mut end = 0;
        for (info, offsets) in rows {
            check(&file, &info, offsets, end, gaps)?;
            starts.push(data_start.saturating_add(offsets.0)); // in range once all checks passed
            tensors.push(info);
            end = offsets.1;
        }
        let held = file.len().saturating_sub(data_start);
        if end > held || (end < held && gaps == Gaps::None) {
            let reason = format!("the tensors end at byte {end} of the data, but the file holds {held}");
            return Err(ConvertError::malformed(file.path(), "data", reason));
        }
        Ok(Self {
            file,
            tensors,
            starts,
            metadata,
        })
    }
}

/// A tensor must start where the previous one ended, or behind it, and be as long as its shape and type say.
fn check(file: &DataFile, info: &TensorInfo, offsets: (u64, u64), end: u64, gaps: Gaps) -> Result<()> {
    let expected = info.checked_byte_len(file.path())? as u64;
    let (start, stop) = offsets;
    let reason = if start < end || (start > end && gaps == Gaps::None) {
        format!("starts at byte {start} of the data, expected {end} where the previous ends")
    } else if stop.checked_sub(start) != Some(expected) {
        let TensorInfo { shape, dtype, .. } = info;
        format!("offsets {start}..{stop} do not hold {expected} bytes of {shape:?} {dtype}")
    } else {
        return Ok(());
    };
    Err(ConvertError::tensor(file.path(), &info.name, reason))
}

impl Source for FlatFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn elements(&self, index: usize) -> Result<Elements<'static>> {
        let info = &self.tensors[index];
        let bytes = self
            .file
            .read(self.starts[index], info.byte_len(), &place(info))?;
        Ok(Elements::row_major(bytes, info.dtype, &info.shape))
    }

    fn read_into(&self, index: usize, out: &mut [u8]) -> Result<()> {
        self.file
            .read_into(self.starts[index], out, &place(&self.tensors[index]))
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.clone()
    }
}

fn place(info: &TensorInfo) -> String {
    format!("tensor `{}`", info.name)
}
