//! What stands before the values in `bit embed`'s binary files.
//!
//! Space for a header is reserved before the number of rows is known, and filled at the end.

use serde_json::json;

/// Bytes of every `.npy` header here: enough for four extents of any size, and a multiple of numpy's 64.
const NPY_BYTES: usize = 192;

/// Version 1.0 of numpy's format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
pub fn npy(shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let description = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}");
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((NPY_BYTES - 10) as u16).to_le_bytes());
    header.extend(description.bytes());
    header.resize(NPY_BYTES - 1, b' ');
    header.push(b'\n');
    header
}

/// A safetensors header of one f32 tensor `embeddings`, padded with spaces to `reserved` bytes or, for 0, to the
/// next multiple of 8. `metadata` are strings to be kept beside it.
pub fn safetensors(shape: &[usize], metadata: &[(&str, String)], reserved: usize) -> Vec<u8> {
    let bytes = shape.iter().product::<usize>() * size_of::<f32>();
    let metadata: serde_json::Map<_, _> = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect();
    let tensor = json!({"dtype": "F32", "shape": shape, "data_offsets": [0, bytes]});
    let mut json = json!({"__metadata__": metadata, "embeddings": tensor})
        .to_string()
        .into_bytes();
    let length = json.len().next_multiple_of(8).max(reserved.saturating_sub(8));
    json.resize(length, b' ');
    [&(length as u64).to_le_bytes()[..], &json].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_header_for_fewer_rows_fits_the_space_of_more() {
        let metadata = |paths: &str| [("paths", paths.to_owned())];
        let reserved = safetensors(&[1000, 4], &metadata("a lot of paths"), 0);
        let filled = safetensors(&[1, 4], &metadata("one"), reserved.len());
        assert_eq!(reserved.len(), filled.len());
        assert_eq!(reserved.len() % 8, 0);
        assert_eq!(npy(&[1]).len(), npy(&[usize::MAX; 4]).len());
    }
}
