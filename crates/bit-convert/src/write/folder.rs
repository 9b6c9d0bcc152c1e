//! What stands beside the weights in a folder: transformers' and timm's JSON files.

use crate::error::{ConvertError, Result};
use bit_config::zoo::{ARCHITECTURES, Architecture};
use bit_config::{BitConfig, ImageProcessorConfig, PerChannel, Resample, SizeDict};
use serde_json::{Value, json};
use std::path::Path;

/// Files by their names in the folder.
pub(crate) type Texts = Vec<(&'static str, String)>;

/// `config.json` and, when it is known, `preprocessor_config.json`, as transformers reads them.
pub(crate) fn transformers_configs(config: &BitConfig, processor: Option<&ImageProcessorConfig>) -> Texts {
    let processor = processor.map(|processor| ("preprocessor_config.json", processor.to_json()));
    std::iter::once(("config.json", config.to_json()))
        .chain(processor)
        .collect()
}

/// timm's `config.json`, from which `timm.create_model("local-dir:…")` makes the model.
///
/// # Errors
///
/// timm knows BiT's six architectures by name and takes no others from a file.
pub(crate) fn timm_config(
    folder: &Path,
    config: &BitConfig,
    processor: Option<&ImageProcessorConfig>,
) -> Result<Texts> {
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
        "input_size": [config.num_channels, 224, 224],
        "fixed_input_size": false,
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "num_classes": config.num_labels(),
        "pool_size": [7, 7],
        "first_conv": "stem.conv",
        "classifier": "head.fc",
    });
    if let Some(processor) = processor {
        add_processor(&mut pretrained, processor, config.num_channels);
    }
    let json = json!({
        "architecture": format!("resnetv2_{}_bit", architecture.name.trim_start_matches('R')),
        "num_classes": config.num_labels(),
        "num_features": config.out_channels(),
        "pretrained_cfg": pretrained,
    });
    Ok(vec![("config.json", format!("{json:#}\n"))])
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

/// Says in timm's words what the processor does, as far as timm has words for it.
fn add_processor(pretrained: &mut Value, processor: &ImageProcessorConfig, channels: usize) {
    let side = |size: &Option<SizeDict>| {
        size.as_ref()
            .and_then(|size| size.entries().first().map(|(_, n)| *n))
    };
    if let Some(crop) = side(&processor.crop_size) {
        pretrained["input_size"] = json!([channels, crop, crop]);
        if let Some(resize) = side(&processor.size) {
            pretrained["crop_pct"] = json!(crop as f64 / resize.max(1) as f64);
        }
    }
    let names = [
        (Resample::Bicubic, "bicubic"),
        (Resample::Bilinear, "bilinear"),
        (Resample::Nearest, "nearest"),
    ];
    if let Some((_, name)) = names
        .iter()
        .find(|(resample, _)| processor.resample == Some(*resample))
    {
        pretrained["interpolation"] = json!(name);
    }
    for (key, values) in [("mean", &processor.image_mean), ("std", &processor.image_std)] {
        match values {
            Some(PerChannel::Each(values)) => pretrained[key] = json!(values),
            Some(PerChannel::All(value)) => pretrained[key] = json!(vec![value; channels]),
            None => {}
        }
    }
}
