//! Group normalization followed by an activation.

use bit_config::{Activation, BitConfig};
use bit_kernels::{FeatureMap, GroupNorm};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::activation::activate;

/// Added to the variance of a group before its root, as in transformers' BiT.
pub const GROUP_NORM_EPS: f64 = 1e-5;

/// Group normalization, then the configuration's activation unless it was left out
/// (transformers' `BitGroupNormActivation`).
#[derive(Module, Debug)]
pub struct BitGroupNormActivation {
    /// Scale of each channel, `[channels]`, initially 1.
    pub weight: Param<Tensor<1>>,
    /// Shift of each channel, `[channels]`, initially 0.
    pub bias: Param<Tensor<1>>,
    num_groups: usize,
    #[module(skip)]
    activation: Option<Activation>,
}

impl BitGroupNormActivation {
    /// Normalization of `channels` channels with the configuration's activation.
    pub fn new(config: &BitConfig, channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            num_groups: config.num_groups,
            activation: Some(config.hidden_act),
        }
    }

    /// Normalization of `channels` channels alone (transformers' `apply_activation=False`).
    pub fn without_activation(config: &BitConfig, channels: usize, device: &Device) -> Self {
        Self {
            activation: None,
            ..Self::new(config, channels, device)
        }
    }

    /// Normalizes and activates `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: as `x`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let norm = GroupNorm {
            weight: &self.weight,
            bias: &self.bias,
            groups: self.num_groups,
            eps: GROUP_NORM_EPS,
        };
        match self.activation {
            Some(Activation::Relu) => norm.forward_relu(x),
            Some(function) => activate(function, norm.forward(x).into_tensor()).into(),
            None => norm.forward(x),
        }
    }
}
