//! The stem.

use bit_config::{BitConfig, GlobalPadding, LayerType};
use bit_kernels::{FeatureMap, Pad, max_pool, pad_zeros};
use burn::module::Module;
use burn::tensor::Device;

use crate::conv::{ConvSpec, WeightStandardizedConv2d};
use crate::error::ModelError;
use crate::norm::BitGroupNormActivation;
use crate::padding::DynamicPad2d;

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

    pub(crate) fn for_inference(self) -> Self {
        Self {
            convolution: self.convolution.for_inference(),
            ..self
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
    pub fn forward(&self, pixel_values: FeatureMap) -> Result<FeatureMap, ModelError> {
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
        let border = [(self.pad, self.pad); 2];
        // The zeros take part in the norm and in the maximum, unlike padding inside the pooling would.
        let pooled = match &self.norm {
            Some(norm) => self
                .pooler
                .forward(norm.forward(pad_zeros(embedding, border)), [(0, 0); 2]),
            None => self.pooler.forward(embedding, border),
        };
        pooled.ok_or(ModelError::TooSmall { height, width })
    }
}

/// 3x3 max pooling with stride 2 (transformers' `BitMaxPool2d`).
#[derive(Debug, Clone, Copy)]
pub struct BitMaxPool2d {
    /// Pads with zeros as TensorFlow's SAME does before the pooling; otherwise there is no padding.
    pub dynamic_padding: bool,
}

impl BitMaxPool2d {
    /// Surrounds `x` with `border` zeros, then pools it; `None` when it is smaller than the window.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: `[batch, channels, (height - 3) / 2 + 1, (width - 3) / 2 + 1]` without padding
    pub fn forward(&self, x: FeatureMap, border: [Pad; 2]) -> Option<FeatureMap> {
        let [_, _, height, width] = x.dims();
        let size = [
            height + border[0].0 + border[0].1,
            width + border[1].0 + border[1].1,
        ];
        let dynamic = match self.dynamic_padding {
            true => DynamicPad2d {
                kernel: POOL_KERNEL,
                stride: STRIDE,
                dilation: 1,
            }
            .for_size(size),
            false => [(0, 0); 2],
        };
        let pads = [0, 1].map(|axis| (border[axis].0 + dynamic[axis].0, border[axis].1 + dynamic[axis].1));
        let fits = [0, 1]
            .iter()
            .all(|&axis| size[axis] + dynamic[axis].0 + dynamic[axis].1 >= POOL_KERNEL);
        fits.then(|| max_pool(x, POOL_KERNEL, STRIDE, pads))
    }
}
