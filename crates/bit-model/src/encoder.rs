//! Stages of blocks, and the encoder that chains them.

use bit_config::{BitConfig, BlockSpec, LayerType, StageSpec};
use bit_kernels::FeatureMap;
use burn::module::Module;
use burn::tensor::Device;

use crate::layers::{BitBottleneckLayer, BitPreActivationBottleneckLayer};

/// A residual block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // a handful per model, and boxing would hide the modules' names
pub enum BitLayer {
    /// Normalization before each convolution.
    Preactivation(BitPreActivationBottleneckLayer),
    /// Normalization after each convolution.
    Bottleneck(BitBottleneckLayer),
}

impl BitLayer {
    /// A block of the configuration's kind with fresh weights.
    pub fn new(config: &BitConfig, block: &BlockSpec, device: &Device) -> Self {
        match config.layer_type {
            LayerType::Preactivation => {
                Self::Preactivation(BitPreActivationBottleneckLayer::new(config, block, device))
            }
            LayerType::Bottleneck => Self::Bottleneck(BitBottleneckLayer::new(config, block, device)),
        }
    }

    fn for_inference(self) -> Self {
        match self {
            Self::Preactivation(layer) => Self::Preactivation(layer.for_inference()),
            Self::Bottleneck(layer) => Self::Bottleneck(layer.for_inference()),
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, out_channels, height / stride, width / stride]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        match self {
            Self::Preactivation(layer) => layer.forward(x),
            Self::Bottleneck(layer) => layer.forward(x),
        }
    }
}

/// Blocks of one width (transformers' `BitStage`).
#[derive(Module, Debug)]
pub struct BitStage {
    layers: Vec<BitLayer>,
}

impl BitStage {
    /// A stage with fresh weights.
    pub fn new(config: &BitConfig, stage: &StageSpec, device: &Device) -> Self {
        Self {
            layers: stage
                .blocks
                .iter()
                .map(|block| BitLayer::new(config, block, device))
                .collect(),
        }
    }

    fn for_inference(self) -> Self {
        Self {
            layers: self.layers.into_iter().map(BitLayer::for_inference).collect(),
        }
    }

    /// Applies the blocks one after the other.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, out_channels, height / stride, width / stride]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        self.layers.iter().fold(x, |x, layer| layer.forward(x))
    }
}

/// All stages (transformers' `BitEncoder`).
#[derive(Module, Debug)]
pub struct BitEncoder {
    stages: Vec<BitStage>,
}

impl BitEncoder {
    /// An encoder with fresh weights.
    pub fn new(config: &BitConfig, device: &Device) -> Self {
        Self {
            stages: config
                .stages()
                .iter()
                .map(|stage| BitStage::new(config, stage, device))
                .collect(),
        }
    }

    pub(crate) fn for_inference(self) -> Self {
        Self {
            stages: self.stages.into_iter().map(BitStage::for_inference).collect(),
        }
    }

    /// Applies the stages and hands each state to `keep`: first the stem's output, then every stage's.
    ///
    /// # Shapes
    ///
    /// - embedding: `[batch, embedding_size, height, width]`
    /// - output: `[batch, hidden_sizes.last, height / 8, width / 8]` with the default output stride
    pub fn forward(&self, embedding: FeatureMap, mut keep: impl FnMut(&FeatureMap)) -> FeatureMap {
        keep(&embedding);
        self.stages.iter().fold(embedding, |x, stage| {
            let x = stage.forward(x);
            keep(&x);
            x
        })
    }

    /// Applies the stages after the first `done` to the state that those left.
    pub(crate) fn forward_from(&self, done: usize, state: FeatureMap) -> FeatureMap {
        let rest = self.stages.iter().skip(done);
        rest.fold(state, |x, stage| stage.forward(x))
    }
}
