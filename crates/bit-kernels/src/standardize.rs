//! Weight standardization (Qiao et al. 2019, <https://arxiv.org/abs/1903.10520>).

use burn::tensor::Tensor;

use crate::precision::in_f32;

/// Gives every output filter of a convolution mean 0 and variance 1.
///
/// The variance is the biased one over `[channels_in, height, width]`, and `eps` is added to it before the
/// root, as in transformers' `WeightStandardizedConv2d`.
///
/// # Shapes
///
/// - weight: `[channels_out, channels_in, height, width]`
/// - output: the same
pub fn standardize(weight: Tensor<4>, eps: f64) -> Tensor<4> {
    let shape = weight.dims();
    let filters = weight.reshape([shape[0], shape[1] * shape[2] * shape[3]]);
    in_f32(filters, |filters| {
        let mean = filters.clone().mean_dim(1);
        let centred = filters - mean;
        let variance = centred.clone().square().mean_dim(1);
        centred / (variance + eps).sqrt()
    })
    .reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor, Tolerance};

    use super::*;

    #[test]
    fn every_filter_has_mean_zero_and_unit_variance() {
        let device = Device::flex();
        let weight = Tensor::<4>::random([5, 3, 3, 2], Distribution::Normal(4.0, 2.0), &device);
        let filters = standardize(weight, 0.0).reshape([5, 18]);
        let tolerance = Tolerance::absolute(1e-5);
        let mean = filters.clone().mean_dim(1);
        mean.into_data()
            .assert_approx_eq::<f32>(&Tensor::<2>::zeros([5, 1], &device).into_data(), tolerance);
        let variance = filters.square().mean_dim(1);
        variance
            .into_data()
            .assert_approx_eq::<f32>(&Tensor::<2>::ones([5, 1], &device).into_data(), tolerance);
    }

    #[test]
    fn a_constant_filter_becomes_zero_and_not_nan() {
        let device = Device::flex();
        let data = standardize(Tensor::<4>::full([1, 2, 1, 1], 3.0, &device), 1e-8).into_data();
        assert_eq!(data.try_to_vec::<f32>().unwrap(), [0.0, 0.0]);
    }
}
