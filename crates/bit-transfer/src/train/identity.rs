//! What tells runs apart.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::TransferError;
use crate::train::options::Fingerprints;
use crate::train::recipe::Recipe;
use crate::train::trainer::Trainer;

/// What a run's weights follow from, but for the number of steps. It goes into the metadata of each checkpoint, so that
/// none is taken for that of another run.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    recipe: Recipe,
    classes: Vec<String>,
    /// The network's configuration. Weights of the same shapes can belong to networks that compute something else.
    network: Value,
    data: Fingerprints,
}

impl Identity {
    /// That of a trainer's run on data.
    pub fn of(trainer: &Trainer, data: Fingerprints) -> Self {
        let config = trainer.config();
        Self {
            recipe: trainer.recipe().clone(),
            classes: (0..config.num_labels())
                .map(|index| config.label(index))
                .collect(),
            network: serde_json::from_str(&config.to_json()).unwrap_or_default(),
            data,
        }
    }

    /// For a checkpoint.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        let entries = [
            ("recipe", json(&self.recipe)),
            ("classes", json(&self.classes)),
            ("network", json(&self.network)),
            ("data", json(&self.data)),
        ];
        entries.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Whether a checkpoint is one of this run, by its metadata.
    pub fn check(&self, path: &Path, metadata: &BTreeMap<String, String>) -> Result<(), TransferError> {
        let other = |what: String, expected: &str| Err(refuse(path, format!("a run {what}"), expected));
        let recipe: Recipe = field(path, metadata, "recipe")?;
        if let Some(difference) = recipe.difference(&self.recipe) {
            return other(format!("with {difference}"), SAME_RECIPE);
        }
        if field::<Vec<String>>(path, metadata, "classes")? != self.classes {
            return other("on other classes".to_owned(), SAME_RECIPE);
        }
        let network: Value = field(path, metadata, "network")?;
        if let Some(difference) = first_difference(&network, &self.network) {
            let expected = "resume with the model that the run was started with";
            return other(format!("of a network with {difference}"), expected);
        }
        let data: Fingerprints = field(path, metadata, "data")?;
        match data.difference(&self.data) {
            None => Ok(()),
            Some(difference) => other(
                format!("on {difference}"),
                "resume with the data that the run was started with, or start a run in another folder",
            ),
        }
    }
}

const SAME_RECIPE: &str = "resume with the arguments that the run was started with";

/// The first field in which two JSON objects differ, in words.
pub(crate) fn first_difference(found: &Value, wanted: &Value) -> Option<String> {
    let empty = Map::new();
    let [found, wanted] = [found, wanted].map(|value| value.as_object().unwrap_or(&empty));
    let mut keys = found.keys().chain(wanted.keys());
    let key = keys.find(|key| found.get(*key) != wanted.get(*key))?;
    let [found, wanted] = [found, wanted].map(|fields| fields.get(key).unwrap_or(&Value::Null));
    Some(format!("{key} {found} instead of {wanted}"))
}

pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("invariant: recipes, names and scores have text keys")
}

/// A field of a checkpoint's metadata.
pub(crate) fn field<T: DeserializeOwned>(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    key: &str,
) -> Result<T, TransferError> {
    let text = metadata.get(key).map_or("", String::as_str);
    serde_json::from_str(text).map_err(|error| {
        let found = format!("its {key} cannot be read: {error}");
        refuse(
            path,
            found,
            "a state that this version of bit-burn wrote would be right",
        )
    })
}

pub(crate) fn refuse(path: &Path, found: String, expected: &str) -> TransferError {
    TransferError::Run {
        path: path.to_path_buf(),
        found,
        expected: expected.to_owned(),
    }
}
