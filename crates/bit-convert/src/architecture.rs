//! What network a checkpoint holds: from the configuration beside it, or from its tensors alone.

use crate::dialect::BitTensors;
use crate::error::{ConvertError, Result};
use crate::names::{Dialect, Part, Slot};
use crate::published::{in_file, parse};
use bit_config::{BitConfig, GlobalPadding, LayerType};
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
                return BitConfig::from_json(&bit.to_string()).map_err(in_file(self, EMBEDDED_CONFIG));
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
        match depths.is_empty() {
            true => Err(self.not_bit(format!(
                "it has the first convolution and no blocks, such as one with `{}`",
                self.named("bit.encoder.stages.0.layers.0.conv1.weight")
            ))),
            false => Ok(depths),
        }
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

    pub(crate) fn not_bit(&self, reason: String) -> ConvertError {
        ConvertError::NotBit {
            path: self.checkpoint().path().to_path_buf(),
            reason,
        }
    }
}

fn is_bit(json: &Value) -> bool {
    json["model_type"] == "bit"
        || json["architectures"].as_array().is_some_and(|list| {
            list.iter()
                .any(|name| name.as_str().is_some_and(|name| name.starts_with("Bit")))
        })
}
