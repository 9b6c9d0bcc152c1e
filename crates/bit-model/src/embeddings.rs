//! The stem.

use bit_config::{BitConfig, GlobalPadding, LayerType};
use burn::module::Module;
use burn::tensor::{Device, Tensor, module::max_pool2d, ops::MaxPoolOptions};

use crate::conv::{ConvSpec, WeightStandardizedConv2d};
use crate::error::ModelError;
use crate::norm::BitGroupNormActivation;
use crate::padding::{DynamicPad2d, pad_zeros};

const STEM_KERNEL: usize = 7;
const POOL_KERNEL: usize = 3;
const STRIDE: usize = 2;

/// One 7x7 convolution and one max pooling, each halving the picture (transformers' `BitEmbeddings`).
#[derive(Module, Debug)]
pub struct BitEmbeddings {
    convolution: WeightStandardizedConv2d,
    /// Present in the bottleneck variant only.
    norm: Option<BitGroupNormActivation>,
    #[module(skip)]
    pooler: BitMaxPool2d,
    /// Zeros around the convolution's output; none with SAME padding.
    pad: usize,
    num_channels: usize,
}

impl BitEmbeddings {
    /// A stem with fresh weights.
    pub fn new(config: &BitConfig, device: &Device) -> Self {
        let channels = config.stem_channels();
        let convolution = ConvSpec {
            in_channels: config.num_channels,
            out_channels: channels,
            kernel: STEM_KERNEL,
            stride: STRIDE,
            dilation: 1,
            padding: config.global_padding,
        };
        Self {
            convolution: convolution.init(device),
            norm: (config.layer_type == LayerType::Bottleneck)
                .then(|| BitGroupNormActivation::new(config, channels, device)),
            pooler: BitMaxPool2d {
                dynamic_padding: config.embedding_dynamic_padding,
            },
            pad: usize::from(config.global_padding != Some(GlobalPadding::Same)),
            num_channels: config.num_channels,
        }
    }

    /// Embeds pictures.
    ///
    /// # Shapes
    ///
    /// - pixel_values: `[batch, num_channels, height, width]`
    /// - output: `[batch, embedding_size, height / 4, width / 4]`
    ///
    /// # Errors
    ///
    /// When the number of channels is not the configuration's, the batch is empty, or the picture is too
    /// small for the pooling that follows the convolution.
    pub fn forward(&self, pixel_values: Tensor<4>) -> Result<Tensor<4>, ModelError> {
        let [batch, channels, height, width] = pixel_values.dims();
        if channels != self.num_channels {
            return Err(ModelError::Channels {
                expected: self.num_channels,
                found: channels,
            });
        }
        if batch == 0 || height == 0 || width == 0 {
            return Err(ModelError::Empty {
                shape: [batch, channels, height, width],
            });
        }
        let embedding = self.convolution.forward(pixel_values);
        // The zeros take part in the norm and in the maximum, unlike padding inside the pooling would.
        let embedding = pad_zeros(embedding, [(self.pad, self.pad); 2]);
        let embedding = match &self.norm {
            Some(norm) => norm.forward(embedding),
            None => embedding,
        };
        self.pooler
            .forward(embedding)
            .ok_or(ModelError::TooSmall { height, width })
    }
}

/// 3x3 max pooling with stride 2 (transformers' `BitMaxPool2d`).
#[derive(Debug, Clone, Copy)]
pub struct BitMaxPool2d {
    /// Pads with zeros as TensorFlow's SAME does before the pooling; otherwise there is no padding.
    pub dynamic_padding: bool,
}

impl BitMaxPool2d {
    /// Pools `x`; `None` when it is smaller than the window.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: `[batch, channels, (height - 3) / 2 + 1, (width - 3) / 2 + 1]` without padding
    pub fn forward(&self, x: Tensor<4>) -> Option<Tensor<4>> {
        let x = match self.dynamic_padding {
            true => DynamicPad2d {
                kernel: POOL_KERNEL,
                stride: STRIDE,
                dilation: 1,
            }
            .forward(x),
            false => x,
        };
        let [_, _, height, width] = x.dims();
        let options = MaxPoolOptions {
            kernel_size: [POOL_KERNEL; 2],
            stride: [STRIDE; 2],
            padding: [(0, 0); 2],
            dilation: [1; 2],
            ceil_mode: false,
        };
        (height >= POOL_KERNEL && width >= POOL_KERNEL).then(|| max_pool2d(x, options))
    }
}
