//! Convolution with weight standardization.

use bit_config::GlobalPadding;
use bit_kernels::standardize;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, module::conv2d, ops::ConvOptions};

use crate::padding::ConvPadding;
use crate::standardized::Standardized;

/// Added to the variance of a filter before its root, as in transformers' BiT.
pub const WEIGHT_STANDARDIZATION_EPS: f64 = 1e-8;

/// A convolution without bias whose filters are standardized before use
/// (transformers' `WeightStandardizedConv2d`).
///
/// The stored `weight` is the one that was trained. Its standardized form is computed at every call while
/// gradients are recorded, and once for inference.
#[derive(Module, Debug)]
pub struct WeightStandardizedConv2d {
    /// Filters before standardization, `[channels_out, channels_in, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    standardized: Standardized,
    #[module(skip)]
    padding: ConvPadding,
    stride: usize,
    dilation: usize,
}

/// What a [`WeightStandardizedConv2d`] is made from.
#[derive(Debug, Clone, Copy)]
pub struct ConvSpec {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Height and width of the kernel.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Dilation in both directions.
    pub dilation: usize,
    /// The configuration's `global_padding`.
    pub padding: Option<GlobalPadding>,
}

impl ConvSpec {
    /// A 1x1 convolution with stride 1.
    pub fn pointwise(in_channels: usize, out_channels: usize, padding: Option<GlobalPadding>) -> Self {
        Self {
            in_channels,
            out_channels,
            kernel: 1,
            stride: 1,
            dilation: 1,
            padding,
        }
    }

    /// Draws weights from transformers' `kaiming_normal_(mode="fan_out", nonlinearity="relu")`.
    pub fn init(&self, device: &Device) -> WeightStandardizedConv2d {
        let fan_out = self.out_channels * self.kernel * self.kernel;
        let normal = Initializer::Normal {
            mean: 0.0,
            std: (2.0 / fan_out as f64).sqrt(),
        };
        let shape = [self.out_channels, self.in_channels, self.kernel, self.kernel];
        WeightStandardizedConv2d {
            weight: normal.init(shape, device),
            standardized: Standardized::default(),
            padding: ConvPadding::new(self.padding, self.kernel, self.stride, self.dilation),
            stride: self.stride,
            dilation: self.dilation,
        }
    }
}

impl WeightStandardizedConv2d {
    /// Convolves `x` with the standardized filters.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height / stride, width / stride]`, rounded as the padding says
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let padding = self.padding.for_size([height, width]);
        let options = ConvOptions {
            stride: [self.stride; 2],
            padding,
            dilation: [self.dilation; 2],
            groups: 1,
        };
        conv2d(x, self.standardized_weight(), None, options)
    }

    /// The filters that [`forward`](Self::forward) uses, `[channels_out, channels_in, kernel, kernel]`.
    pub fn standardized_weight(&self) -> Tensor<4> {
        let standardize = |weight| standardize(weight, WEIGHT_STANDARDIZATION_EPS);
        self.standardized.get_or_compute(&self.weight, standardize)
    }
}
