//! What network a checkpoint holds: from the configuration beside it, or from its tensors alone.

use crate::dialect::BitTensors;
use crate::error::{ConvertError, Result};
use crate::names::{Dialect, Part, Slot};
use bit_config::zoo::{ZOO, ZooModel};
use bit_config::{BitConfig, GlobalPadding, ImageProcessorConfig, LayerType};
use bit_config::{PerChannel, Resample, SizeDict};
use serde_json::Value;

/// Groups of every GroupNorm of every public BiT model. Shapes do not show the number.
const PUBLIC_GROUPS: usize = 32;

/// Key under which [`write_burnpack`](crate::write_burnpack)'s callers may keep a configuration inside the file.
pub(crate) const EMBEDDED_CONFIG: &str = "config.json";
/// The same for the image processor's.
pub(crate) const EMBEDDED_PROCESSOR: &str = "preprocessor_config.json";

impl BitTensors<'_> {
    /// The network's configuration: `config.json` beside the weights (of a BiT model, or the `backbone_config` of a
    /// larger one), one kept inside the file, or else what the shapes show, with the names of the labels when a
    /// published model has these shapes.
    ///
    /// # Errors
    ///
    /// When a configuration is there but invalid, or the tensors are not those of a whole network that
    /// [`inferred_config`](Self::inferred_config) understands.
    pub fn config(&self) -> Result<BitConfig> {
        if let Some(text) = self.beside(EMBEDDED_CONFIG)? {
            let json: Value = parse(self, EMBEDDED_CONFIG, &text)?;
            if let Some(bit) = [&json, &json["backbone_config"]]
                .into_iter()
                .find(|json| is_bit(json))
            {
                return Ok(BitConfig::from_json(&bit.to_string())?);
            }
        }
        let inferred = self.inferred_config()?;
        match self.zoo_models()?.first() {
            Some(model) if inferred.num_labels() == model.classes => Ok(model.config()),
            _ => Ok(inferred),
        }
    }

    /// The configuration that the tensors' names and shapes show.
    ///
    /// What they cannot show is what all public models have: 32 groups, ReLU, and for the bottleneck variant
    /// (that of ViT-hybrid, DPT and MiDaS) SAME padding throughout. Labels are numbered.
    ///
    /// # Errors
    ///
    /// When a tensor is missing, superfluous or of another shape than the rest implies, or when the channels are not
    /// multiples of 32.
    pub fn inferred_config(&self) -> Result<BitConfig> {
        let stem = self.shape("bit.embedder.convolution.weight")?;
        let bottleneck = self.info("bit.embedder.norm.weight").is_some();
        let depths = self.depths()?;
        let mut hidden_sizes = Vec::with_capacity(depths.len());
        for stage in 0..depths.len() {
            hidden_sizes.push(self.shape(&format!("bit.encoder.stages.{stage}.layers.0.conv3.weight"))?[0]);
        }
        let classes = self.info("classifier.1.weight").map_or(0, |info| info.shape[0]);
        let config = BitConfig {
            num_channels: stem[1],
            embedding_size: stem[0],
            hidden_sizes,
            depths,
            layer_type: if bottleneck {
                LayerType::Bottleneck
            } else {
                LayerType::Preactivation
            },
            global_padding: bottleneck.then_some(GlobalPadding::Same),
            embedding_dynamic_padding: bottleneck,
            num_groups: PUBLIC_GROUPS,
            ..BitConfig::default()
        }
        .with_num_labels(classes);
        let widths =
            std::iter::once(config.embedding_size).chain(config.stages().into_iter().map(|s| s.mid_channels));
        let mut widths = widths.skip(usize::from(!bottleneck));
        if let Some(odd) = widths.find(|width| !width.is_multiple_of(PUBLIC_GROUPS)) {
            return Err(self.not_bit(format!(
                "its {odd} channels are not in {PUBLIC_GROUPS} groups as in every public model, and shapes do not show \
                 the number of groups; a config.json beside the weights would"
            )));
        }
        config.validate()?;
        self.check(&config)?;
        Ok(config)
    }

    /// Checks that the tensors are exactly the parameters of a network of this configuration, except that the
    /// classifier may be absent.
    ///
    /// # Errors
    ///
    /// Names the first tensor that is missing, superfluous or of another shape.
    pub fn check(&self, config: &BitConfig) -> Result<()> {
        let parameters = config.parameters();
        for parameter in &parameters {
            match self.info(&parameter.name) {
                Some(info) if info.shape == parameter.shape => {}
                Some(info) => {
                    return Err(self.not_bit(format!(
                        "`{}` has shape {:?}, but the configuration expects {:?}",
                        self.stored_name(&parameter.name).unwrap_or(&parameter.name),
                        info.shape,
                        parameter.shape
                    )));
                }
                None if parameter.name.starts_with("classifier.")
                    && self.info("classifier.1.weight").is_none() => {}
                None => return Err(self.not_bit(format!("`{}` is missing", self.named(&parameter.name)))),
            }
        }
        let known: std::collections::HashSet<_> = parameters.iter().map(|p| p.name.as_str()).collect();
        match self
            .tensors()
            .iter()
            .find(|info| !known.contains(info.name.as_str()))
        {
            Some(extra) => {
                let name = self.stored_name(&extra.name).unwrap_or(&extra.name);
                Err(self.not_bit(format!("`{name}` belongs to no layer of the configuration")))
            }
            None => Ok(()),
        }
    }

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
            return Ok(ImageProcessorConfig::from_json(&text)?);
        }
        if let Some(config) = self.timm_config()? {
            return timm_processor(&config["pretrained_cfg"]).ok_or_else(|| {
                self.not_bit(
                    "the `pretrained_cfg` of its config.json does not say `input_size` and `crop_pct`".into(),
                )
            });
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

    /// Stages are counted from 0 without gaps, and so are the blocks of each.
    fn depths(&self) -> Result<Vec<usize>> {
        let mut depths: Vec<usize> = Vec::new();
        for info in self.tensors() {
            let name = info.name.trim_start_matches("bit.");
            let Some(slot) = Slot::parse(Dialect::Transformers, name).filter(|slot| slot.part == Part::Block)
            else {
                continue;
            };
            // Tensors come in the order of stages and blocks.
            if slot.stage == depths.len() && slot.block == 0 {
                depths.push(1);
            } else if slot.stage + 1 == depths.len() && slot.block <= depths[slot.stage] {
                depths[slot.stage] = depths[slot.stage].max(slot.block + 1);
            } else {
                return Err(self.not_bit(format!(
                    "`{}` is there, but not all blocks before it",
                    self.stored_name(&info.name).unwrap_or(name)
                )));
            }
        }
        Ok(depths)
    }

    fn shape(&self, name: &str) -> Result<&[usize]> {
        match self.info(name) {
            Some(info) => Ok(&info.shape),
            None => Err(self.not_bit(format!("`{}` is missing", self.named(name)))),
        }
    }

    /// What the file would call a parameter.
    fn named(&self, transformers: &str) -> String {
        let slot = Slot::parse(Dialect::Transformers, transformers.trim_start_matches("bit."));
        match slot.and_then(|slot| slot.name(self.dialect())) {
            Some(name) if self.dialect() != Dialect::Transformers => format!("{}{name}", self.prefix()),
            _ => transformers.to_owned(),
        }
    }

    fn not_bit(&self, reason: String) -> ConvertError {
        ConvertError::NotBit {
            path: self.checkpoint().path().to_path_buf(),
            reason,
        }
    }

    /// A configuration kept in the file's metadata or beside the file.
    fn beside(&self, name: &str) -> Result<Option<String>> {
        match self.checkpoint().metadata().get(name) {
            Some(text) => Ok(Some(text.clone())),
            None => self.checkpoint().sibling(name),
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

fn is_bit(json: &Value) -> bool {
    json["model_type"] == "bit"
        || json["architectures"].as_array().is_some_and(|list| {
            list.iter()
                .any(|name| name.as_str().is_some_and(|name| name.starts_with("Bit")))
        })
}

fn parse(tensors: &BitTensors<'_>, name: &str, text: &str) -> Result<Value> {
    let path = tensors.checkpoint().folder().join(name);
    serde_json::from_str(text).map_err(|e| ConvertError::malformed(&path, "JSON", e.to_string()))
}

/// timm resizes the shorter edge to `floor(input / crop_pct)` and crops the center.
fn timm_processor(pretrained: &Value) -> Option<ImageProcessorConfig> {
    let input = pretrained["input_size"].as_array()?.last()?.as_u64()? as usize;
    let crop_pct = pretrained["crop_pct"].as_f64().filter(|pct| *pct > 0.0)?;
    let values = |key: &str| -> Option<PerChannel> {
        let list = pretrained[key].as_array()?;
        list.iter()
            .map(Value::as_f64)
            .collect::<Option<_>>()
            .map(PerChannel::Each)
    };
    let resample = match pretrained["interpolation"].as_str()? {
        "bicubic" => Resample::Bicubic,
        "bilinear" => Resample::Bilinear,
        "nearest" => Resample::Nearest,
        _ => return None,
    };
    Some(ImageProcessorConfig {
        size: Some(SizeDict::ShortestEdge((input as f64 / crop_pct) as usize)),
        crop_size: Some(SizeDict::square(input)),
        resample: Some(resample),
        image_mean: values("mean"),
        image_std: values("std"),
        ..ImageProcessorConfig::default()
    })
}
