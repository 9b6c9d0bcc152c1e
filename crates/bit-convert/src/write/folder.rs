//! What stands beside the weights in a folder: transformers' and timm's JSON files.

use crate::architecture::{EMBEDDED_CONFIG, EMBEDDED_PROCESSOR};
use crate::error::{ConvertError, Result};
use bit_config::zoo::{ARCHITECTURES, Architecture};
use bit_config::{BitConfig, ImageProcessorConfig, PerChannel, Resample, SizeDict};
use serde_json::{Value, json};
use std::path::Path;

/// Files by their names in the folder.
pub(crate) type Texts = Vec<(&'static str, String)>;

/// `preprocessor_config.json`, when it is known, and `config.json`, as transformers reads them.
pub(crate) fn transformers_configs(config: &BitConfig, processor: Option<&ImageProcessorConfig>) -> Texts {
    let processor = processor.map(|processor| (EMBEDDED_PROCESSOR, processor.to_json()));
    let config = (EMBEDDED_CONFIG, config.to_json());
    processor.into_iter().chain([config]).collect()
}

/// timm's `config.json`, from which `timm.create_model("local-dir:…")` makes the model, and why it says nothing of the
/// image processor, if so.
///
/// # Errors
///
/// timm knows BiT's six architectures by name and takes no others from a file.
pub(crate) fn timm_config(
    folder: &Path,
    config: &BitConfig,
    processor: Option<&ImageProcessorConfig>,
) -> Result<(Texts, Option<ConvertError>)> {
    let Some(architecture) = published(config) else {
        let reason = "timm makes only BiT's six published architectures from a folder; a single file \
             (a destination that ends in .safetensors) can have any shape";
        return Err(ConvertError::Unwritable {
            path: folder.to_path_buf(),
            format: "a timm folder",
            reason: reason.into(),
        });
    };
    let mut pretrained = json!({
        "tag": "bit_burn",
        "custom_load": false,
        "fixed_input_size": false,
        "num_classes": config.num_labels(),
        "pool_size": [7, 7],
        "first_conv": "stem.conv",
        "classifier": "head.fc",
    });
    let words = processor.map(|processor| timm_words(processor, config.num_channels));
    let unsaid = matches!(words, Some(None)).then(|| {
        let reason = "timm resizes the shorter edge, crops a square from the center and normalizes, and this one does \
             something else, so config.json says nothing of it";
        ConvertError::malformed(folder, "image processor", reason)
    });
    for (key, value) in words.flatten().into_iter().flatten() {
        pretrained[key] = value;
    }
    let json = json!({
        "architecture": format!("resnetv2_{}_bit", architecture.name.trim_start_matches('R')),
        "num_classes": config.num_labels(),
        "num_features": config.out_channels(),
        "pretrained_cfg": pretrained,
    });
    Ok((vec![(EMBEDDED_CONFIG, format!("{json:#}\n"))], unsaid))
}

/// Whether `timm.create_model` can make this network from a folder: its architecture is one of the published ones.
pub fn timm_knows(config: &BitConfig) -> bool {
    published(config).is_some()
}

fn published(config: &BitConfig) -> Option<&'static Architecture> {
    ARCHITECTURES.iter().find(|known| is(config, known))
}

/// Whether a configuration is a published architecture, whatever its labels are.
fn is(config: &BitConfig, architecture: &Architecture) -> bool {
    let known = architecture.config(config.num_labels());
    config.num_channels == known.num_channels
        && config.embedding_size == known.embedding_size
        && config.hidden_sizes == known.hidden_sizes
        && config.depths == known.depths
        && config.layer_type == known.layer_type
        && config.hidden_act == known.hidden_act
        && config.global_padding == known.global_padding
        && config.num_groups == known.num_groups
        && config.output_stride == known.output_stride
        && config.width_factor == known.width_factor
        && config.embedding_dynamic_padding == known.embedding_dynamic_padding
}

/// What the processor does in timm's words, or `None` when timm has none for it.
fn timm_words(processor: &ImageProcessorConfig, channels: usize) -> Option<Vec<(&'static str, Value)>> {
    let interpolation = match processor.resample? {
        Resample::Bicubic => "bicubic",
        Resample::Bilinear => "bilinear",
        Resample::Nearest => "nearest",
        _ => return None,
    };
    let crops = processor.do_center_crop?;
    let (side, share, mode) = match (processor.size?, processor.crop_size) {
        (SizeDict::ShortestEdge(resize), Some(SizeDict::HeightWidth { height, width }))
            if crops && height == width =>
        {
            (height, crop_pct(height, resize), "center")
        }
        (SizeDict::HeightWidth { height, width }, _) if !crops && height == width => (height, 1.0, "squash"),
        _ => return None,
    };
    let steps = [processor.do_resize, processor.do_rescale, processor.do_normalize];
    let scales_by_255 = (processor.rescale_factor? * 255.0 - 1.0).abs() < 1e-6;
    if steps != [Some(true); 3] || processor.do_pad == Some(true) || !scales_by_255 {
        return None;
    }
    let each = |values: &Option<PerChannel>| match values {
        Some(PerChannel::Each(values)) => Some(json!(values)),
        Some(PerChannel::All(value)) => Some(json!(vec![value; channels])),
        None => None,
    };
    Some(vec![
        ("input_size", json!([channels, side, side])),
        ("interpolation", json!(interpolation)),
        ("crop_pct", json!(share)),
        ("crop_mode", json!(mode)),
        ("mean", each(&processor.image_mean)?),
        ("std", each(&processor.image_std)?),
    ])
}

/// The share for which timm's `floor(crop / share)` is the shorter edge after resizing.
fn crop_pct(crop: usize, resize: usize) -> f64 {
    let (crop, resize) = (crop as f64, resize.max(1) as f64);
    let mut share = crop / resize;
    while (crop / share).floor() < resize {
        share = share.next_down();
    }
    share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::published::timm_processor;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn timm_resizes_to_the_size_that_was_meant(crop in 1usize..5000, resize in 1usize..5000) {
            prop_assert_eq!((crop as f64 / crop_pct(crop, resize)).floor() as usize, resize);
        }
    }

    #[test]
    fn resizing_to_a_square_comes_back_from_timms_words() {
        let processor = ImageProcessorConfig {
            size: Some(SizeDict::square(128)),
            crop_size: Some(SizeDict::square(128)),
            do_center_crop: Some(false),
            resample: Some(Resample::Bilinear),
            ..ImageProcessorConfig::default()
        };
        let words: Value = timm_words(&processor, 3).into_iter().flatten().collect();
        assert_eq!(words["crop_mode"], "squash");
        assert_eq!(timm_processor(&words).as_ref(), Ok(&processor));
    }

    #[test]
    fn a_processor_that_timm_has_no_words_for_is_not_made_up() {
        let usual = ImageProcessorConfig::default();
        assert!(timm_words(&usual, 3).is_some());
        let others = [
            ImageProcessorConfig {
                size: Some(SizeDict::square(224)),
                ..usual.clone()
            },
            ImageProcessorConfig {
                crop_size: Some(SizeDict::HeightWidth { height: 2, width: 3 }),
                ..usual.clone()
            },
            ImageProcessorConfig {
                do_center_crop: Some(false),
                ..usual.clone()
            },
            ImageProcessorConfig {
                do_resize: None,
                ..usual.clone()
            },
            ImageProcessorConfig {
                rescale_factor: Some(1.0),
                ..usual.clone()
            },
            ImageProcessorConfig {
                resample: Some(Resample::Lanczos),
                ..usual
            },
        ];
        for other in others {
            assert_eq!(timm_words(&other, 3), None, "{other:?}");
        }
    }
}
