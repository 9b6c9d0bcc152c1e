//! The network with a linear head.

use bit_config::{BitConfig, ProblemType};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, module::linear};

use crate::error::ModelError;
use crate::loss::{Labels, classification_loss};
use crate::model::BitModel;
use crate::outputs::ImageClassifierOutputWithNoAttention;

/// Big Transfer with a linear classifier on the pooled features (transformers' `BitForImageClassification`).
#[derive(Module, Debug)]
pub struct BitForImageClassification {
    /// The network below the head.
    pub bit: BitModel,
    /// `classifier.0` and `classifier.1` of a checkpoint.
    classifier: (Flatten, Option<Linear>),
    num_labels: usize,
    #[module(skip)]
    problem_type: Option<ProblemType>,
}

impl BitForImageClassification {
    /// A classifier with fresh weights. With `num_labels` 0 the logits are the pooled features.
    ///
    /// # Errors
    ///
    /// When the configuration describes a network that cannot be built.
    pub fn new(config: &BitConfig, device: &Device) -> Result<Self, ModelError> {
        let num_labels = config.num_labels();
        let head = (num_labels > 0).then(|| Linear::new(config.out_channels(), num_labels, device));
        Ok(Self {
            bit: BitModel::new(config, device)?,
            classifier: (Flatten {}, head),
            num_labels,
            problem_type: config.problem_type,
        })
    }

    /// Keeps the weights in the form that inference reads alone; see [`BitModel::for_inference`].
    #[must_use]
    pub fn for_inference(self) -> Self {
        Self {
            bit: self.bit.for_inference(),
            ..self
        }
    }

    /// Scores pictures.
    ///
    /// # Shapes
    ///
    /// - pixel_values: `[batch, num_channels, height, width]`
    /// - logits: `[batch, num_labels]`
    ///
    /// # Errors
    ///
    /// When the pixels do not fit the configuration.
    pub fn forward(
        &self,
        pixel_values: Tensor<4>,
    ) -> Result<ImageClassifierOutputWithNoAttention, ModelError> {
        let logits = self.classify(self.bit.pooled(pixel_values)?);
        Ok(ImageClassifierOutputWithNoAttention {
            loss: None,
            logits,
            hidden_states: None,
        })
    }

    /// As [`forward`](Self::forward), and keeps the hidden states.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_with_hidden_states(
        &self,
        pixel_values: Tensor<4>,
    ) -> Result<ImageClassifierOutputWithNoAttention, ModelError> {
        let base = self.bit.forward_with_hidden_states(pixel_values)?;
        let logits = self.classify(base.pooler_output);
        Ok(ImageClassifierOutputWithNoAttention {
            loss: None,
            logits,
            hidden_states: base.hidden_states,
        })
    }

    /// As [`forward`](Self::forward), and computes the loss of the configuration's problem type.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward), and when the labels do not fit the logits.
    pub fn forward_with_labels(
        &self,
        pixel_values: Tensor<4>,
        labels: Labels,
    ) -> Result<ImageClassifierOutputWithNoAttention, ModelError> {
        if self.num_labels == 0 {
            return Err(ModelError::NoClassifier);
        }
        let output = self.forward(pixel_values)?;
        let loss = classification_loss(output.logits.clone(), labels, self.problem_type)?;
        Ok(ImageClassifierOutputWithNoAttention {
            loss: Some(loss),
            ..output
        })
    }

    /// Scores pooled features.
    ///
    /// # Shapes
    ///
    /// - pooler_output: `[batch, channels, 1, 1]`
    /// - output: `[batch, num_labels]`
    pub fn classify(&self, pooler_output: Tensor<4>) -> Tensor<2> {
        let (flatten, head) = &self.classifier;
        let features = flatten.forward(pooler_output);
        match head {
            Some(head) => head.forward(features),
            None => features,
        }
    }
}

/// `[batch, channels, 1, 1]` to `[batch, channels]` (torch's `nn.Flatten`).
#[derive(Module, Debug)]
pub struct Flatten {}

impl Flatten {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        x.flatten(1, 3)
    }
}

/// A linear layer whose weight is stored as torch stores it, so that checkpoints need no transpose.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[num_labels, channels]`.
    pub weight: Param<Tensor<2>>,
    /// `[num_labels]`.
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    /// Draws weight and bias from U(±1/sqrt(inputs)), as torch and transformers do.
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        let bound = 1.0 / (inputs as f64).sqrt();
        let uniform = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        Self {
            weight: uniform.init([outputs, inputs], device),
            bias: uniform.init([outputs], device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        linear(x, self.weight.val().transpose(), Some(self.bias.val()))
    }
}
