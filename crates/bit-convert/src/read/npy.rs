//! The header of a NumPy array: a magic number, then a Python dictionary as text.

use crate::tensor::DType;

/// What an array's header says.
#[derive(Debug, PartialEq)]
pub(crate) struct NpyHeader {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
    /// Whether the first axis is the fastest.
    pub(crate) fortran_order: bool,
    /// Bytes of the header, after which the elements start.
    pub(crate) len: usize,
}

/// Bytes that hold any header [`parse`] accepts: 10 or 12 fixed ones, and a text capped far above what a
/// numeric array needs.
pub(crate) const MAX_LEN: usize = 4096;

impl NpyHeader {
    /// Reads the header at the start of `bytes`, which is the array or its first [`MAX_LEN`] bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Some((b"\x93NUMPY", rest)) = bytes.split_first_chunk::<6>() else {
            return Err("does not start with the magic number of a NumPy array".to_owned());
        };
        let (text_len, fixed) = match *rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), 10),
            [2 | 3, _, a, b, c, d, ..] => (u32::from_le_bytes([a, b, c, d]) as usize, 12),
            _ => return Err("is of an unknown NumPy format version".to_owned()),
        };
        let text = text_len.checked_add(fixed).and_then(|end| bytes.get(fixed..end));
        let text = text.ok_or_else(|| format!("header of {text_len} bytes is cut off or above {MAX_LEN}"))?;
        let text = std::str::from_utf8(text).map_err(|_| "header is not text".to_owned())?;
        let header = Self::parse_text(text, fixed + text_len);
        header.ok_or_else(|| format!("header {:?} is not that of a plain numeric array", text.trim()))
    }

    /// `{'descr': '<f4', 'fortran_order': False, 'shape': (7, 7, 3, 64), }`
    fn parse_text(text: &str, len: usize) -> Option<Self> {
        let dtype = dtype(quoted(value_of(text, "'descr':")?)?)?;
        let order = value_of(text, "'fortran_order':")?;
        let fortran_order = order.starts_with("True");
        if !fortran_order && !order.starts_with("False") {
            return None;
        }
        let tuple = value_of(text, "'shape':")?.strip_prefix('(')?.split_once(')')?.0;
        let dims = tuple.split(',').map(str::trim).filter(|dim| !dim.is_empty());
        let shape = dims
            .map(|dim| dim.trim_end_matches('L').parse().ok())
            .collect::<Option<_>>()?;
        Some(Self {
            dtype,
            shape,
            fortran_order,
            len,
        })
    }

    /// The header that `numpy.save` writes for a row-major array, its length a multiple of 64.
    pub(crate) fn write(dtype: DType, shape: &[usize]) -> Vec<u8> {
        let mut tuple = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        if shape.len() == 1 {
            tuple.push(',');
        }
        let mut text = format!(
            "{{'descr': '{}', 'fortran_order': False, 'shape': ({tuple}), }}",
            descr(dtype)
        )
        .into_bytes();
        text.resize((text.len() + 11).next_multiple_of(64) - 11, b' ');
        text.push(b'\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&text);
        bytes
    }
}

/// The text behind a key.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.split_once(key).map(|(_, value)| value.trim_start())
}

fn quoted(value: &str) -> Option<&str> {
    value
        .strip_prefix('\'')?
        .split_once('\'')
        .map(|(inside, _)| inside)
}

/// NumPy's descriptors, little-endian. NumPy has no bfloat16: JAX's arrays are saved as two opaque bytes.
const DESCRIPTORS: &[(&str, DType)] = &[
    ("<f8", DType::F64),
    ("<f4", DType::F32),
    ("<f2", DType::F16),
    ("|V2", DType::BF16),
    ("<V2", DType::BF16),
    ("<i8", DType::I64),
    ("<i4", DType::I32),
    ("<i2", DType::I16),
    ("|i1", DType::I8),
    ("<u8", DType::U64),
    ("<u4", DType::U32),
    ("<u2", DType::U16),
    ("|u1", DType::U8),
    ("|b1", DType::Bool),
];

fn dtype(descr: &str) -> Option<DType> {
    DESCRIPTORS
        .iter()
        .find(|(known, _)| *known == descr)
        .map(|&(_, dtype)| dtype)
}

fn descr(dtype: DType) -> &'static str {
    let known = DESCRIPTORS.iter().find(|&&(_, known)| known == dtype);
    known.expect("invariant: every element type has a descriptor").0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for shape in [&[][..], &[5], &[7, 7, 3, 64]] {
            let bytes = NpyHeader::write(DType::F16, shape);
            assert_eq!(bytes.len() % 64, 0);
            let header = NpyHeader::parse(&bytes).unwrap();
            let expected = NpyHeader {
                dtype: DType::F16,
                shape: shape.to_vec(),
                fortran_order: false,
                len: bytes.len(),
            };
            assert_eq!(header, expected);
        }
    }

    #[test]
    fn object_arrays_and_big_endian_numbers_are_refused() {
        for descr in ["|O", ">f4", "<c8", "<U3"] {
            let mut bytes = NpyHeader::write(DType::F32, &[2]);
            let at = bytes.windows(3).position(|w| w == b"<f4").unwrap();
            bytes[at..at + 3].copy_from_slice(format!("{descr: <3}").as_bytes());
            assert!(NpyHeader::parse(&bytes).is_err(), "{descr}");
        }
    }

    #[test]
    fn a_cut_header_is_refused() {
        let bytes = NpyHeader::write(DType::F32, &[2]);
        for len in 0..bytes.len() {
            assert!(NpyHeader::parse(&bytes[..len]).is_err());
        }
    }
}
