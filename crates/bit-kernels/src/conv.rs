//! Convolution with weight standardization.

use burn::module::Param;
use burn::tensor::{Tensor, module::conv2d, ops::ConvOptions};

use crate::feature_map::{FeatureMap, Pad};
use crate::prepared::PreparedWeight;
use crate::standardize::standardize;

/// A convolution without bias or groups, its weight still to be standardized.
#[derive(Clone, Copy)]
pub struct StandardizedConv<'a> {
    /// `[channels_out, channels_in, kernel, kernel]`.
    pub weight: &'a Param<Tensor<4>>,
    /// What was derived from `weight`, kept beside it.
    pub prepared: &'a PreparedWeight,
    /// Added to the variance of a filter before its root.
    pub eps: f64,
    /// Stride in both directions.
    pub stride: usize,
    /// Dilation in both directions.
    pub dilation: usize,
}

/// What becomes of a convolution's output.
#[derive(Debug, Clone)]
// It lives for one call, where a box would only cost an allocation.
#[allow(clippy::large_enum_variant)]
pub enum Then {
    /// A norm reads it.
    Norm,
    /// It is the shortcut that another convolution is added onto.
    Shortcut,
    /// It is added onto this, and a norm reads the sum.
    AddOnto(FeatureMap),
}

impl StandardizedConv<'_> {
    /// The standardized weight: computed at every call while gradients are recorded, so that the graph reaches the
    /// weight, and once otherwise.
    pub fn standardized_weight(&self) -> Tensor<4> {
        let weight = self.weight.val();
        match weight.device().is_autodiff() {
            true => standardize(weight, self.eps),
            false => self.prepared.standardized(|| standardize(weight, self.eps)),
        }
    }

    /// Convolves `x` surrounded by `pads` zeros above and below, left and right.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    pub fn forward(&self, x: FeatureMap, pads: [Pad; 2], then: Then) -> FeatureMap {
        #[cfg(feature = "flex")]
        let x = match x {
            FeatureMap::Fast(map) => return self.forward_fast(map, pads, then),
            FeatureMap::Recorded(map) => return self.forward_recorded(map, pads, then),
            other => other,
        };
        let options = ConvOptions {
            stride: [self.stride; 2],
            padding: pads,
            dilation: [self.dilation; 2],
            groups: 1,
        };
        let output = conv2d(x.into_tensor(), self.standardized_weight(), None, options);
        FeatureMap::Tensor(match then {
            Then::AddOnto(shortcut) => output + shortcut.into_tensor(),
            Then::Norm | Then::Shortcut => output,
        })
    }
}

#[cfg(feature = "flex")]
mod fast {
    use super::*;
    use crate::cpu::{PreparedConv, Window, standardize_weight};
    use crate::fast::FastMap;
    use crate::recorded::RecordedMap;

    impl StandardizedConv<'_> {
        pub(super) fn forward_fast(&self, x: FastMap, pads: [Pad; 2], then: Then) -> FeatureMap {
            let conv = self.prepared.packed(|| self.pack());
            FeatureMap::Fast(match then {
                Then::Norm => x.conv(conv, pads, true),
                Then::Shortcut => x.conv(conv, pads, false),
                Then::AddOnto(FeatureMap::Fast(shortcut)) => x.conv_onto(conv, pads, shortcut),
                Then::AddOnto(shortcut) => {
                    x.conv_onto(conv, pads, FastMap::from_tensor(shortcut.into_tensor()))
                }
            })
        }

        pub(super) fn forward_recorded(&self, x: RecordedMap, pads: [Pad; 2], then: Then) -> FeatureMap {
            let statistics = !matches!(then, Then::Shortcut);
            let shortcut = match then {
                Then::Norm | Then::Shortcut => None,
                Then::AddOnto(FeatureMap::Recorded(shortcut)) => Some(shortcut),
                Then::AddOnto(shortcut) => Some(RecordedMap::from_tensor(shortcut.into_tensor())),
            };
            FeatureMap::Recorded(x.conv(self, pads, shortcut, statistics))
        }

        fn pack(&self) -> PreparedConv {
            let weight = self.weight.val();
            let [channels, inputs, height, width] = weight.dims();
            let mut values = weight
                .into_data()
                .try_into_vec::<f32>()
                .expect("the map was checked to be f32");
            standardize_weight(&mut values, channels, self.eps);
            let window = Window {
                kernel: [height, width],
                stride: [self.stride; 2],
                dilation: [self.dilation; 2],
            };
            PreparedConv::new(&values, channels, inputs, window, None)
        }
    }
}
