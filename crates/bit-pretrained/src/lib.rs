//! From a model's name to predictions, and back to a folder that transformers reads.
//!
//! ```
//! use bit_model::BitForImageClassification;
//! use bit_pretrained::{LoadOptions, Pretrained};
//! use burn::tensor::{Device, Tensor};
//!
//! let pretrained = Pretrained::open("builtin:mnist")?;
//! let device = Device::flex();
//! let loaded = pretrained.load::<BitForImageClassification>(LoadOptions::default(), &device)?;
//! let output = loaded.model.forward(Tensor::zeros([1, 3, 32, 32], &device))?;
//! assert_eq!(output.logits.dims(), [1, loaded.config.num_labels()]);
//! # Ok::<(), bit_pretrained::PretrainedError>(())
//! ```

mod architecture;
mod builtin;
mod error;
mod hub;
mod loading;
mod pretrained;
mod report;
mod save;
mod source;

pub use architecture::PretrainedModel;
pub use builtin::builtins;
pub use error::PretrainedError;
pub use hub::{Hub, HubEvent};
pub use pretrained::{Head, LoadOptions, Loaded, Pretrained};
pub use report::{LoadReport, ShapeMismatch};
pub use save::save_pretrained;
pub use source::ModelSource;
