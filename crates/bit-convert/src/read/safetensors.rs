//! safetensors: a JSON table of contents, then the tensors' bytes back to back.

use super::{MAX_HEADER, Source};
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::{DType, TensorInfo};
use safetensors::tensor::{Dtype, TensorInfo as Record};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// A safetensors file whose header has been checked.
#[derive(Debug)]
pub(crate) struct SafetensorsFile {
    file: DataFile,
    tensors: Vec<TensorInfo>,
    /// Where each tensor starts in the file.
    offsets: Vec<u64>,
    metadata: BTreeMap<String, String>,
}

/// Whether a file's first bytes are a header length and the brace that opens the header.
pub(crate) fn recognises(head: &[u8], file_len: u64) -> bool {
    header_len(head).is_some_and(|n| n <= file_len) && head.get(8) == Some(&b'{')
}

fn header_len(head: &[u8]) -> Option<u64> {
    head.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

impl SafetensorsFile {
    pub(crate) fn open(file: DataFile) -> Result<Self> {
        let length = header_len(&file.head(8)?).unwrap_or(0);
        if length > MAX_HEADER {
            let reason = format!("is {length} bytes long, the format allows at most {MAX_HEADER}");
            return Err(ConvertError::malformed(file.path(), "header", reason));
        }
        let json = file.read(8, length as usize, "header")?;
        let header: Header = serde_json::from_slice(&json)
            .map_err(|e| ConvertError::malformed(file.path(), "header", e.to_string()))?;
        let Header {
            mut records,
            metadata,
        } = header;
        records.sort_by_key(|(_, record)| record.data_offsets);

        let data_start = 8 + length;
        let mut tensors = Vec::with_capacity(records.len());
        let mut offsets = Vec::with_capacity(records.len());
        let mut end = 0;
        for (name, record) in records {
            offsets.push(data_start.saturating_add(record.data_offsets.0 as u64)); // in range once all checks passed
            tensors.push(check(file.path(), name, &record, end)?);
            end = record.data_offsets.1;
        }
        let held = file.len() - data_start;
        if end as u64 != held {
            let reason = format!("the tensors end at byte {end} of the data, but the file holds {held}");
            return Err(ConvertError::malformed(file.path(), "data", reason));
        }
        Ok(Self {
            file,
            tensors,
            offsets,
            metadata,
        })
    }
}

impl Source for SafetensorsFile {
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

/// A tensor must start where the previous one ended and be as long as its shape and type say.
fn check(path: &Path, name: String, record: &Record, previous_end: usize) -> Result<TensorInfo> {
    let Some(dtype) = dtype(record.dtype) else {
        return Err(ConvertError::tensor(
            path,
            &name,
            format!("element type {} is not supported", record.dtype),
        ));
    };
    let info = TensorInfo {
        name,
        dtype,
        shape: record.shape.clone(),
    };
    let expected = info.checked_byte_len(path)?;
    let (start, end) = record.data_offsets;
    if start != previous_end {
        let reason =
            format!("starts at byte {start} of the data, expected {previous_end} where the previous ends");
        return Err(ConvertError::tensor(path, &info.name, reason));
    }
    if end.checked_sub(start) != Some(expected) {
        let reason = format!(
            "offsets {start}..{end} do not hold {expected} bytes of {:?} {dtype}",
            info.shape
        );
        return Err(ConvertError::tensor(path, &info.name, reason));
    }
    Ok(info)
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

/// The header's records in file order. Unlike a map, it notices a name that occurs twice.
struct Header {
    records: Vec<(String, Record)>,
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
        let mut header = Header {
            records: Vec::new(),
            metadata: BTreeMap::new(),
        };
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format!("`{name}` occurs twice")));
            }
            if name == "__metadata__" {
                header.metadata = map.next_value()?;
            } else {
                let record = map
                    .next_value()
                    .map_err(|e| de::Error::custom(format!("tensor `{name}`: {e}")))?;
                header.records.push((name, record));
            }
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn open(header: &str, data: &[u8]) -> Result<SafetensorsFile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.safetensors");
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        std::fs::write(&path, bytes).unwrap();
        SafetensorsFile::open(DataFile::open(&path)?)
    }

    fn message(header: &str, data: &[u8]) -> String {
        open(header, data).unwrap_err().to_string()
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},
        "b":{"dtype":"F16","shape":[1],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;

    #[test]
    fn tensors_come_in_file_order_with_their_bytes() {
        let file = open(TWO, &[1, 2, 3, 4, 5, 6]).unwrap();
        let names: Vec<_> = file.tensors().iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(file.read(1).unwrap(), [5, 6]);
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
        let error = SafetensorsFile::open(DataFile::open(&path).unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("the file has 8 bytes"), "{error}");
        std::fs::write(&path, u64::to_le_bytes(u64::MAX)).unwrap();
        let error = SafetensorsFile::open(DataFile::open(&path).unwrap())
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 100000000"), "{error}");
    }
}
