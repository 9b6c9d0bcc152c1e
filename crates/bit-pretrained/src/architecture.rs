//! The three models as things that can be loaded and saved.

use bit_config::BitConfig;
use bit_model::{BitBackbone, BitForImageClassification, BitModel, ModelError};
use burn::module::Module;
use burn::tensor::Device;

/// A model that `from_pretrained` can make.
pub trait PretrainedModel: Module {
    /// transformers' class name, written to `architectures`.
    const ARCHITECTURE: &'static str;
    /// What transformers' names have in front that this model's paths do not.
    const PREFIX: &'static str;
    /// Whether the model ends in a classifier.
    const HAS_HEAD: bool;

    /// The network with fresh weights.
    ///
    /// # Errors
    ///
    /// When the configuration describes a network that cannot be built.
    fn from_config(config: &BitConfig, device: &Device) -> Result<Self, ModelError>;
}

macro_rules! pretrained_models {
    ($($model:ident, $prefix:literal, $has_head:literal;)*) => {
        $(impl PretrainedModel for $model {
            const ARCHITECTURE: &'static str = stringify!($model);
            const PREFIX: &'static str = $prefix;
            const HAS_HEAD: bool = $has_head;

            fn from_config(config: &BitConfig, device: &Device) -> Result<Self, ModelError> {
                Self::new(config, device)
            }
        })*
    };
}

pretrained_models! {
    BitModel, "bit.", false;
    BitForImageClassification, "", true;
    BitBackbone, "", false;
}
