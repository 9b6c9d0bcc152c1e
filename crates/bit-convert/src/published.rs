//! What is known of a checkpoint besides its tensors: the files beside it, and the published model it may be.

use crate::architecture::{EMBEDDED_CONFIG, EMBEDDED_PROCESSOR};
use crate::dialect::BitTensors;
use crate::error::{ConvertError, Result};
use bit_config::zoo::{ZOO, ZooModel};
use bit_config::{ConfigError, ImageProcessorConfig, PerChannel, Resample, SizeDict};
use serde_json::Value;
use std::path::PathBuf;

impl BitTensors<'_> {
    /// The published models with this architecture and number of classes. When the file's or folder's name or timm's
    /// `config.json` tells which of them it is, only that one.
    ///
    /// # Errors
    ///
    /// When a `config.json` is there but cannot be read.
    pub fn zoo_models(&self) -> Result<Vec<&'static ZooModel>> {
        let fits = |model: &&ZooModel| self.check(&model.architecture.config(model.classes)).is_ok();
        let fitting: Vec<_> = ZOO
            .iter()
            .filter(|m| m.architecture.depths.len() == 4)
            .filter(fits)
            .collect();
        let mut names = self.file_names();
        names.extend(self.timm_name()?);
        let named = fitting.iter().find(|model| {
            names
                .iter()
                .any(|name| bit_config::zoo::find(name).is_some_and(|found| found.name == model.name))
        });
        Ok(named.map_or(fitting.clone(), |model| vec![*model]))
    }

    /// The image processor: `preprocessor_config.json` beside the weights or inside the file, timm's
    /// `pretrained_cfg`, or that of the published model with these shapes.
    ///
    /// # Errors
    ///
    /// When none of these is there, or several published models fit and differ in their processor: the message lists
    /// them, and a `preprocessor_config.json` beside the weights decides.
    pub fn processor(&self) -> Result<ImageProcessorConfig> {
        if let Some(text) = self.beside(EMBEDDED_PROCESSOR)? {
            return ImageProcessorConfig::from_json(&text).map_err(in_file(self, EMBEDDED_PROCESSOR));
        }
        if let Some(config) = self.timm_config()? {
            return timm_processor(&config["pretrained_cfg"])
                .map_err(|reason| self.not_bit(format!("the `pretrained_cfg` of its config.json {reason}")));
        }
        let models = self.zoo_models()?;
        let Some(first) = models.first() else {
            return Err(self.not_bit(
                "no published model has this shape, so its image processor is unknown; put a \
                 preprocessor_config.json beside the weights"
                    .into(),
            ));
        };
        if models.iter().any(|model| model.processor() != first.processor()) {
            let names: Vec<_> = models.iter().map(|model| model.name).collect();
            return Err(self.not_bit(format!(
                "published models of this shape differ in their image processor ({}); put a \
                 preprocessor_config.json beside the weights",
                names.join(", ")
            )));
        }
        Ok(first.processor())
    }

    /// A configuration beside the file, or else one kept in its metadata.
    pub(crate) fn beside(&self, name: &str) -> Result<Option<String>> {
        match self.checkpoint().sibling(name)? {
            Some(text) => Ok(Some(text)),
            None => Ok(self.checkpoint().metadata().get(name).cloned()),
        }
    }

    /// timm's `config.json`, if that is what lies beside the weights.
    fn timm_config(&self) -> Result<Option<Value>> {
        let Some(text) = self.beside(EMBEDDED_CONFIG)? else {
            return Ok(None);
        };
        let json: Value = parse(self, EMBEDDED_CONFIG, &text)?;
        Ok(json["pretrained_cfg"].is_object().then_some(json))
    }

    /// `architecture.tag` of timm's `config.json`.
    fn timm_name(&self) -> Result<Option<String>> {
        let Some(config) = self.timm_config()? else {
            return Ok(None);
        };
        let name = config["architecture"]
            .as_str()
            .zip(config["pretrained_cfg"]["tag"].as_str());
        Ok(name.map(|(architecture, tag)| format!("{architecture}.{tag}")))
    }

    /// Names under which a person may keep a published model: its file's and its folder's.
    fn file_names(&self) -> Vec<String> {
        let path = self.checkpoint().path();
        let parts = [path.file_name(), path.file_stem()];
        parts
            .into_iter()
            .flatten()
            .filter_map(|name| name.to_str())
            .map(str::to_owned)
            .collect()
    }
}

pub(crate) fn parse(tensors: &BitTensors<'_>, name: &str, text: &str) -> Result<Value> {
    let path = place(tensors, name);
    serde_json::from_str(text).map_err(|e| ConvertError::malformed(&path, "JSON", e.to_string()))
}

/// Says which file a configuration's fault is in.
pub(crate) fn in_file(tensors: &BitTensors<'_>, name: &str) -> impl FnOnce(ConfigError) -> ConvertError {
    let path = place(tensors, name);
    |source| {
        let source = Box::new(source);
        ConvertError::Config(ConfigError::InFile { path, source })
    }
}

/// Where [`BitTensors::beside`] finds a configuration: beside the file, or in it as if that were a folder.
fn place(tensors: &BitTensors<'_>, name: &str) -> PathBuf {
    let checkpoint = tensors.checkpoint();
    let sibling = checkpoint.folder().join(name);
    match sibling.is_file() {
        true => sibling,
        false => checkpoint.path().join(name),
    }
}

/// timm resizes the shorter edge to `floor(input / crop_pct)` and crops the center; to "squash" is to resize both edges.
/// An error is what `pretrained_cfg` does.
pub(crate) fn timm_processor(pretrained: &Value) -> std::result::Result<ImageProcessorConfig, String> {
    let unsaid = |key: &str| format!("does not say `{key}`");
    let sizes = pretrained["input_size"].as_array();
    let input = sizes.and_then(|sizes| sizes.last()?.as_u64());
    let input = input.ok_or_else(|| unsaid("input_size"))? as usize;
    let crop_pct = pretrained["crop_pct"].as_f64().filter(|pct| *pct > 0.0);
    let crop_pct = crop_pct.ok_or_else(|| unsaid("crop_pct"))?;
    let resized = (input as f64 / crop_pct) as usize;
    let size = match pretrained["crop_mode"].as_str().unwrap_or("center") {
        "center" => SizeDict::ShortestEdge(resized),
        "squash" => SizeDict::square(resized),
        other => return Err(unknown("crop_mode", other, "center or squash")),
    };
    Ok(ImageProcessorConfig {
        size: Some(size),
        do_center_crop: Some(size != SizeDict::square(input)),
        crop_size: Some(SizeDict::square(input)),
        resample: Some(timm_resample(pretrained)?),
        image_mean: timm_values(&pretrained["mean"]),
        image_std: timm_values(&pretrained["std"]),
        ..ImageProcessorConfig::default()
    })
}

fn timm_resample(pretrained: &Value) -> std::result::Result<Resample, String> {
    match pretrained["interpolation"].as_str() {
        Some("bicubic") => Ok(Resample::Bicubic),
        Some("bilinear") => Ok(Resample::Bilinear),
        Some("nearest") => Ok(Resample::Nearest),
        Some(other) => Err(unknown("interpolation", other, "bicubic, bilinear or nearest")),
        None => Err("does not say `interpolation`".to_owned()),
    }
}

fn timm_values(list: &Value) -> Option<PerChannel> {
    let values = list.as_array()?.iter().map(Value::as_f64);
    values.collect::<Option<_>>().map(PerChannel::Each)
}

fn unknown(key: &str, found: &str, expected: &str) -> String {
    format!("says `{key}` is `{found}`, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_timm_says_otherwise_or_not_at_all_is_named() {
        let usual = json!({"input_size": [3, 224, 224], "crop_pct": 0.9, "interpolation": "bicubic"});
        assert!(timm_processor(&usual).is_ok());
        for (key, value, expected) in [
            (
                "interpolation",
                json!("lanczos"),
                "`interpolation` is `lanczos`, expected bicubic, bilinear or nearest",
            ),
            ("interpolation", json!(null), "does not say `interpolation`"),
            (
                "crop_mode",
                json!("border"),
                "`crop_mode` is `border`, expected center or squash",
            ),
            ("crop_pct", json!(0), "does not say `crop_pct`"),
            ("input_size", json!([]), "does not say `input_size`"),
        ] {
            let mut other = usual.clone();
            other[key] = value;
            let message = timm_processor(&other).err().unwrap_or_default();
            assert!(message.contains(expected), "{message}");
        }
    }
}
