//! `BitConfig` from and to `config.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::backbone::BackboneOutputs;
use crate::config::BitConfig;
use crate::error::ConfigError;
use crate::fields::Fields;
use crate::label_map::{Labels, MAX_LABELS};

impl BitConfig {
    /// Reads and validates the text of a `config.json`, as transformers writes it in any version.
    ///
    /// # Errors
    /// [`ConfigError`] that names the field.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut fields = Fields::parse(text)?;
        check_model_type(fields.take_value("model_type"))?;
        // Derived from `depths`; transformers writes it all the same.
        fields.take_value("stage_names");
        let (features, indices) = (fields.take("out_features")?, fields.take("out_indices")?);
        let (dtype, torch_dtype) = (fields.take("dtype")?, fields.take("torch_dtype")?);
        let default = Self::default();
        let mut config = Self {
            num_channels: fields.take_or("num_channels", default.num_channels)?,
            embedding_size: fields.take_or("embedding_size", default.embedding_size)?,
            hidden_sizes: fields.take_or("hidden_sizes", default.hidden_sizes)?,
            depths: fields.take_or("depths", default.depths)?,
            layer_type: parsed(&mut fields, "layer_type")?.unwrap_or(default.layer_type),
            hidden_act: parsed(&mut fields, "hidden_act")?.unwrap_or(default.hidden_act),
            global_padding: match fields.take::<String>("global_padding")? {
                Some(name) => Some(name.to_uppercase().parse()?),
                None => None,
            },
            num_groups: fields.take_or("num_groups", default.num_groups)?,
            drop_path_rate: fields.take_or("drop_path_rate", default.drop_path_rate)?,
            embedding_dynamic_padding: fields
                .take_or("embedding_dynamic_padding", default.embedding_dynamic_padding)?,
            output_stride: fields.take_or("output_stride", default.output_stride)?,
            width_factor: fields.take_or("width_factor", default.width_factor)?,
            labels: labels(&mut fields)?,
            problem_type: parsed(&mut fields, "problem_type")?,
            backbone: BackboneOutputs::default(),
            dtype: dtype.or(torch_dtype),
            extra: fields.rest(),
        };
        // Bounded first: the names below are made from `depths`.
        config.validate()?;
        config.backbone = BackboneOutputs::new(&config.stage_names(), features, indices)?;
        Ok(config)
    }

    /// The text of a `config.json` that transformers reads; keys are sorted as there.
    pub fn to_json(&self) -> String {
        let known = json!({
            "model_type": "bit",
            "num_channels": self.num_channels,
            "embedding_size": self.embedding_size,
            "hidden_sizes": self.hidden_sizes,
            "depths": self.depths,
            "layer_type": self.layer_type.name(),
            "hidden_act": self.hidden_act.name(),
            "global_padding": self.global_padding.map(|p| p.name()),
            "num_groups": self.num_groups,
            "drop_path_rate": self.drop_path_rate,
            "embedding_dynamic_padding": self.embedding_dynamic_padding,
            "output_stride": self.output_stride,
            "width_factor": self.width_factor,
            "stage_names": self.stage_names(),
            "out_features": self.out_features(),
            "out_indices": self.out_indices(),
            "id2label": self.labels.id2label(),
            "label2id": self.labels.label2id(),
        });
        let optional = [
            ("problem_type", self.problem_type.map(|p| p.name().into())),
            ("dtype", self.dtype.clone()),
        ];
        let optional = optional
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.into())));
        sorted_json(
            self.extra
                .clone()
                .into_iter()
                .chain(into_map(known))
                .chain(optional),
        )
    }
}

/// Writes an object with sorted keys, two spaces a level and a final newline, as transformers does.
pub(crate) fn sorted_json(entries: impl IntoIterator<Item = (String, Value)>) -> String {
    let sorted: BTreeMap<String, Value> = entries.into_iter().collect();
    let mut text = serde_json::to_string_pretty(&sorted).expect("invariant: JSON values are always writable");
    text.push('\n');
    text
}

/// The entries of an object made by `json!`.
pub(crate) fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn check_model_type(found: Option<Value>) -> Result<(), ConfigError> {
    match found {
        Some(Value::String(name)) if name == "bit" => Ok(()),
        None => Err(ConfigError::ModelType { found: "none".into() }),
        Some(other) => Err(ConfigError::ModelType {
            found: other.to_string(),
        }),
    }
}

fn parsed<T: std::str::FromStr<Err = ConfigError>>(
    fields: &mut Fields,
    field: &str,
) -> Result<Option<T>, ConfigError> {
    fields.take::<String>(field)?.map(|name| name.parse()).transpose()
}

/// Labels from `id2label`, `label2id` and `num_labels`, as transformers weighs them: a `num_labels` that differs
/// from the map's length wins and drops the names.
fn labels(fields: &mut Fields) -> Result<Labels, ConfigError> {
    let (id2label, label2id) = (fields.take_value("id2label"), fields.take_value("label2id"));
    let num_labels: Option<usize> = fields.take("num_labels")?;
    if let Some(found) = num_labels.filter(|n| *n > MAX_LABELS) {
        let message = format!("num_labels is {found}; at most {MAX_LABELS} labels are supported");
        return Err(ConfigError::Labels(message));
    }
    let named = match id2label.filter(|map| !map.is_null()) {
        Some(map) => Some(Labels::from_maps(&map, label2id.as_ref())?),
        None => None,
    };
    Ok(match (named, num_labels) {
        (Some(labels), None) => labels,
        (Some(labels), Some(n)) if n == labels.len() => labels,
        (_, Some(n)) => Labels::numbered(n),
        (None, None) => Labels::default(),
    })
}
