//! What passes between two layers of the network.

use burn::tensor::{Device, Tensor};

#[cfg(feature = "flex")]
use crate::fast::FastMap;
#[cfg(feature = "flex")]
use crate::recorded::RecordedMap;

/// Zeros before and after a height or a width.
pub type Pad = (usize, usize);

/// An activation of shape `[batch, channels, height, width]` on its way from one layer to the next.
///
/// On most devices it is a tensor, and layers are compositions of Burn operations. On the `flex` device, in f32, it is
/// a channels-last buffer with its statistics, whose normalization is applied by the layer that reads it: the same
/// numbers, several times faster. Where gradients are recorded it is also a node of Burn's graph.
#[derive(Clone, Debug)]
// A box around the tensor, whose size depends on the backends compiled in, would cost an allocation a layer.
#[allow(clippy::large_enum_variant)]
pub enum FeatureMap {
    /// A tensor of any device.
    Tensor(Tensor<4>),
    /// A buffer of this crate's own kernels.
    #[cfg(feature = "flex")]
    Fast(FastMap),
    /// A buffer of this crate's own kernels, on a device that records gradients.
    #[cfg(feature = "flex")]
    Recorded(RecordedMap),
}

impl FeatureMap {
    /// The form that is fastest for a network whose norms are all followed by ReLU.
    ///
    /// # Shapes
    ///
    /// - tensor: `[batch, channels, height, width]`
    pub fn fastest(tensor: Tensor<4>) -> Self {
        #[cfg(feature = "flex")]
        if FastMap::supports(&tensor) {
            return Self::Fast(FastMap::from_tensor(tensor));
        }
        #[cfg(feature = "flex")]
        if RecordedMap::supports(&tensor) {
            return Self::Recorded(RecordedMap::from_tensor(tensor));
        }
        Self::Tensor(tensor)
    }

    /// Runs `layers` on this map. Layers of this crate's own kernels are short, so the threads that share them are
    /// kept awake from the first to the last.
    pub fn through<T: Send>(self, layers: impl FnOnce(Self) -> T + Send) -> T {
        match self {
            Self::Tensor(_) => layers(self),
            #[cfg(feature = "flex")]
            _ => crate::cpu::keep_awake(|| layers(self)),
        }
    }

    /// `[batch, channels, height, width]`.
    pub fn dims(&self) -> [usize; 4] {
        match self {
            Self::Tensor(tensor) => tensor.dims(),
            #[cfg(feature = "flex")]
            Self::Fast(map) => map.dims(),
            #[cfg(feature = "flex")]
            Self::Recorded(map) => map.dims(),
        }
    }

    /// Where it is computed, and whether gradients are recorded.
    pub fn device(&self) -> Device {
        match self {
            Self::Tensor(tensor) => tensor.device(),
            #[cfg(feature = "flex")]
            Self::Fast(_) => Device::flex(),
            #[cfg(feature = "flex")]
            Self::Recorded(_) => Device::flex().autodiff(),
        }
    }

    /// Applies `f` to the activation as a tensor, and returns to this form.
    pub fn map_tensor(self, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        match self {
            Self::Tensor(tensor) => Self::Tensor(f(tensor)),
            #[cfg(feature = "flex")]
            fast => Self::fastest(f(fast.into_tensor())),
        }
    }

    /// The activation as a tensor `[batch, channels, height, width]`, with everything pending applied.
    pub fn into_tensor(self) -> Tensor<4> {
        match self {
            Self::Tensor(tensor) => tensor,
            #[cfg(feature = "flex")]
            Self::Fast(map) => map.into_tensor(),
            #[cfg(feature = "flex")]
            Self::Recorded(map) => map.into_tensor(),
        }
    }
}

impl From<Tensor<4>> for FeatureMap {
    fn from(tensor: Tensor<4>) -> Self {
        Self::Tensor(tensor)
    }
}
