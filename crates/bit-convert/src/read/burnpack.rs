//! Reading Burnpack files.

use super::{MAX_HEADER, Source};
use crate::burnpack::{ALIGNMENT, HEADER_LEN, MAGIC, Record, Table, VERSION};
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::TensorInfo;
use std::collections::BTreeMap;
use std::path::Path;

/// How deep CBOR values may nest; the table needs four levels.
const MAX_DEPTH: usize = 16;

/// A Burnpack file whose table has been checked.
#[derive(Debug)]
pub(crate) struct BurnpackFile {
    file: DataFile,
    tensors: Vec<TensorInfo>,
    offsets: Vec<u64>,
    metadata: BTreeMap<String, String>,
}

impl BurnpackFile {
    pub(crate) fn open(file: DataFile) -> Result<Self> {
        let head = file.read(0, HEADER_LEN as usize, "header")?;
        let fail = |reason: String| ConvertError::malformed(file.path(), "header", reason);
        let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = head[..] else {
            return Err(fail("is too short".into()));
        };
        let (version, length) = (u16::from_le_bytes([v0, v1]), u32::from_le_bytes([l0, l1, l2, l3]));
        if [m0, m1, m2, m3] != MAGIC || version != VERSION || u64::from(length) > MAX_HEADER {
            return Err(fail(format!(
                "is of version {version} with a table of {length} bytes, expected version {VERSION}"
            )));
        }
        let cbor = file.read(HEADER_LEN, length as usize, "table")?;
        let table: Table = ciborium::de::from_reader_with_recursion_limit(&cbor[..], MAX_DEPTH)
            .map_err(|e| ConvertError::malformed(file.path(), "table", e.to_string()))?;

        let data_start = (HEADER_LEN + u64::from(length)).next_multiple_of(ALIGNMENT);
        let mut records: Vec<_> = table.tensors.into_iter().collect();
        records.sort_by_key(|(_, record)| record.data_offsets);
        let mut tensors = Vec::with_capacity(records.len());
        let mut offsets = Vec::with_capacity(records.len());
        let mut end = 0;
        for (name, record) in records {
            let (start, next_end) = record.data_offsets;
            tensors.push(check(&file, name, &record, data_start, end)?);
            offsets.push(data_start + start);
            end = next_end;
        }
        Ok(Self {
            file,
            tensors,
            offsets,
            metadata: table.metadata,
        })
    }
}

/// A tensor must start behind the previous one, lie in the file, and be as long as its shape and type say.
fn check(file: &DataFile, name: String, record: &Record, data_start: u64, end: u64) -> Result<TensorInfo> {
    let path: &Path = file.path();
    let shape = record
        .shape
        .iter()
        .map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX))
        .collect();
    let info = TensorInfo {
        name,
        dtype: record.dtype.dtype(),
        shape,
    };
    let expected = info.checked_byte_len(path)? as u64;
    let (start, stop) = record.data_offsets;
    let inside = stop
        .checked_add(data_start)
        .is_some_and(|stop| stop <= file.len());
    if start < end || stop.checked_sub(start) != Some(expected) || !inside {
        let reason = format!(
            "offsets {start}..{stop} do not hold {expected} bytes behind {end} in a file of {} bytes",
            file.len()
        );
        return Err(ConvertError::tensor(path, &info.name, reason));
    }
    Ok(info)
}

impl Source for BurnpackFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read(&self, index: usize) -> Result<Vec<u8>> {
        let info = &self.tensors[index];
        self.file.read(
            self.offsets[index],
            info.byte_len(),
            &format!("tensor `{}`", info.name),
        )
    }

    fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.clone()
    }
}
