//! Reads and writes every BiT checkpoint format: safetensors, PyTorch, Google's npz, timm, Burnpack.
//!
//! Knows tensors and names, not networks. Files are untrusted: nothing in them is executed, and what they claim is
//! checked before it is allocated. Reading is lazy, by position and from any thread; converting holds one tensor at a
//! time.
//!
//! | format | read | written | tested with files of |
//! |---|---|---|---|
//! | safetensors, whole or sharded | yes | yes, byte for byte as Python does | transformers |
//! | PyTorch, zip or legacy, nested or sharded | yes | zip | torch |
//! | timm's names (file or folder) | yes | yes | timm |
//! | Google's npz, stored or compressed, and JAX trees | yes | yes, uncompressed | numpy, read by timm |
//! | big_transfer's PyTorch names | yes | no | torch |
//! | the ResNet inside ViT-hybrid, DPT and MiDaS | yes, by its prefix | no | safetensors, torch, numpy |
//! | Burnpack | yes | yes, byte for byte as Burn does | burn-pack |
//! | ONNX, opset 17 | no | yes | read by ONNX Runtime |
//!
//! Files are read and not mapped: a mapped file that someone shortens kills the process, its pages count as memory of
//! a conversion, and the bytes have to be copied into tensors either way.
//!
//! ```
//! use bit_convert::{Checkpoint, DType, Entry, write_safetensors};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("model.safetensors");
//!
//! let weight = Entry::from_bytes("weight", DType::F32, &[2], [1f32, 2.0].map(f32::to_le_bytes).concat());
//! write_safetensors(&path, vec![weight], &Default::default())?;
//!
//! let checkpoint = Checkpoint::open(&path)?;
//! assert_eq!(checkpoint.tensors()[0].shape, [2]);
//! assert_eq!(checkpoint.read("weight")?.bytes.len(), 8);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod architecture;
mod burnpack;
mod cast;
mod checkpoint;
mod convert;
mod dialect;
mod distinct;
mod elements;
mod entry;
mod error;
mod file;
mod format;
mod layout;
mod locate;
mod names;
mod permute;
mod published;
mod read;
mod stage;
mod standardize;
mod target;
mod tensor;
mod write;

pub use checkpoint::Checkpoint;
pub use convert::{ConvertOptions, Converted, Progress, convert};
pub use dialect::BitTensors;
pub use entry::Entry;
pub use error::{ConvertError, Result};
pub use format::Format;
pub use locate::{WEIGHT_FILES, shard_names, weight_files};
pub use names::Dialect;
pub use stage::write_text;
pub use target::Target;
pub use tensor::{DType, Tensor, TensorInfo};
pub use write::burnpack::write_burnpack;
pub use write::folder::timm_knows;
pub use write::npz::write_npz;
pub use write::onnx::{ONNX_OPSET, write_onnx};
pub use write::pytorch::write_pytorch;
pub use write::safetensors::{MAX_SHARD_BYTES, write_safetensors, write_safetensors_shards};
