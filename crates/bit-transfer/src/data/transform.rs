//! From a picture to its place in a batch.

use bit_config::hyperrule::Resolution;
use bit_config::{ChannelDimension, ImageProcessorConfig, PerChannel, Resample, SizeDict};
use bit_image::{ImageError, ImageInput, PreprocessOptions, Processor, ProcessorKind, RawImage};

use crate::TransferError;
use crate::data::{ImageSource, Random};

/// Pictures are converted to red, green and blue.
const CHANNELS: usize = 3;

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

/// A [`TrainTransform`] that was checked and prepared.
#[derive(Debug)]
pub(super) struct Augment {
    /// Resizes, and leaves the bytes as they are.
    resize: Processor,
    resolution: Resolution,
    flip: bool,
    /// The tensor's value for each byte of each channel.
    values: [[f32; 256]; CHANNELS],
}

impl Augment {
    pub(super) fn new(transform: &TrainTransform, batch_size: usize) -> Result<Self, TransferError> {
        let Resolution { resize, crop } = transform.resolution;
        let sides = [batch_size, CHANNELS, resize, resize, size_of::<f32>()];
        let bytes = sides
            .iter()
            .try_fold(1_usize, |bytes, side| bytes.checked_mul(*side));
        if crop == 0 || crop > resize || bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(TransferError::Argument(format!(
                "{batch_size} images of {crop}x{crop} cannot be cropped from {resize}x{resize}; expected a crop of at \
                 least 1 that is not larger than the resized image, and a batch that fits into memory"
            )));
        }
        let unusable =
            |error| TransferError::Argument(format!("the image processor cannot be used: {error}"));
        let plain = ImageProcessorConfig {
            do_convert_rgb: Some(true),
            do_center_crop: Some(false),
            do_pad: Some(false),
            data_format: Some(ChannelDimension::First),
            ..transform.processor.clone()
        };
        let resizing = ImageProcessorConfig {
            do_resize: Some(true),
            size: Some(SizeDict::square(resize)),
            resample: transform.processor.resample.or(Some(Resample::Bilinear)),
            do_rescale: Some(false),
            do_normalize: Some(false),
            ..plain.clone()
        };
        let normalizing = ImageProcessorConfig {
            do_resize: Some(false),
            ..plain
        };
        Ok(Self {
            resize: Processor::new(ProcessorKind::Pil, resizing).map_err(unusable)?,
            resolution: transform.resolution,
            flip: transform.flip,
            values: value_tables(normalizing).map_err(unusable)?,
        })
    }

    /// `[channels, height, width]` of what is written.
    pub(super) fn shape(&self) -> [usize; 3] {
        [CHANNELS, self.resolution.crop, self.resolution.crop]
    }

    /// The resized picture, `[channels, height, width]`.
    pub(super) fn resize(&self, image: &ImageSource) -> Result<Vec<u8>, ImageError> {
        let resized = self
            .resize
            .preprocess_one(&image.input()?, &PreprocessOptions::default())?;
        Ok(resized.data.into_iter().map(|value| value as u8).collect())
    }

    /// Writes a random crop of a resized picture, perhaps mirrored, normalized.
    pub(super) fn write(&self, resized: &[u8], random: &mut Random, out: &mut [f32]) {
        let Resolution { resize, crop } = self.resolution;
        let (top, left) = (random.below(resize - crop + 1), random.below(resize - crop + 1));
        let flip = random.coin() && self.flip;
        let planes = resized
            .chunks_exact(resize * resize)
            .zip(out.chunks_exact_mut(crop * crop));
        for ((plane, out), values) in planes.zip(&self.values) {
            let rows = plane.chunks_exact(resize).skip(top);
            for (row, out) in rows.zip(out.chunks_exact_mut(crop)) {
                let row = row[left..left + crop]
                    .iter()
                    .map(|byte| values[usize::from(*byte)]);
                match flip {
                    false => out.iter_mut().zip(row).for_each(|(out, value)| *out = value),
                    true => out
                        .iter_mut()
                        .rev()
                        .zip(row)
                        .for_each(|(out, value)| *out = value),
                }
            }
        }
    }
}

/// What the processor makes of each byte of each channel.
fn value_tables(config: ImageProcessorConfig) -> Result<[[f32; 256]; CHANNELS], ImageError> {
    let ramp: Vec<u8> = (0..CHANNELS).flat_map(|_| 0..=255).collect();
    let ramp = ImageInput::Raw(RawImage::u8(ramp, [CHANNELS, 1, 256]));
    let options = PreprocessOptions {
        input_data_format: Some(ChannelDimension::First),
        ..Default::default()
    };
    let values = Processor::new(ProcessorKind::Pil, config)?.preprocess_one(&ramp, &options)?;
    let mut tables = [[0.0; 256]; CHANNELS];
    for (table, values) in tables.iter_mut().zip(values.data.chunks_exact(256)) {
        table.copy_from_slice(values);
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn augment(resize: usize, crop: usize) -> Augment {
        Augment::new(&TrainTransform::new(Resolution { resize, crop }), 1).unwrap()
    }

    #[test]
    fn pixels_are_those_of_the_evaluation_processor() {
        let config = recipe_processor(3);
        let processor = Processor::new(ProcessorKind::Pil, config).unwrap();
        let pixels: Vec<u8> = (0..27).map(|value| value * 9).collect();
        let raw = ImageInput::Raw(RawImage::u8(pixels.clone(), [3, 3, 3]));
        let expected = processor
            .preprocess_one(&raw, &PreprocessOptions::default())
            .unwrap();
        let mut out = vec![0.0; 27];
        let unmirrored = TrainTransform {
            flip: false,
            ..TrainTransform::new(Resolution { resize: 3, crop: 3 })
        };
        let augment = Augment::new(&unmirrored, 1).unwrap();
        augment.write(&pixels, &mut Random::new(0, "test", 0), &mut out);
        assert_eq!(out, expected.data);
        assert_eq!((out[0], expected.shape), (-1.0, [3, 3, 3]));
    }

    #[test]
    fn every_crop_and_its_mirror_image_come_up() {
        let augment = augment(3, 2);
        let pixels: Vec<u8> = [0, 1, 2].into_iter().flat_map(|_| 0..9).collect();
        let mut seen = std::collections::BTreeSet::new();
        for draw in 0..200 {
            let mut out = vec![0.0; 12];
            augment.write(&pixels, &mut Random::new(0, "test", draw), &mut out);
            let bytes: Vec<u8> = out
                .iter()
                .map(|value| ((value * 0.5 + 0.5) * 255.0).round() as u8)
                .collect();
            assert_eq!(bytes[..4], bytes[8..]);
            seen.insert(bytes[..4].to_vec());
        }
        assert_eq!(seen.len(), 8);
        assert!(
            seen.contains(&vec![4, 5, 7, 8]) && seen.contains(&vec![5, 4, 8, 7]),
            "{seen:?}"
        );
    }

    #[test]
    fn impossible_crops_and_batches_are_refused() {
        for (resize, crop, batch) in [(2, 3, 1), (2, 0, 1), (usize::MAX, 1, 2)] {
            let transform = TrainTransform::new(Resolution { resize, crop });
            assert!(Augment::new(&transform, batch).is_err());
        }
    }
}
