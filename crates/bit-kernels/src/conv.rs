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

/// A weight that is kept in its packed form alone, and the parameter that computes it back; see
/// [`StandardizedConv::packed_alone`].
pub type PackedAlone = (Param<Tensor<4>>, PreparedWeight);

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

    /// The weight in its packed form alone, where this crate's own kernels read it: on the `flex` device, in f32.
    ///
    /// The parameter holds no values until somebody asks for them, and then computes them from the packed ones. They
    /// differ from the weight's by rounding, at most 1e-6 of the filter's largest.
    pub fn packed_alone(&self) -> Option<PackedAlone> {
        #[cfg(feature = "flex")]
        return self.pack_alone();
        #[cfg(not(feature = "flex"))]
        return None;
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
    use burn::tensor::{DType, Device, TensorData};

    use crate::cpu::{PreparedConv, Window, standardize_weight};
    use crate::fast::FastMap;
    use crate::recorded::RecordedMap;

    impl StandardizedConv<'_> {
        pub(super) fn forward_fast(&self, x: FastMap, pads: [Pad; 2], then: Then) -> FeatureMap {
            let conv = self.prepared.packed(|| self.pack().0);
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

        /// The standardized weight, packed, and what was taken from each filter: its mean, then its deviation.
        fn pack(&self) -> (PreparedConv, Vec<[f64; 2]>) {
            let weight = self.weight.val();
            let [channels, inputs, height, width] = weight.dims();
            // A copy of the shared weight, which is standardized where it lies.
            let mut data = weight.into_data();
            let values = data.as_mut_slice::<f32>().expect("the map was checked to be f32");
            let filters = standardize_weight(values, channels, self.eps);
            let window = Window {
                kernel: [height, width],
                stride: [self.stride; 2],
                dilation: [self.dilation; 2],
            };
            (PreparedConv::new(values, channels, inputs, window, None), filters)
        }

        pub(super) fn pack_alone(&self) -> Option<PackedAlone> {
            if self.prepared.is_packed() && !self.weight.is_initialized() {
                return None;
            }
            let weight = self.weight.val();
            let (shape, device) = (weight.shape(), weight.device());
            if device != Device::flex() || device.is_autodiff() || weight.dtype() != DType::F32 {
                return None;
            }
            let (packed, filters) = self.pack();
            let prepared = PreparedWeight::of(packed);
            let (source, dims) = (prepared.clone(), shape.clone());
            let restore = move |device: &Device, require_grad: bool| {
                let values = source.packed(|| unreachable!("it was packed")).weight();
                let values = destandardize(values, &filters);
                Tensor::from_data(TensorData::new(values, dims), device).set_require_grad(require_grad)
            };
            let param = Param::uninitialized(self.weight.id, restore, device, true, shape);
            Some((param, prepared))
        }
    }

    /// Undoes [`standardize_weight`].
    fn destandardize(mut values: Vec<f32>, filters: &[[f64; 2]]) -> Vec<f32> {
        let size = (values.len() / filters.len().max(1)).max(1);
        for (filter, [mean, root]) in values.chunks_mut(size).zip(filters) {
            filter
                .iter_mut()
                .for_each(|w| *w = (f64::from(*w) * root + mean) as f32);
        }
        values
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn conv<'a>(weight: &'a Param<Tensor<4>>, prepared: &'a PreparedWeight) -> StandardizedConv<'a> {
        StandardizedConv {
            weight,
            prepared,
            eps: 1e-8,
            stride: 1,
            dilation: 1,
        }
    }

    #[test]
    fn a_weight_packed_alone_holds_no_values_until_they_are_asked_for() {
        let device = Device::flex();
        let original = Tensor::<4>::random([40, 16, 3, 3], Distribution::Normal(0.3, 0.02), &device);
        let x = Tensor::<4>::random([1, 16, 9, 9], Distribution::Default, &device);
        let param = Param::from_tensor(original.clone());
        let prepared = PreparedWeight::default();
        let before = conv(&param, &prepared);
        let (weight, prepared) = before.packed_alone().unwrap();
        let output = |conv: StandardizedConv<'_>| {
            let output = conv.forward(FeatureMap::fastest(x.clone()), [(1, 1); 2], Then::Norm);
            output.into_tensor().into_data()
        };
        assert_eq!(output(conv(&weight, &prepared)), output(before));
        assert!(!weight.is_initialized());
        let largest = original.clone().abs().max().into_scalar::<f32>();
        let error = (weight.val() - original).abs().max().into_scalar::<f32>();
        assert!(error <= 1e-6 * largest, "{error} of {largest}");
    }
}
