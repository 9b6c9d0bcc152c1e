//! Which of a repository's files make a model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bit_convert::{WEIGHT_FILES, weight_files};

/// More is no configuration.
pub(super) const MAX_CONFIG: u64 = 64 << 20;

/// Files that are wanted beside the weights.
pub(super) const CONFIGURATIONS: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Whether a snapshot holds all that a model needs: the weights with all their shards, and every configuration that
/// the repository has. Python marks in `absent` what the repository was asked for and does not have; programs that
/// want only a part of the model leave the rest out.
pub(super) fn is_complete(snapshot: &Path, absent: &Path) -> bool {
    let is_known = |name: &str| snapshot.join(name).is_file() || absent.join(name).exists();
    let [config, processor] = CONFIGURATIONS;
    has_weights(snapshot) && is_known(config) && (is_known(processor) || is_timm(&snapshot.join(config)))
}

/// Whether a snapshot holds weights, and all their shards if there are several. Only their usual names count: a
/// repository may have other files of tensors, such as a trainer's state.
pub(super) fn has_weights(snapshot: &Path) -> bool {
    let files = WEIGHT_FILES.map(|name| snapshot.join(name));
    let best = files.iter().find(|file| file.is_file());
    best.is_some_and(|file| weight_files(file).is_ok())
}

/// timm keeps what it knows of the processor in `config.json`.
fn is_timm(config: &Path) -> bool {
    let mut text = String::new();
    let read = File::open(config).and_then(|file| file.take(MAX_CONFIG).read_to_string(&mut text));
    read.is_ok() && text.contains("\"pretrained_cfg\"")
}

/// A file that holds the weights, or names those that do.
#[cfg(feature = "hub")]
pub(super) struct Weights {
    pub name: &'static str,
    pub is_index: bool,
    /// What is said when a repository has nothing better.
    pub remark: Option<&'static str>,
}

#[cfg(feature = "hub")]
impl Weights {
    /// One of [`WEIGHT_FILES`].
    pub fn named(name: &'static str) -> Self {
        Self {
            name,
            is_index: name.ends_with(".json"),
            remark: name.starts_with("pytorch_model").then_some(PICKLE),
        }
    }
}

#[cfg(feature = "hub")]
const PICKLE: &str =
    "this revision has no safetensors, so its PyTorch pickle is read, as data and without executing anything";
