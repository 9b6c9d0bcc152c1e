//! The two poolings of the network, and the end of a post-activation block.

use burn::tensor::{
    Tensor,
    activation::relu,
    module::{adaptive_avg_pool2d, max_pool2d},
    ops::{MaxPoolOptions, PadMode},
};

use crate::feature_map::{FeatureMap, Pad};

/// Adds zeros above and below, left and right.
///
/// # Shapes
///
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, channels, height + pads, width + pads]`
pub fn pad_zeros(x: FeatureMap, pads: [Pad; 2]) -> FeatureMap {
    match pads {
        [(0, 0), (0, 0)] => x,
        _ => match x {
            FeatureMap::Tensor(tensor) => tensor.pad(pads, PadMode::Constant(0.0)).into(),
            #[cfg(feature = "flex")]
            fast => FeatureMap::fastest(fast.into_tensor().pad(pads, PadMode::Constant(0.0))),
        },
    }
}

/// Max pooling in which the zeros of the padding take part, unlike padding inside a framework's pooling.
///
/// # Shapes
///
/// - x: `[batch, channels, height, width]`, not smaller than the kernel once padded
/// - output: `[batch, channels, (height + pads - kernel) / stride + 1, …]`
pub fn max_pool(x: FeatureMap, kernel: usize, stride: usize, pads: [Pad; 2]) -> FeatureMap {
    #[cfg(feature = "flex")]
    let x = match x {
        FeatureMap::Fast(map) => return FeatureMap::Fast(map.max_pool(kernel, stride, pads)),
        FeatureMap::Recorded(map) => return FeatureMap::Recorded(map.max_pool(kernel, stride, pads)),
        other => other,
    };
    let options = MaxPoolOptions {
        kernel_size: [kernel; 2],
        stride: [stride; 2],
        padding: [(0, 0); 2],
        dilation: [1; 2],
        ceil_mode: false,
    };
    max_pool2d(pad_zeros(x, pads).into_tensor(), options).into()
}

/// The mean over the pixels.
///
/// # Shapes
///
/// - x: `[batch, channels, height, width]`
/// - output: `[batch, channels, 1, 1]`
pub fn global_average_pool(x: FeatureMap) -> Tensor<4> {
    #[cfg(feature = "flex")]
    let x = match x {
        FeatureMap::Fast(map) => return map.global_average_pool(),
        FeatureMap::Recorded(map) => return map.global_average_pool(),
        other => other,
    };
    adaptive_avg_pool2d(x.into_tensor(), [1, 1])
}

/// The sum of two maps of one shape, then ReLU.
///
/// # Shapes
///
/// - both: `[batch, channels, height, width]`
/// - output: the same
pub fn add_relu(left: FeatureMap, right: FeatureMap) -> FeatureMap {
    #[cfg(feature = "flex")]
    let (left, right) = match (left, right) {
        (FeatureMap::Fast(left), FeatureMap::Fast(right)) => return FeatureMap::Fast(left.add_relu(&right)),
        (FeatureMap::Recorded(left), FeatureMap::Recorded(right)) => {
            return FeatureMap::Recorded(left.add(right, true));
        }
        others => others,
    };
    relu(left.into_tensor() + right.into_tensor()).into()
}

/// The sum of two maps of one shape.
///
/// # Shapes
///
/// - both: `[batch, channels, height, width]`
/// - output: the same
pub fn add(left: FeatureMap, right: FeatureMap) -> FeatureMap {
    #[cfg(feature = "flex")]
    let (left, right) = match (left, right) {
        (FeatureMap::Recorded(left), FeatureMap::Recorded(right)) => {
            return FeatureMap::Recorded(left.add(right, false));
        }
        others => others,
    };
    (left.into_tensor() + right.into_tensor()).into()
}
