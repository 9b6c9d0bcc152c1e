//! Tensors on their way into a file.

use crate::elements::Elements;
use crate::error::{ConvertError, Result};
use crate::tensor::{DType, TensorInfo};
use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::path::Path;

type Provider<'a> = Box<dyn FnOnce() -> Result<Elements<'a>> + 'a>;

/// A tensor on its way into a file: what it is, and where its elements come from once they are needed.
///
/// Writers know all sizes before the first byte is read and then hold one tensor at a time, which is what
/// bounds the memory of a conversion by the largest tensor instead of by the file.
pub struct Entry<'a> {
    /// Name, element type and shape in the file to be written.
    pub info: TensorInfo,
    provider: Provider<'a>,
}

impl<'a> Entry<'a> {
    /// A tensor whose bytes, little-endian and in row-major order, are produced when its turn comes.
    pub fn new(info: TensorInfo, provider: impl FnOnce() -> Result<Cow<'a, [u8]>> + 'a) -> Self {
        let TensorInfo { dtype, shape, .. } = info.clone();
        Self::of_elements(info, move || Ok(Elements::row_major(provider()?, dtype, &shape)))
    }

    /// As [`new`](Self::new), in any order and with what is to be done to them.
    pub(crate) fn of_elements(
        info: TensorInfo,
        provider: impl FnOnce() -> Result<Elements<'a>> + 'a,
    ) -> Self {
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

    /// The same tensor described by `info`, with its elements changed to that.
    fn then(self, info: TensorInfo, change: impl FnOnce(Elements<'a>) -> Result<Elements<'a>> + 'a) -> Self {
        let provider = self.provider;
        Self::of_elements(info, move || change(provider()?))
    }

    /// The same tensor under another name.
    pub fn renamed(mut self, name: String) -> Self {
        self.info.name = name;
        self
    }

    /// The same tensor as `info` says, which differs from it in its name, in the order of its axes (axis `i` is what was
    /// axis `axes[i]`, if that is given) and then in axes of extent 1.
    pub(crate) fn rearranged(self, info: TensorInfo, axes: Option<&'static [usize]>) -> Self {
        let shape = info.shape.clone();
        self.then(info, move |elements| {
            let elements = axes.into_iter().fold(elements, Elements::permuted);
            Ok(elements.reshaped(&shape))
        })
    }

    /// The same tensor with its elements as `dtype`, rounded to nearest even. Integers stay as they are.
    pub fn cast(self, dtype: DType) -> Self {
        let from = self.info.dtype;
        if from == dtype || !from.is_float() || !dtype.is_float() {
            return self;
        }
        let info = TensorInfo {
            dtype,
            ..self.info.clone()
        };
        self.then(info, move |elements| Ok(elements.cast(from, dtype)))
    }

    /// A kernel `[out, in, height, width]` as f32 with each output's weights at mean 0 and (biased) variance 1.
    pub(crate) fn standardized(self) -> Self {
        let entry = self.cast(DType::F32);
        let info = entry.info.clone();
        entry.then(info, |elements| Ok(elements.standardized()))
    }

    /// Calls `observer` with the number of bytes once they are read: what a progress bar wants. Its error is the
    /// tensor's.
    pub fn observed(self, observer: impl FnOnce(usize) -> Result<()> + 'a) -> Self {
        let (info, len) = (self.info.clone(), self.info.byte_len());
        self.then(info, move |elements| observer(len).map(|()| elements))
    }

    /// The elements, checked against the declared size. `path` is the file being written, for the message.
    fn read(self, path: &Path) -> Result<Elements<'a>> {
        let elements = (self.provider)()?;
        let (given, expected) = elements.given_and_expected();
        if expected != Some(given) {
            let TensorInfo { name, shape, dtype } = &self.info;
            let reason = format!("{given} bytes were given for {shape:?} {dtype}");
            return Err(ConvertError::tensor(path, name, reason));
        }
        Ok(elements)
    }

    /// All bytes in row-major order.
    pub(crate) fn into_bytes(self, path: &Path) -> Result<Cow<'a, [u8]>> {
        self.read(path).map(Elements::into_bytes)
    }

    /// Writes the bytes in row-major order, a block at a time. `path` is the file being written, for messages.
    pub(crate) fn write_to(self, path: &Path, writer: &mut impl Write) -> Result<()> {
        let elements = self.read(path)?;
        elements.write(|block| writer.write_all(block).map_err(ConvertError::io(path, "write")))
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
    fn an_entry_with_too_few_bytes_is_refused() {
        let entry = Entry::from_bytes("w", DType::F32, &[2], vec![0; 7]);
        let message = entry.into_bytes(Path::new("out")).unwrap_err().to_string();
        assert!(
            message.contains("7 bytes were given for [2] float32"),
            "{message}"
        );
    }
}
