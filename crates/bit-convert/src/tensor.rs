//! Tensors as files hold them: a name, an element type, a shape and bytes.

use crate::error::{ConvertError, Result};
use std::fmt;
use std::path::Path;

/// Most dimensions of a stored tensor, four times what networks have. Without a limit a small file could describe
/// many tensors that share one huge shape.
pub(crate) const MAX_RANK: usize = 16;

/// Element type of a stored tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it all
pub enum DType {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U64,
    U32,
    U16,
    U8,
    Bool,
}

impl DType {
    /// Bytes of one element.
    pub const fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 | Self::U64 => 8,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::F16 | Self::BF16 | Self::I16 | Self::U16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }

    /// Whether elements are floating-point numbers, as every BiT parameter is.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// PyTorch's name: `float32`.
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U64 => "uint64",
            Self::U32 => "uint32",
            Self::U16 => "uint16",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.torch_name())
    }
}

/// What is known of a tensor without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name as stored in the file.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements. Readers have checked that this and [`byte_len`](Self::byte_len) do not overflow.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of bytes.
    pub fn byte_len(&self) -> usize {
        self.elements() * self.dtype.size()
    }

    /// Bytes of a tensor of untrusted shape, or an error that shows the shape.
    pub(crate) fn checked_byte_len(&self, path: &Path) -> Result<usize> {
        if self.shape.len() > MAX_RANK {
            let reason = format!("has {} dimensions, expected at most {MAX_RANK}", self.shape.len());
            return Err(ConvertError::tensor(path, &self.name, reason));
        }
        // A zero extent does not excuse the others: strides are products of some of them.
        let bytes = self
            .shape
            .iter()
            .try_fold(self.dtype.size(), |n, &dim| n.checked_mul(dim.max(1)));
        let sane = bytes.filter(|&n| isize::try_from(n).is_ok());
        sane.ok_or_else(|| {
            ConvertError::tensor(
                path,
                &self.name,
                format!("shape {:?} has more elements than memory", self.shape),
            )
        })
    }
}

/// A tensor in memory: little-endian bytes in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Element type.
    pub dtype: DType,
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    /// `elements * dtype.size()` bytes.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_shape_that_overflows_is_an_error_that_shows_it() {
        let info = TensorInfo {
            name: "w".into(),
            dtype: DType::F32,
            shape: vec![usize::MAX, 2],
        };
        let message = info.checked_byte_len(Path::new("m.bin")).unwrap_err().to_string();
        assert!(
            message.contains("tensor `w`") && message.contains("18446744073709551615"),
            "{message}"
        );
    }
}
