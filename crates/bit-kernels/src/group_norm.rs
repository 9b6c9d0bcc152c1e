//! Group normalization (Wu and He 2018, <https://arxiv.org/abs/1803.08494>).

use burn::tensor::Tensor;

use crate::precision::in_f32;

/// Normalizes each of `groups` groups of channels of every image, then scales and shifts each channel.
///
/// # Shapes
///
/// - x: `[batch, channels, height, width]`, `channels` divisible by `groups`
/// - weight, bias: `[channels]`
/// - output: as `x`
pub fn group_norm(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, groups: usize, eps: f64) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    let normalized = in_f32(
        x.reshape([batch, groups, channels / groups * height * width]),
        |x| {
            let centred = x.clone() - x.mean_dim(2);
            let variance = centred.clone().square().mean_dim(2);
            centred / (variance + eps).sqrt()
        },
    );
    let affine = [1, channels, 1, 1];
    normalized.reshape([batch, channels, height, width]) * weight.reshape(affine) + bias.reshape(affine)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor, Tolerance};

    use super::*;

    #[test]
    fn equals_burns_group_norm() {
        let device = Device::flex();
        let x = Tensor::<4>::random([2, 6, 5, 3], Distribution::Normal(1.0, 3.0), &device);
        let weight = Tensor::<1>::random([6], Distribution::Default, &device);
        let bias = Tensor::<1>::random([6], Distribution::Default, &device);
        let mut reference = burn::nn::GroupNormConfig::new(3, 6).init(&device);
        reference.gamma = Some(burn::module::Param::from_tensor(weight.clone()));
        reference.beta = Some(burn::module::Param::from_tensor(bias.clone()));
        let expected = reference.forward(x.clone()).into_data();
        let found = group_norm(x, weight, bias, 3, 1e-5).into_data();
        found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
