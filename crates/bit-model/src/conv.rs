//! Convolution with weight standardization.

use bit_config::GlobalPadding;
use bit_kernels::{FeatureMap, PreparedWeight, StandardizedConv, Then};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::padding::ConvPadding;

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
    prepared: PreparedWeight,
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
            prepared: PreparedWeight::default(),
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
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        self.convolve(x, Then::Norm)
    }

    /// As [`forward`](Self::forward), for an output that becomes a block's shortcut before a norm reads it.
    pub fn forward_shortcut(&self, x: FeatureMap) -> FeatureMap {
        self.convolve(x, Then::Shortcut)
    }

    /// As [`forward`](Self::forward), plus `shortcut`, which has the output's shape.
    pub fn forward_onto(&self, x: FeatureMap, shortcut: FeatureMap) -> FeatureMap {
        self.convolve(x, Then::AddOnto(shortcut))
    }

    /// Keeps the weight in the form that inference reads alone; see [`BitModel::for_inference`](crate::BitModel).
    pub(crate) fn for_inference(self) -> Self {
        match self.standardized_conv().packed_alone() {
            Some((weight, prepared)) => Self {
                weight,
                prepared,
                ..self
            },
            None => self,
        }
    }

    /// The filters that are convolved with, `[channels_out, channels_in, kernel, kernel]`.
    pub fn standardized_weight(&self) -> Tensor<4> {
        self.standardized_conv().standardized_weight()
    }

    fn convolve(&self, x: FeatureMap, then: Then) -> FeatureMap {
        let [_, _, height, width] = x.dims();
        self.standardized_conv()
            .forward(x, self.padding.for_size([height, width]), then)
    }

    fn standardized_conv(&self) -> StandardizedConv<'_> {
        StandardizedConv {
            weight: &self.weight,
            prepared: &self.prepared,
            eps: WEIGHT_STANDARDIZATION_EPS,
            stride: self.stride,
            dilation: self.dilation,
        }
    }
}
