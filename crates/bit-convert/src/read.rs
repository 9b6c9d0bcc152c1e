//! One reader a format. Each checks a file's whole table of contents when it opens it and reads tensors on demand.
//!
//! What an untrusted file can cost is bounded: opening allocates at most a small multiple of the header it really
//! holds ([`MAX_HEADER`] caps that), and reading a tensor allocates that tensor, whose claimed size was checked
//! against the file. Compressed npz members are the only data that can be larger than its file;
//! [`npz::MAX_INFLATED_TENSOR`] caps those, and their bytes are inflated only when that tensor is read.

pub(crate) mod burnpack;
pub(crate) mod flat;
pub(crate) mod npy;
pub(crate) mod npz;
pub(crate) mod pickle;
pub(crate) mod pytorch;
pub(crate) mod safetensors;
pub(crate) mod zipped;

use crate::elements::Elements;
use crate::error::Result;
use crate::tensor::TensorInfo;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Largest header of a safetensors file or pickle of a PyTorch file: the format's own limit for the former, and
/// some thousand times what a BiT checkpoint needs for both.
pub(crate) const MAX_HEADER: u64 = 100_000_000;

/// An open file of tensors.
pub(crate) trait Source: Debug + Send + Sync {
    /// The tensors, in the file's order.
    fn tensors(&self) -> &[TensorInfo];

    /// The elements of one of [`tensors`](Self::tensors), in the file's order.
    fn elements(&self, index: usize) -> Result<Elements<'static>>;

    /// Their bytes in row-major order, into memory of the tensor's length.
    fn read_into(&self, index: usize, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self.elements(index)?.into_bytes());
        Ok(())
    }

    /// Free-form strings kept beside the tensors.
    fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
