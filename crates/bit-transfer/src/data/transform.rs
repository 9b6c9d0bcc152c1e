//! From a picture to its place in a batch.

use bit_config::hyperrule::Resolution;
use bit_config::{ImageProcessorConfig, PerChannel, Resample, SizeDict};

/// What happens to a picture in training: a square resize, a random crop, a random flip, normalization.
#[derive(Clone, Debug)]
pub struct TrainTransform {
    /// Sides of the resized picture and of the crop.
    pub resolution: Resolution,
    /// Whether to mirror half of the pictures.
    pub flip: bool,
    /// Filter, rescaling, mean and standard deviation; its sizes are not looked at.
    pub processor: ImageProcessorConfig,
}

impl TrainTransform {
    /// BiT's: with flips, and normalized by [`recipe_processor`].
    pub fn new(resolution: Resolution) -> Self {
        Self {
            resolution,
            flip: true,
            processor: recipe_processor(resolution.crop),
        }
    }
}

/// BiT's preprocessing for evaluation, and so that of the trained model: a square resize straight to `side` with
/// Pillow's bilinear filter, no crop, mean and standard deviation 0.5.
pub fn recipe_processor(side: usize) -> ImageProcessorConfig {
    let half = PerChannel::Each(vec![0.5; 3]);
    ImageProcessorConfig {
        size: Some(SizeDict::square(side)),
        resample: Some(Resample::Bilinear),
        do_center_crop: Some(false),
        crop_size: None,
        image_mean: Some(half.clone()),
        image_std: Some(half),
        ..ImageProcessorConfig::default()
    }
}
