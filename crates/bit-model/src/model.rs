//! The network without a head.

use bit_config::{Activation, BitConfig, LayerType};
use bit_kernels::{FeatureMap, global_average_pool};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::embeddings::BitEmbeddings;
use crate::encoder::BitEncoder;
use crate::error::ModelError;
use crate::norm::BitGroupNormActivation;
use crate::outputs::BaseModelOutputWithPoolingAndNoAttention;

/// Big Transfer without a classifier (transformers' `BitModel`; Kolesnikov et al. 2020,
/// <https://arxiv.org/abs/1912.11370>).
///
/// ```
/// use bit_config::BitConfig;
/// use bit_model::BitModel;
/// use burn::tensor::{Device, Tensor};
///
/// let config = BitConfig { hidden_sizes: vec![32, 64], depths: vec![1, 1], num_groups: 8, ..BitConfig::default() };
/// let device = Device::flex();
/// let output = BitModel::new(&config, &device)?.forward(Tensor::zeros([1, 3, 32, 32], &device))?;
/// assert_eq!(output.pooler_output.dims(), [1, 64, 1, 1]);
/// # Ok::<(), bit_model::ModelError>(())
/// ```
#[derive(Module, Debug)]
pub struct BitModel {
    embedder: BitEmbeddings,
    encoder: BitEncoder,
    /// Present in the pre-activation variant only, whose blocks end without a norm.
    norm: Option<BitGroupNormActivation>,
    /// Whether every norm is followed by ReLU or nothing, which is what the fast kernels can do.
    only_relu: bool,
}

impl BitModel {
    /// A network with fresh weights.
    ///
    /// # Errors
    ///
    /// When the configuration describes a network that cannot be built.
    pub fn new(config: &BitConfig, device: &Device) -> Result<Self, ModelError> {
        config.validate()?;
        Ok(Self {
            embedder: BitEmbeddings::new(config, device),
            encoder: BitEncoder::new(config, device),
            norm: (config.layer_type == LayerType::Preactivation)
                .then(|| BitGroupNormActivation::new(config, config.out_channels(), device)),
            only_relu: config.hidden_act == Activation::Relu,
        })
    }

    /// Prepares the weights for inference now, and keeps them in no other form, where this project's own kernels run
    /// the network: on the `flex` device, in f32. Elsewhere nothing changes.
    ///
    /// The model can do all it could before. A parameter that is asked for, to be saved or trained, is computed from the
    /// prepared weight; it differs from what was loaded by rounding.
    #[must_use]
    pub fn for_inference(self) -> Self {
        match self.only_relu {
            true => Self {
                embedder: self.embedder.for_inference(),
                encoder: self.encoder.for_inference(),
                ..self
            },
            false => self,
        }
    }

    /// Runs the network on pictures.
    ///
    /// # Shapes
    ///
    /// - pixel_values: `[batch, num_channels, height, width]`
    ///
    /// # Errors
    ///
    /// When the pixels do not fit the configuration; see [`BitEmbeddings::forward`].
    pub fn forward(
        &self,
        pixel_values: Tensor<4>,
    ) -> Result<BaseModelOutputWithPoolingAndNoAttention, ModelError> {
        Ok(finish(self.encode(pixel_values, |_| {})?))
    }

    /// As [`forward`](Self::forward), and keeps the hidden states (transformers' `output_hidden_states`).
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_with_hidden_states(
        &self,
        pixel_values: Tensor<4>,
    ) -> Result<BaseModelOutputWithPoolingAndNoAttention, ModelError> {
        let mut states = Vec::new();
        let output = finish(self.encode(pixel_values, |state| states.push(state.clone().into_tensor()))?);
        Ok(BaseModelOutputWithPoolingAndNoAttention {
            hidden_states: Some(states),
            ..output
        })
    }

    /// The stem's output and every stage's, each `[batch, channels, height, width]`, without the final norm.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn hidden_states(&self, pixel_values: Tensor<4>) -> Result<Vec<Tensor<4>>, ModelError> {
        let mut states = Vec::new();
        self.encode(pixel_values, |state| states.push(state.clone().into_tensor()))?;
        Ok(states)
    }

    /// The mean of the last hidden state over its pixels, `[batch, channels, 1, 1]`: what a classifier needs.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn pooled(&self, pixel_values: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        Ok(global_average_pool(self.encode(pixel_values, |_| {})?))
    }

    /// What [`pooled`](Self::pooled) makes of one of the [`hidden_states`](Self::hidden_states), by its index: the
    /// stages after it, the norm, and the mean. Gradients with respect to a hidden state are taken through this.
    ///
    /// # Shapes
    ///
    /// - hidden_state: `[batch, channels, height, width]`
    /// - output: `[batch, out_channels, 1, 1]`
    pub fn pooled_from(&self, index: usize, hidden_state: Tensor<4>) -> Tensor<4> {
        let encoded = self.encoder.forward_from(index, FeatureMap::Tensor(hidden_state));
        global_average_pool(self.normalized(encoded))
    }

    /// The last hidden state; `keep` sees the states before the final norm.
    fn encode(
        &self,
        pixel_values: Tensor<4>,
        keep: impl FnMut(&FeatureMap) + Send,
    ) -> Result<FeatureMap, ModelError> {
        let pixels = match self.only_relu {
            true => FeatureMap::fastest(pixel_values),
            false => FeatureMap::Tensor(pixel_values),
        };
        pixels.through(|pixels| {
            let embedding = self.embedder.forward(pixels)?;
            Ok(self.normalized(self.encoder.forward(embedding, keep)))
        })
    }

    fn normalized(&self, encoded: FeatureMap) -> FeatureMap {
        match &self.norm {
            Some(norm) => norm.forward(encoded),
            None => encoded,
        }
    }
}

fn finish(last: FeatureMap) -> BaseModelOutputWithPoolingAndNoAttention {
    let pooler_output = global_average_pool(last.clone());
    BaseModelOutputWithPoolingAndNoAttention {
        last_hidden_state: last.into_tensor(),
        pooler_output,
        hidden_states: None,
    }
}
