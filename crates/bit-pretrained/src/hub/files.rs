//! Which of a repository's files make a model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bit_convert::{WEIGHT_FILES, weight_files};

use super::cache::Snapshot;

/// More is no configuration.
pub(super) const MAX_CONFIG: u64 = 64 << 20;

/// Files that are wanted beside the weights.
pub(super) const CONFIGURATIONS: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Whether a snapshot holds all that a model needs: the weights with all their shards, and every configuration that
/// the repository has. Python marks in `absent` what the repository was asked for and does not have; programs that
/// want only a part of the model leave the rest out.
pub(super) fn is_complete(snapshot: &Snapshot) -> bool {
    let Snapshot { folder, absent } = snapshot;
    let is_known = |name: &str| folder.join(name).is_file() || absent.join(name).exists();
    let [config, processor] = CONFIGURATIONS;
    has_weights(folder) && is_known(config) && (is_known(processor) || is_timm(&folder.join(config)))
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

/// What is said of a snapshot whose weights are a pickle: the cache need not hold all that the repository has.
pub(super) fn remark(snapshot: &Snapshot) -> Option<String> {
    const PICKLE: &str = "so its PyTorch pickle is read, as data and without executing anything";
    let best = WEIGHT_FILES
        .iter()
        .find(|name| snapshot.folder.join(name).is_file())?;
    let mut better = WEIGHT_FILES.iter().take_while(|name| *name != best);
    let why = match better.all(|name| snapshot.absent.join(name).exists()) {
        true => "this revision has no safetensors",
        false => "the cache has no safetensors of this revision",
    };
    best.starts_with("pytorch_model")
        .then(|| format!("{why}, {PICKLE}"))
}
