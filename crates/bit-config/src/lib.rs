//! What a BiT model is, without running it: `config.json` and `preprocessor_config.json`, the published
//! models, label names and the BiT-HyperRule. No tensors, no images.
//!
//! ```
//! use bit_config::BitConfig;
//!
//! let config = BitConfig::from_json(r#"{"model_type": "bit", "num_labels": 1000}"#)?;
//! assert_eq!(config.parameter_count(), 25_549_352);
//! assert_eq!(config.stages()[3].out_channels, 2048);
//! # Ok::<(), bit_config::ConfigError>(())
//! ```

mod activation;
mod backbone;
mod config;
mod error;
mod fields;
pub mod hyperrule;
mod json;
mod label_map;
pub mod labels;
mod pixel_values;
mod plan;
mod processor;
mod size;
mod validate;
pub mod zoo;

pub use activation::Activation;
pub use backbone::BackboneOutputs;
pub use config::{BitConfig, GlobalPadding, LayerType, ProblemType};
pub use error::ConfigError;
pub use label_map::Labels;
pub use pixel_values::{ChannelDimension, PerChannel, Resample};
pub use plan::{BlockSpec, ParameterSpec, StageSpec, make_div};
pub use processor::ImageProcessorConfig;
pub use size::SizeDict;
