//! Big Transfer as Burn modules.
//!
//! The modules are those of transformers' `modeling_bit.py`, and their fields carry the names of its
//! parameters. Nothing here names a backend: a model lives on the [`Device`](burn::tensor::Device) it was
//! made on.
//!
//! ```
//! use bit_config::BitConfig;
//! use bit_model::BitForImageClassification;
//! use burn::tensor::{Device, Tensor};
//!
//! let config = BitConfig { hidden_sizes: vec![32, 64], depths: vec![1, 1], num_groups: 8, ..BitConfig::default() };
//! let device = Device::flex();
//! let model = BitForImageClassification::new(&config.with_num_labels(10), &device)?;
//! let output = model.forward(Tensor::zeros([2, 3, 64, 64], &device))?;
//! assert_eq!(output.logits.dims(), [2, 10]);
//! # Ok::<(), bit_model::ModelError>(())
//! ```

mod activation;
mod backbone;
mod classifier;
mod conv;
mod drop_path;
mod embeddings;
mod encoder;
mod error;
mod layers;
mod loss;
mod model;
mod norm;
mod outputs;
mod padding;
mod state_dict;

pub use activation::activate;
pub use backbone::BitBackbone;
pub use classifier::{BitForImageClassification, Flatten, Linear};
pub use conv::{ConvSpec, WEIGHT_STANDARDIZATION_EPS, WeightStandardizedConv2d};
pub use drop_path::BitDropPath;
pub use embeddings::{BitEmbeddings, BitMaxPool2d};
pub use encoder::{BitEncoder, BitLayer, BitStage};
pub use error::ModelError;
pub use layers::{BitBottleneckLayer, BitDownsampleConv, BitPreActivationBottleneckLayer};
pub use loss::{Labels, classification_loss};
pub use model::BitModel;
pub use norm::{BitGroupNormActivation, GROUP_NORM_EPS};
pub use outputs::{
    BackboneOutput, BaseModelOutputWithPoolingAndNoAttention, ImageClassifierOutputWithNoAttention,
};
pub use padding::{ConvPadding, DynamicPad2d};
pub use state_dict::{NamedParameter, cast_parameters, load_parameters, named_parameters};
