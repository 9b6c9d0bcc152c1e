//! The two kinds of residual block.

use bit_config::{Activation, BitConfig, BlockSpec, LayerType};
use bit_kernels::{FeatureMap, add, add_relu};
use burn::module::Module;
use burn::tensor::Device;

use crate::activation::activate;
use crate::conv::{ConvSpec, WeightStandardizedConv2d};
use crate::drop_path::BitDropPath;
use crate::norm::BitGroupNormActivation;

/// Bottleneck with normalization and activation before each convolution
/// (transformers' `BitPreActivationBottleneckLayer`; He et al. 2016, "Identity Mappings").
#[derive(Module, Debug)]
pub struct BitPreActivationBottleneckLayer {
    downsample: Option<BitDownsampleConv>,
    norm1: BitGroupNormActivation,
    conv1: WeightStandardizedConv2d,
    norm2: BitGroupNormActivation,
    conv2: WeightStandardizedConv2d,
    norm3: BitGroupNormActivation,
    conv3: WeightStandardizedConv2d,
    drop_path: BitDropPath,
}

impl BitPreActivationBottleneckLayer {
    /// A block with fresh weights.
    pub fn new(config: &BitConfig, block: &BlockSpec, device: &Device) -> Self {
        let [conv1, conv2, conv3] = convolutions(config, block, device);
        Self {
            downsample: block
                .has_projection
                .then(|| BitDownsampleConv::new(config, block, device)),
            norm1: BitGroupNormActivation::new(config, block.in_channels, device),
            conv1,
            norm2: BitGroupNormActivation::new(config, block.mid_channels, device),
            conv2,
            norm3: BitGroupNormActivation::new(config, block.mid_channels, device),
            conv3,
            drop_path: BitDropPath::new(block.drop_path_rate),
        }
    }

    pub(crate) fn for_inference(self) -> Self {
        Self {
            downsample: self.downsample.map(BitDownsampleConv::for_inference),
            conv1: self.conv1.for_inference(),
            conv2: self.conv2.for_inference(),
            conv3: self.conv3.for_inference(),
            ..self
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, out_channels, height / stride, width / stride]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let preact = self.norm1.forward(x.clone());
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(preact.clone()),
            None => x,
        };
        let x = self.conv1.forward(preact);
        let x = self.conv2.forward(self.norm2.forward(x));
        let x = self.norm3.forward(x);
        match self.drop_path.is_identity(&shortcut.device()) {
            true => self.conv3.forward_onto(x, shortcut),
            // Stochastic depth comes between the convolution and the sum, so that they cannot be one step.
            false => add(self.drop_path.forward_map(self.conv3.forward(x)), shortcut),
        }
    }
}

/// Bottleneck with normalization after each convolution, the ResNet inside ViT-hybrid
/// (transformers' `BitBottleneckLayer`).
#[derive(Module, Debug)]
pub struct BitBottleneckLayer {
    downsample: Option<BitDownsampleConv>,
    conv1: WeightStandardizedConv2d,
    norm1: BitGroupNormActivation,
    conv2: WeightStandardizedConv2d,
    norm2: BitGroupNormActivation,
    conv3: WeightStandardizedConv2d,
    norm3: BitGroupNormActivation,
    drop_path: BitDropPath,
    #[module(skip)]
    activation: Activation,
}

impl BitBottleneckLayer {
    /// A block with fresh weights.
    pub fn new(config: &BitConfig, block: &BlockSpec, device: &Device) -> Self {
        let [conv1, conv2, conv3] = convolutions(config, block, device);
        Self {
            downsample: block
                .has_projection
                .then(|| BitDownsampleConv::new(config, block, device)),
            conv1,
            norm1: BitGroupNormActivation::new(config, block.mid_channels, device),
            conv2,
            norm2: BitGroupNormActivation::new(config, block.mid_channels, device),
            conv3,
            norm3: BitGroupNormActivation::without_activation(config, block.out_channels, device),
            drop_path: BitDropPath::new(block.drop_path_rate),
            activation: config.hidden_act,
        }
    }

    pub(crate) fn for_inference(self) -> Self {
        Self {
            downsample: self.downsample.map(BitDownsampleConv::for_inference),
            conv1: self.conv1.for_inference(),
            conv2: self.conv2.for_inference(),
            conv3: self.conv3.for_inference(),
            ..self
        }
    }

    /// Applies the block.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, out_channels, height / stride, width / stride]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        let shortcut = match &self.downsample {
            Some(downsample) => downsample.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.norm1.forward(self.conv1.forward(x));
        let x = self.norm2.forward(self.conv2.forward(x));
        let x = self.norm3.forward(self.conv3.forward(x));
        let x = self.drop_path.forward_map(x);
        match self.activation {
            Activation::Relu => add_relu(x, shortcut),
            function => add(x, shortcut).map_tensor(|sum| activate(function, sum)),
        }
    }
}

/// The 1x1 convolution on the shortcut of a stage's first block (transformers' `BitDownsampleConv`).
#[derive(Module, Debug)]
pub struct BitDownsampleConv {
    conv: WeightStandardizedConv2d,
    /// Present in the bottleneck variant only.
    norm: Option<BitGroupNormActivation>,
}

impl BitDownsampleConv {
    /// A projection with fresh weights.
    pub fn new(config: &BitConfig, block: &BlockSpec, device: &Device) -> Self {
        let pointwise = ConvSpec::pointwise(block.in_channels, block.out_channels, config.global_padding);
        Self {
            conv: ConvSpec {
                stride: block.stride,
                ..pointwise
            }
            .init(device),
            norm: (config.layer_type == LayerType::Bottleneck)
                .then(|| BitGroupNormActivation::without_activation(config, block.out_channels, device)),
        }
    }

    fn for_inference(self) -> Self {
        Self {
            conv: self.conv.for_inference(),
            ..self
        }
    }

    /// Projects `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, in_channels, height, width]`
    /// - output: `[batch, out_channels, height / stride, width / stride]`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        match &self.norm {
            Some(norm) => norm.forward(self.conv.forward(x)),
            None => self.conv.forward_shortcut(x),
        }
    }
}

/// The three convolutions that both kinds of block have; the stride and the dilation sit on the second.
fn convolutions(config: &BitConfig, block: &BlockSpec, device: &Device) -> [WeightStandardizedConv2d; 3] {
    let padding = config.global_padding;
    let middle = ConvSpec {
        in_channels: block.mid_channels,
        out_channels: block.mid_channels,
        kernel: 3,
        stride: block.stride,
        dilation: block.dilation,
        padding,
    };
    [
        ConvSpec::pointwise(block.in_channels, block.mid_channels, padding),
        middle,
        ConvSpec::pointwise(block.mid_channels, block.out_channels, padding),
    ]
    .map(|spec| spec.init(device))
}
