//! What the models return, with transformers' names.

use burn::tensor::Tensor;

/// Output of [`BitModel`](crate::BitModel).
#[derive(Debug, Clone)]
pub struct BaseModelOutputWithPoolingAndNoAttention {
    /// After the final norm and activation, `[batch, channels, height, width]`.
    pub last_hidden_state: Tensor<4>,
    /// Mean of `last_hidden_state` over its pixels, `[batch, channels, 1, 1]`.
    pub pooler_output: Tensor<4>,
    /// The stem's output and every stage's, before the final norm; `None` unless asked for.
    pub hidden_states: Option<Vec<Tensor<4>>>,
}

/// Output of [`BitForImageClassification`](crate::BitForImageClassification).
#[derive(Debug, Clone)]
pub struct ImageClassifierOutputWithNoAttention {
    /// Mean loss of the batch, `[1]`; `None` when no labels were given.
    pub loss: Option<Tensor<1>>,
    /// Scores before softmax or sigmoid, `[batch, num_labels]`.
    pub logits: Tensor<2>,
    /// The stem's output and every stage's; `None` unless asked for.
    pub hidden_states: Option<Vec<Tensor<4>>>,
}

/// Output of [`BitBackbone`](crate::BitBackbone).
#[derive(Debug, Clone)]
pub struct BackboneOutput {
    /// One map for each of the configuration's `out_features`, `[batch, channels, height, width]`.
    pub feature_maps: Vec<Tensor<4>>,
    /// The stem's output and every stage's; `None` unless asked for.
    pub hidden_states: Option<Vec<Tensor<4>>>,
}
