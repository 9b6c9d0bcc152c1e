//! Tensors as files hold them: a name, an element type, a shape and bytes.

use crate::error::{ConvertError, Result};
use std::borrow::Cow;
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

type Provider<'a> = Box<dyn FnOnce() -> Result<Cow<'a, [u8]>> + 'a>;

/// A tensor on its way into a file: what it is, and where its bytes come from once they are needed.
///
/// Writers know all sizes before the first byte is read and then hold one tensor at a time, which is what
/// bounds the memory of a conversion by the largest tensor instead of by the file.
pub struct Entry<'a> {
    /// Name, element type and shape in the file to be written.
    pub info: TensorInfo,
    provider: Provider<'a>,
}

impl<'a> Entry<'a> {
    /// A tensor whose bytes are produced when its turn comes.
    pub fn new(info: TensorInfo, provider: impl FnOnce() -> Result<Cow<'a, [u8]>> + 'a) -> Self {
        Self {
            info,
            provider: Box::new(provider),
        }
    }

    /// A tensor that is already in memory.
    pub fn from_bytes(name: &str, dtype: DType, shape: &[usize], bytes: impl Into<Cow<'a, [u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(
            TensorInfo {
                name: name.to_owned(),
                dtype,
                shape: shape.to_vec(),
            },
            move || Ok(bytes),
        )
    }

    /// The same tensor described by `info`, with its bytes passed through `change`.
    pub fn map(
        self,
        info: TensorInfo,
        change: impl FnOnce(Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>> + 'a,
    ) -> Self {
        let provider = self.provider;
        Self::new(info, move || change(provider()?))
    }

    /// The same tensor under another name.
    pub fn renamed(mut self, name: String) -> Self {
        self.info.name = name;
        self
    }

    /// Calls `observer` with the number of bytes once they are read: what a progress bar wants. Its error is the
    /// tensor's.
    pub fn observed(self, observer: impl FnOnce(usize) -> Result<()> + 'a) -> Self {
        let info = self.info.clone();
        self.map(info, move |bytes| observer(bytes.len()).map(|()| bytes))
    }

    /// The bytes, checked against the declared size. `path` is the file being written, for the message.
    pub(crate) fn read(self, path: &Path) -> Result<Cow<'a, [u8]>> {
        let bytes = (self.provider)()?;
        if bytes.len() != self.info.byte_len() {
            let reason = format!(
                "{} bytes were given for {:?} {}",
                bytes.len(),
                self.info.shape,
                self.info.dtype
            );
            return Err(ConvertError::tensor(path, &self.info.name, reason));
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entry").field(&self.info).finish()
    }
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

    #[test]
    fn an_entry_with_too_few_bytes_is_refused() {
        let entry = Entry::from_bytes("w", DType::F32, &[2], vec![0; 7]);
        let message = entry.read(Path::new("out")).unwrap_err().to_string();
        assert!(
            message.contains("7 bytes were given for [2] float32"),
            "{message}"
        );
    }
}
