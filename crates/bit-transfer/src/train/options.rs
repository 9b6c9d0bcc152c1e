//! What a run works on, where it goes and how it gets there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::data::{DataSet, Fingerprint};

/// The parts of the data.
#[derive(Clone, Debug)]
pub struct RunData {
    /// To learn from.
    pub train: Arc<DataSet>,
    /// To choose the best checkpoint by; without it the last one is the result.
    pub validation: Option<Arc<DataSet>>,
    /// To measure the result with.
    pub test: Option<Arc<DataSet>>,
}

impl RunData {
    /// What tells apart the data that a run's weights and its choice among them depend on.
    pub(crate) fn fingerprints(&self) -> Fingerprints {
        Fingerprints {
            training: Fingerprint::of(&self.train),
            validation: self.validation.as_deref().map(Fingerprint::of),
        }
    }
}

/// Fingerprints of the parts of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fingerprints {
    training: Fingerprint,
    validation: Option<Fingerprint>,
}

impl Fingerprints {
    /// How other data differs, in words.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let parts = [
            ("training", Some(&self.training), Some(&other.training)),
            ("validation", self.validation.as_ref(), other.validation.as_ref()),
        ];
        let (part, ours, others) = parts.into_iter().find(|(_, ours, others)| ours != others)?;
        let [ours, others] = [ours, others].map(|part| part.map_or(0, |part| part.images));
        Some(match ours == others {
            true => format!("{ours} {part} images of other names, sizes, labels or order"),
            false => format!("{ours} {part} images instead of {others}"),
        })
    }
}

/// Where a run goes and how it gets there. None of it changes the weights of a step; how often is evaluated decides which
/// of them can be the best.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The folder of the result and of the checkpoints.
    pub output: PathBuf,
    /// Whether to continue the run in that folder, if there is one.
    pub resume: bool,
    /// Steps between two evaluations; a tenth of all steps when absent.
    pub evaluate_every: Option<usize>,
    /// Steps between two checkpoints; those of the evaluations when absent.
    pub save_every: Option<usize>,
    /// Whether a picture that cannot be used is an error; otherwise it is skipped.
    pub strict: bool,
    /// Threads that decode pictures; all of the machine's when 0.
    pub threads: usize,
    /// Most bytes of decoded pictures to keep.
    pub cache: u64,
    /// What the model card calls the pretrained model.
    pub model_name: String,
    /// The Hub's repository that the pretrained model comes from, for the card's metadata.
    pub base_model: Option<String>,
    /// What the model card calls the data.
    pub data_name: String,
}

impl RunOptions {
    /// A new run with its result in this folder.
    pub fn new(output: &Path) -> Self {
        Self {
            output: output.to_path_buf(),
            resume: false,
            evaluate_every: None,
            save_every: None,
            strict: false,
            threads: 0,
            cache: 1 << 30,
            model_name: "a BiT network".to_owned(),
            base_model: None,
            data_name: "labelled images".to_owned(),
        }
    }
}
