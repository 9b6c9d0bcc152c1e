//! Reading Burnpack files.

use super::MAX_HEADER;
use super::flat::{FlatFile, Gaps, Row};
use crate::burnpack::{ALIGNMENT, HEADER_LEN, MAGIC, Record, Table, VERSION};
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::TensorInfo;

/// How deep CBOR values may nest; the table needs four levels.
const MAX_DEPTH: usize = 16;

/// Opens a Burnpack file and checks its table.
pub(crate) fn open(file: DataFile) -> Result<FlatFile> {
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
    let rows = table.tensors.0.into_iter().map(row).collect();
    FlatFile::new(file, data_start, rows, Gaps::Allowed, table.metadata.0)
}

fn row((name, record): (String, Record)) -> Row {
    let dims = record.shape.iter();
    let info = TensorInfo {
        name,
        dtype: record.dtype.dtype(),
        shape: dims
            .map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX))
            .collect(),
    };
    (info, record.data_offsets)
}
