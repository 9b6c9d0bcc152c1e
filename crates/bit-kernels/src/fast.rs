//! The form of a [`FeatureMap`](crate::FeatureMap) that the kernels in [`cpu`](crate::cpu) work on.

use std::sync::Arc;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::cpu::{
    Activations, Affine, Buffer, ConvOutput, Moments, Padding, PreparedConv, Shape, Window, add,
    global_average_pool, max_pool, moments, normalize, to_channels_first, to_channels_last,
};
use crate::feature_map::Pad;

/// Channels-last activations, their statistics, and the normalization that their reader applies.
#[derive(Clone)]
pub struct FastMap {
    pub(crate) data: Arc<Buffer>,
    pub(crate) shape: Shape,
    /// Of `data`, before the normalization, where the layer that wrote it gathered them.
    pub(crate) moments: Option<Arc<Moments>>,
    pub(crate) normalization: Option<Arc<Affine>>,
}

impl std::fmt::Debug for FastMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FastMap")
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl FastMap {
    /// Whether a tensor can take this form: on the `flex` device, f32, no gradients, not empty.
    pub(crate) fn supports(tensor: &Tensor<4>) -> bool {
        let device = tensor.device();
        device == Device::flex() && !device.is_autodiff() && Self::supports_values(tensor)
    }

    /// Whether a tensor's values can take this form, wherever it is: f32, not empty.
    pub(crate) fn supports_values(tensor: &Tensor<4>) -> bool {
        tensor.dtype() == DType::F32 && tensor.dims().iter().all(|size| *size > 0)
    }

    pub(crate) fn from_tensor(tensor: Tensor<4>) -> Self {
        let dims = tensor.dims();
        let data = tensor.into_data();
        Self::from_values(data.as_slice().expect("the tensor was checked to be f32"), dims)
    }

    /// Of values in the order of `[batch, channels, height, width]`.
    pub(crate) fn from_values(values: &[f32], [images, channels, height, width]: [usize; 4]) -> Self {
        let shape = Shape::new(images, height, width, channels);
        Self::written(to_channels_last(values, shape), shape, None)
    }

    pub(crate) fn dims(&self) -> [usize; 4] {
        [
            self.shape.images,
            self.shape.channels,
            self.shape.height,
            self.shape.width,
        ]
    }

    pub(crate) fn into_tensor(self) -> Tensor<4> {
        let dims = self.dims();
        let values = match &self.normalization {
            Some(_) => to_channels_first(&normalize(self.activations()), self.shape),
            None => to_channels_first(&self.data, self.shape),
        };
        Tensor::from_data(TensorData::new(values.to_vec(), dims), &Device::flex())
    }

    pub(crate) fn activations(&self) -> Activations<'_> {
        let activations = Activations::new(&self.data, self.shape);
        match &self.normalization {
            Some(affine) => activations.normalized(affine),
            None => activations,
        }
    }

    pub(crate) fn written(data: Buffer, shape: Shape, moments: Option<Moments>) -> Self {
        Self {
            data: Arc::new(data),
            shape,
            moments: moments.map(Arc::new),
            normalization: None,
        }
    }

    /// Group normalization, then ReLU if `relu`, left to the reader.
    pub(crate) fn group_norm(
        self,
        groups: usize,
        weight: &[f32],
        bias: &[f32],
        eps: f64,
        relu: bool,
    ) -> Self {
        let settled = self.settled();
        let statistics = settled.moments.clone();
        let statistics = statistics.unwrap_or_else(|| Arc::new(moments(&settled.data, settled.shape)));
        let affine = statistics.group_norm(groups, weight, bias, eps, relu);
        Self {
            normalization: Some(Arc::new(affine)),
            moments: Some(statistics),
            ..settled
        }
    }

    /// The same values with no normalization pending.
    pub(crate) fn settled(self) -> Self {
        match self.normalization {
            Some(_) => Self::written(normalize(self.activations()), self.shape, None),
            None => self,
        }
    }

    /// Convolves with zero padding; `statistics` says whether a norm follows.
    pub(crate) fn conv(&self, conv: &PreparedConv, pads: [Pad; 2], statistics: bool) -> Self {
        let ConvOutput { data, shape, moments } =
            conv.forward(self.activations(), padding(pads), None, statistics);
        Self::written(data, shape, moments)
    }

    /// Convolves and adds onto `shortcut`, in place where nothing else holds it.
    pub(crate) fn conv_onto(&self, conv: &PreparedConv, pads: [Pad; 2], shortcut: Self) -> Self {
        let Self { data, shape, .. } = shortcut.settled();
        match Arc::try_unwrap(data) {
            Ok(mut data) => {
                let moments = conv.accumulate(self.activations(), padding(pads), &mut data, true);
                Self::written(data, shape, moments)
            }
            Err(shared) => {
                let output = conv.forward(self.activations(), padding(pads), Some(&shared), true);
                Self::written(output.data, output.shape, output.moments)
            }
        }
    }

    /// The sum, then ReLU.
    pub(crate) fn add_relu(&self, other: &Self) -> Self {
        Self::written(
            add(self.activations(), other.activations(), true),
            self.shape,
            None,
        )
    }

    /// Max pooling over zero padding.
    pub(crate) fn max_pool(&self, kernel: usize, stride: usize, pads: [Pad; 2]) -> Self {
        let window = Window::square(kernel, stride);
        let (data, shape, moments) = max_pool(self.activations(), window, padding(pads));
        Self::written(data, shape, Some(moments))
    }

    /// The mean over the pixels, `[batch, channels, 1, 1]`.
    pub(crate) fn global_average_pool(&self) -> Tensor<4> {
        let means = global_average_pool(self.activations());
        let shape = [self.shape.images, self.shape.channels, 1, 1];
        Tensor::from_data(TensorData::new(means, shape), &Device::flex())
    }
}

pub(crate) fn padding([(top, bottom), (left, right)]: [Pad; 2]) -> Padding {
    Padding {
        top,
        bottom,
        left,
        right,
    }
}
