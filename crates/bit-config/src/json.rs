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

/// Labels from `id2label`, `label2id` and `num_labels`, as transformers weighs them: a `num_labels` that
/// differs from the map's length wins and drops the names.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(rest: &str) -> BitConfig {
        BitConfig::from_json(&format!(r#"{{"model_type": "bit"{rest}}}"#)).unwrap()
    }

    fn fault(rest: &str) -> String {
        BitConfig::from_json(&format!(r#"{{"model_type": "bit"{rest}}}"#))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_bare_file_is_the_default() {
        assert_eq!(read(""), BitConfig::default());
        assert_eq!(
            read(r#", "num_groups": null, "id2label": null, "out_indices": null"#),
            BitConfig::default()
        );
    }

    #[test]
    fn another_model_is_named() {
        let fault = |text| BitConfig::from_json(text).unwrap_err().to_string();
        let rest = ": this is not a BiT configuration";
        assert_eq!(
            fault(r#"{"model_type": "vit"}"#),
            format!(r#"model_type must be "bit", found "vit"{rest}"#)
        );
        assert_eq!(
            fault("{}"),
            format!(r#"model_type must be "bit", found none{rest}"#)
        );
    }

    #[test]
    fn label_ids_may_be_strings_or_numbers() {
        let config = read(r#", "id2label": {"1": "dog", "0": "cat"}, "label2id": {"cat": "0", "dog": 1}"#);
        assert_eq!(
            (config.num_labels(), config.label(0), config.label(1)),
            (2, "cat".into(), "dog".into())
        );
        assert_eq!(
            (config.labels.id("dog"), config.labels.id("cow")),
            (Some(1), None)
        );
    }

    #[test]
    fn a_repeated_name_belongs_to_its_last_id() {
        let config = read(r#", "id2label": {"0": "crane", "1": "crane"}, "label2id": {"crane": 1}"#);
        assert_eq!(config.labels.id("crane"), Some(1));
        assert!(config.to_json().contains("\"crane\": 1"));
    }

    #[test]
    fn num_labels_without_names_numbers_them() {
        assert_eq!(read(r#", "num_labels": 5"#).label(4), "LABEL_4");
        assert_eq!(read(r#", "num_labels": 0"#).num_labels(), 0);
        assert_eq!(
            read(r#", "num_labels": 3, "id2label": {"0": "a"}"#).labels,
            Labels::numbered(3)
        );
    }

    #[test]
    fn changing_the_number_of_labels_drops_their_names() {
        let config = BitConfig::default().with_labels(["cat", "dog"]);
        assert_eq!(config.clone().with_num_labels(2), config);
        assert_eq!(config.with_num_labels(3).label(1), "LABEL_1");
    }

    #[test]
    fn label_maps_that_do_not_match_are_refused() {
        let cases = [
            (
                r#""id2label": {"0": "a", "2": "b"}"#,
                "id2label has the key \"2\"; its keys must be 0 to 1",
            ),
            (
                r#""id2label": {"0": "a", "x": "b"}"#,
                "id2label has the key \"x\"; its keys must be 0 to 1",
            ),
            (
                r#""id2label": {"0": "a", " 0": "b"}"#,
                "id2label has the key 0 twice",
            ),
            (
                r#""id2label": {"0": 7}"#,
                "`id2label.0` must be a string, found 7",
            ),
            (
                r#""id2label": ["a"]"#,
                "`id2label` must be an object, found [\"a\"]",
            ),
            (
                r#""id2label": {"0": "a"}, "label2id": {"b": 0}"#,
                "label2id maps \"b\" to 0, but id2label calls 0 \"a\"",
            ),
            (
                r#""id2label": {"0": "a"}, "label2id": {"a": 1}"#,
                "label2id maps \"a\" to 1, but id2label has 1 entries",
            ),
            (
                r#""id2label": {"0": "a", "1": "b"}, "label2id": {"a": 0}"#,
                "label2id lacks \"b\", which id2label has",
            ),
            (
                r#""num_labels": 99999999999"#,
                "num_labels is 99999999999; at most 1048576 labels are supported",
            ),
        ];
        for (rest, message) in cases {
            assert_eq!(fault(&format!(", {rest}")), message);
        }
    }

    #[test]
    fn older_and_newer_names_of_the_dtype_are_read() {
        assert_eq!(
            read(r#", "torch_dtype": "float16""#).dtype.as_deref(),
            Some("float16")
        );
        let both = read(r#", "torch_dtype": "float16", "dtype": "bfloat16""#);
        assert_eq!(both.dtype.as_deref(), Some("bfloat16"));
        assert!(!both.to_json().contains("torch_dtype"));
    }

    #[test]
    fn lower_case_padding_is_accepted() {
        assert_eq!(
            read(r#", "global_padding": "same""#).global_padding,
            Some(crate::GlobalPadding::Same)
        );
    }

    #[test]
    fn unknown_keys_are_written_back() {
        let config = read(r#", "architectures": ["BitModel"], "mine": {"b": 1, "a": [null]}"#);
        assert_eq!(config.extra.len(), 2);
        assert_eq!(BitConfig::from_json(&config.to_json()).unwrap(), config);
    }

    #[test]
    fn wrong_types_name_the_field_and_the_value() {
        let cases = [
            (
                r#""depths": [3, -4]"#,
                "`depths` must be a list of whole numbers, 0 or more, found [3,-4]",
            ),
            (
                r#""num_groups": 32.5"#,
                "`num_groups` must be a whole number, 0 or more, found 32.5",
            ),
            (
                r#""embedding_dynamic_padding": "yes""#,
                "`embedding_dynamic_padding` must be true or false, found \"yes\"",
            ),
            (
                r#""problem_type": "other""#,
                "`problem_type` must be regression, single_label_classification or multi_label_classification, found other",
            ),
        ];
        for (rest, message) in cases {
            assert_eq!(fault(&format!(", {rest}")), message);
        }
        assert!(fault(r#", "num_groups": NaN"#).starts_with("not valid JSON: expected value at line 1"));
    }

    #[test]
    fn the_file_is_named_in_its_faults() {
        let path = std::path::Path::new("no/such/config.json");
        let message = BitConfig::from_file(path).unwrap_err().to_string();
        assert!(message.starts_with("no/such/config.json: "), "{message}");
    }
}
