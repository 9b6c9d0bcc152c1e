//! `id2label` and `label2id`.

use serde_json::{Map, Value};

use crate::error::ConfigError;
use crate::fields::wrong;

/// Most labels of a model.
pub(crate) const MAX_LABELS: usize = 1 << 20;

/// The names of a classifier's outputs.
///
/// Names that are all `LABEL_0`, `LABEL_1`, … (what transformers calls labels without a name) are not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels(Names);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Numbered(usize),
    Named(Vec<String>),
}

impl Default for Labels {
    /// Two numbered labels, as in transformers' `PreTrainedConfig`.
    fn default() -> Self {
        Self::numbered(2)
    }
}

impl Labels {
    /// Labels without names of their own: `LABEL_0` … `LABEL_{len - 1}`.
    pub fn numbered(len: usize) -> Self {
        Self(Names::Numbered(len))
    }

    /// Labels with these names, in the order of the classifier's outputs.
    pub fn named<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let numbered = names
            .iter()
            .enumerate()
            .all(|(id, name)| *name == numbered_name(id));
        Self(if numbered {
            Names::Numbered(names.len())
        } else {
            Names::Named(names)
        })
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Names::Numbered(len) => *len,
            Names::Named(names) => names.len(),
        }
    }

    /// Whether there are none, which means that the model has no classifier.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of output `id`; `LABEL_{id}` for one without a name.
    pub fn name(&self, id: usize) -> String {
        match &self.0 {
            Names::Named(names) => names.get(id).cloned().unwrap_or_else(|| numbered_name(id)),
            Names::Numbered(_) => numbered_name(id),
        }
    }

    /// The output with this name. Where several share it (ImageNet has two `crane`s), the last one, as in
    /// transformers' `label2id`.
    pub fn id(&self, name: &str) -> Option<usize> {
        match &self.0 {
            Names::Numbered(len) => {
                let id = name.strip_prefix("LABEL_")?.parse().ok()?;
                (id < *len && numbered_name(id) == name).then_some(id)
            }
            Names::Named(names) => names.iter().rposition(|n| n == name),
        }
    }

    /// All names, in the order of the outputs.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        (0..self.len()).map(|id| self.name(id))
    }

    /// Reads the two maps. Ids are numbers or numbers written as strings.
    pub(crate) fn from_maps(id2label: &Value, label2id: Option<&Value>) -> Result<Self, ConfigError> {
        let map = object("id2label", id2label)?;
        if map.len() > MAX_LABELS {
            let message = format!(
                "id2label has {} entries; at most {MAX_LABELS} are supported",
                map.len()
            );
            return Err(ConfigError::Labels(message));
        }
        let mut names: Vec<Option<&str>> = vec![None; map.len()];
        for (key, value) in map {
            let name = value
                .as_str()
                .ok_or_else(|| wrong(&format!("id2label.{key}"), "a string", value))?;
            let slot = key
                .trim()
                .parse()
                .ok()
                .and_then(|id: usize| names.get_mut(id))
                .ok_or_else(|| {
                    let last = map.len() - 1;
                    ConfigError::Labels(format!(
                        "id2label has the key {key:?}; its keys must be 0 to {last}"
                    ))
                })?;
            if slot.replace(name).is_some() {
                return Err(ConfigError::Labels(format!(
                    "id2label has the key {} twice",
                    key.trim()
                )));
            }
        }
        let labels = Self::named(names.into_iter().flatten());
        match label2id {
            None | Some(Value::Null) => {}
            Some(map) => labels.agrees_with(object("label2id", map)?)?,
        }
        Ok(labels)
    }

    /// Checks that `label2id` says the same as these names.
    fn agrees_with(&self, label2id: &Map<String, Value>) -> Result<(), ConfigError> {
        for (name, value) in label2id {
            let field = || format!("label2id.{name}");
            let id = whole(value).ok_or_else(|| wrong(&field(), "a whole number", value))?;
            if id >= self.len() || self.name(id) != *name {
                let message = match id < self.len() {
                    true => format!(
                        "label2id maps {name:?} to {id}, but id2label calls {id} {:?}",
                        self.name(id)
                    ),
                    false => format!(
                        "label2id maps {name:?} to {id}, but id2label has {} entries",
                        self.len()
                    ),
                };
                return Err(ConfigError::Labels(message));
            }
        }
        match self
            .iter()
            .find(|name| !label2id.is_empty() && !label2id.contains_key(name))
        {
            Some(name) => Err(ConfigError::Labels(format!(
                "label2id lacks {name:?}, which id2label has"
            ))),
            None => Ok(()),
        }
    }

    /// `id2label` as transformers writes it: keys in the order of the numbers.
    pub(crate) fn id2label(&self) -> Map<String, Value> {
        self.iter()
            .enumerate()
            .map(|(id, name)| (id.to_string(), name.into()))
            .collect()
    }

    /// `label2id` as transformers writes it: sorted by name.
    pub(crate) fn label2id(&self) -> Map<String, Value> {
        let sorted: std::collections::BTreeMap<_, _> = self.iter().zip(0usize..).collect();
        sorted.into_iter().map(|(name, id)| (name, id.into())).collect()
    }
}

fn numbered_name(id: usize) -> String {
    format!("LABEL_{id}")
}

fn object<'a>(field: &str, value: &'a Value) -> Result<&'a Map<String, Value>, ConfigError> {
    value.as_object().ok_or_else(|| wrong(field, "an object", value))
}

/// A whole number, also when it is written as a string.
fn whole(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        other => usize::try_from(other.as_u64()?).ok(),
    }
}
