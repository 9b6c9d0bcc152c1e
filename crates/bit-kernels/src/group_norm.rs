//! Group normalization (Wu and He 2018, <https://arxiv.org/abs/1803.08494>).

use burn::module::Param;
use burn::tensor::{Tensor, activation::relu};

use crate::feature_map::FeatureMap;
use crate::precision::in_f32;

/// Normalizes each group of channels of every image, then scales and shifts each channel.
#[derive(Clone, Copy)]
pub struct GroupNorm<'a> {
    /// Scale of each channel, `[channels]`.
    pub weight: &'a Param<Tensor<1>>,
    /// Shift of each channel, `[channels]`.
    pub bias: &'a Param<Tensor<1>>,
    /// Number of groups, which divides the channels.
    pub groups: usize,
    /// Added to a group's variance before its root.
    pub eps: f64,
}

impl GroupNorm<'_> {
    /// Normalizes `x`.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: as `x`
    pub fn forward(&self, x: FeatureMap) -> FeatureMap {
        #[cfg(feature = "flex")]
        let x = match x {
            FeatureMap::Fast(map) => return self.forward_fast(map, false),
            FeatureMap::Recorded(map) => return FeatureMap::Recorded(map.group_norm(self, false)),
            other => other,
        };
        FeatureMap::Tensor(self.compose(x.into_tensor()))
    }

    /// Normalizes `x`, then applies ReLU.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: as `x`
    pub fn forward_relu(&self, x: FeatureMap) -> FeatureMap {
        #[cfg(feature = "flex")]
        let x = match x {
            FeatureMap::Fast(map) => return self.forward_fast(map, true),
            FeatureMap::Recorded(map) => return FeatureMap::Recorded(map.group_norm(self, true)),
            other => other,
        };
        FeatureMap::Tensor(relu(self.compose(x.into_tensor())))
    }

    fn compose(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let group = channels / self.groups * height * width;
        let normalized = in_f32(x.reshape([batch, self.groups, group]), |x| {
            let centred = x.clone() - x.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            centred / (variance + self.eps).sqrt()
        });
        let affine = [1, channels, 1, 1];
        let normalized = normalized.reshape([batch, channels, height, width]);
        normalized * self.weight.val().reshape(affine) + self.bias.val().reshape(affine)
    }

    #[cfg(feature = "flex")]
    fn forward_fast(&self, x: crate::fast::FastMap, relu: bool) -> FeatureMap {
        let values = |param: &Param<Tensor<1>>| {
            param
                .val()
                .into_data()
                .try_into_vec::<f32>()
                .expect("the map was checked to be f32")
        };
        let (weight, bias) = (values(self.weight), values(self.bias));
        FeatureMap::Fast(x.group_norm(self.groups, &weight, &bias, self.eps, relu))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tolerance};

    use super::*;

    #[test]
    fn both_forms_equal_burns_group_norm() {
        let device = Device::flex();
        let x = Tensor::<4>::random([2, 6, 5, 3], Distribution::Normal(1.0, 3.0), &device);
        let random = || Param::from_tensor(Tensor::<1>::random([6], Distribution::Default, &device));
        let (weight, bias) = (random(), random());
        let mut reference = burn::nn::GroupNormConfig::new(3, 6).init(&device);
        reference.gamma = Some(weight.clone());
        reference.beta = Some(bias.clone());
        let expected = reference.forward(x.clone()).into_data();
        let norm = GroupNorm {
            weight: &weight,
            bias: &bias,
            groups: 3,
            eps: 1e-5,
        };
        for form in [FeatureMap::Tensor(x.clone()), FeatureMap::fastest(x)] {
            let found = norm.forward(form).into_tensor().into_data();
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }
}
