//! safetensors: a JSON table of contents, then the tensors' bytes back to back.

use super::MAX_HEADER;
use super::flat::{FlatFile, Gaps, Row};
use crate::distinct::{Distinct, twice};
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::{DType, TensorInfo};
use safetensors::tensor::{Dtype, TensorInfo as Record};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::collections::{BTreeMap, HashSet};

/// Whether a file's first bytes are a header length and the brace that opens the header.
pub(crate) fn recognises(head: &[u8], file_len: u64) -> bool {
    header_len(head).is_some_and(|n| n <= file_len) && head.get(8) == Some(&b'{')
}

fn header_len(head: &[u8]) -> Option<u64> {
    head.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Opens a safetensors file and checks its header.
pub(crate) fn open(file: DataFile) -> Result<FlatFile> {
    let length = header_len(&file.head(8)?).unwrap_or(0);
    if length > MAX_HEADER {
        let reason = format!("is {length} bytes long, the format allows at most {MAX_HEADER}");
        return Err(ConvertError::malformed(file.path(), "header", reason));
    }
    let json = file.read(8, length as usize, "header")?;
    let header: Header = serde_json::from_slice(&json)
        .map_err(|e| ConvertError::malformed(file.path(), "header", e.to_string()))?;
    FlatFile::new(file, 8 + length, header.rows, Gaps::None, header.metadata)
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        Dtype::BOOL => DType::Bool,
        _ => return None,
    })
}

/// The header's rows. Unlike a map, it notices a name that occurs twice.
#[derive(Default)]
struct Header {
    rows: Vec<Row>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object of tensor records")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> std::result::Result<Header, M::Error> {
        let mut header = Header::default();
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(twice(&name));
            }
            let fail = |reason: String| M::Error::custom(format!("`{name}`: {reason}"));
            if name == "__metadata__" {
                let metadata: Distinct<_> = map.next_value().map_err(|e| fail(e.to_string()))?;
                header.metadata = metadata.0;
                continue;
            }
            let record: Record = map.next_value().map_err(|e| fail(e.to_string()))?;
            let Some(dtype) = dtype(record.dtype) else {
                return Err(fail(format!("element type {} is not supported", record.dtype)));
            };
            let (start, end) = record.data_offsets;
            let shape = record.shape;
            header
                .rows
                .push((TensorInfo { name, dtype, shape }, (start as u64, end as u64)));
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::read::Source;

    fn open_with(header: &str, data: &[u8]) -> Result<FlatFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(&path, bytes).unwrap();
        open(DataFile::open(&path)?)
    }

    fn message(header: &str, data: &[u8]) -> String {
        open_with(header, data).unwrap_err().to_string()
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;

    #[test]
    fn tensors_come_in_file_order_with_their_bytes() {
        let file = open_with(TWO, &[1, 2, 3, 4, 5, 6]).unwrap();
        let names: Vec<_> = file.tensors().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(file.elements(1).unwrap().into_bytes().as_ref(), [5, 6]);
        assert_eq!(file.metadata()["format"], "pt");
    }

    #[test]
    fn missing_and_surplus_bytes_are_refused() {
        assert!(message(TWO, &[0; 5]).contains("end at byte 6 of the data, but the file holds 5"));
        assert!(message(TWO, &[0; 9]).contains("holds 9"));
    }

    #[test]
    fn overlapping_tensors_are_refused() {
        let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
            "b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
        assert!(message(header, &[0; 6]).contains("tensor `b`: starts at byte 2 of the data, expected 4"));
    }

    #[test]
    fn offsets_that_do_not_fit_the_shape_are_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#;
        assert!(message(header, &[0; 4]).contains("offsets 0..4 do not hold 8 bytes of [2] float32"));
        let backwards = r#"{"a":{"dtype":"U8","shape":[0],"data_offsets":[4,0]}}"#;
        assert!(message(backwards, &[]).contains("tensor `a`"));
    }

    #[test]
    fn a_name_that_occurs_twice_is_refused() {
        let record = r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#;
        assert!(message(&format!(r#"{{"a":{record},"a":{record}}}"#), &[0]).contains("`a` occurs twice"));
        let metadata = r#"{"__metadata__":{"k":"1","k":"2"}}"#;
        assert!(message(metadata, &[]).contains("`__metadata__`: `k` occurs twice"));
    }

    #[test]
    fn more_dimensions_than_any_network_has_are_refused() {
        let shape = vec!["1"; 17].join(",");
        let header = format!(r#"{{"a":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,1]}}}}"#);
        assert!(message(&header, &[0]).contains("tensor `a`: has 17 dimensions, expected at most 16"));
    }

    #[test]
    fn a_shape_that_overflows_is_refused() {
        let header = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#;
        assert!(message(header, &[0; 4]).contains("more elements than memory"));
    }

    #[test]
    fn a_header_longer_than_the_file_allocates_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        std::fs::write(&path, u64::to_le_bytes(99_999_999)).unwrap();
        let error = open(DataFile::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("the file has 8 bytes"), "{error}");
        std::fs::write(&path, u64::to_le_bytes(u64::MAX)).unwrap();
        let error = open(DataFile::open(&path).unwrap()).unwrap_err().to_string();
        assert!(error.contains("at most 100000000"), "{error}");
    }
}
