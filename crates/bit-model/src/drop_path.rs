//! Stochastic depth.

use bit_kernels::FeatureMap;
use burn::module::{Flag, Module, Param};
use burn::tensor::{Device, Distribution, FloatDType, Tensor};

/// Drops the residual branch of whole images at random during training, and scales the others up
/// (transformers' `BitDropPath`; Huang et al. 2016, <https://arxiv.org/abs/1603.09382>).
#[derive(Module, Debug)]
pub struct BitDropPath {
    drop_prob: f64,
    /// Cleared by freezing the module: it then passes its input on, as in inference.
    pub training: Param<Flag>,
}

impl BitDropPath {
    /// A layer that drops with probability `drop_prob`, in `[0, 1)`.
    pub fn new(drop_prob: f64) -> Self {
        Self {
            drop_prob,
            training: Param::from_bool(true),
        }
    }

    /// Whether [`forward`](Self::forward) returns a tensor on this device as it is.
    pub fn is_identity(&self, device: &Device) -> bool {
        self.drop_prob == 0.0 || !self.training.is_enabled() || !device.is_autodiff()
    }

    /// As [`forward`](Self::forward), for what passes between two layers.
    pub fn forward_map(&self, x: FeatureMap) -> FeatureMap {
        match self.is_identity(&x.device()) {
            true => x,
            false => x.map_tensor(|x| self.forward(x)),
        }
    }

    /// Drops images of `x`, or returns it as it is outside training.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, channels, height, width]`
    /// - output: as `x`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        if self.is_identity(&x.device()) {
            return x;
        }
        let keep_prob = 1.0 - self.drop_prob;
        let [batch, ..] = x.dims();
        let dtype: FloatDType = x.dtype().into();
        let keep = Tensor::<4>::random([batch, 1, 1, 1], Distribution::Bernoulli(keep_prob), &x.device());
        x / keep_prob * keep.cast(dtype)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_passes_the_input_on() {
        let x = Tensor::<4>::ones([8, 2, 1, 1], &Device::flex());
        let y = BitDropPath::new(0.9).forward(x.clone());
        y.into_data().assert_eq(&x.into_data(), true);
    }

    #[test]
    fn training_drops_whole_images_and_scales_the_kept_ones() {
        let device = Device::flex().autodiff();
        device.seed(7);
        let y = BitDropPath::new(0.5).forward(Tensor::<4>::ones([64, 3, 1, 1], &device));
        let images: Vec<f32> = y.into_data().try_to_vec().unwrap();
        assert!(
            images
                .chunks(3)
                .all(|image| image == [0.0; 3] || image == [2.0; 3])
        );
        let kept = images.iter().filter(|value| **value != 0.0).count() / 3;
        assert!(
            (16..48).contains(&kept),
            "{kept} of 64 kept at probability one half"
        );
    }
}
