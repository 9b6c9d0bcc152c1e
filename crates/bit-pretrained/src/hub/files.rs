//! Which of a repository's files make a model.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// More is no configuration.
const MAX_CONFIG: u64 = 64 << 20;

/// Files that are wanted beside the weights.
pub(super) const CONFIGURATIONS: [&str; 2] = ["config.json", "preprocessor_config.json"];

/// Whether a snapshot holds all that a model needs: the weights with all their shards, and every configuration that
/// the repository has. Python marks in `absent` what the repository was asked for and does not have; programs that
/// want only a part of the model leave the rest out.
pub(super) fn is_complete(snapshot: &Path, absent: &Path) -> bool {
    let is_known = |name: &str| snapshot.join(name).is_file() || absent.join(name).exists();
    let [config, processor] = CONFIGURATIONS;
    bit_convert::weight_files(snapshot).is_ok()
        && is_known(config)
        && (is_known(processor) || is_timm(&snapshot.join(config)))
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
    /// The best first.
    pub const ALL: [Self; 5] = [
        Self::new("model.safetensors", false, None),
        Self::new("model.safetensors.index.json", true, None),
        Self::new("pytorch_model.bin", false, PICKLE),
        Self::new("pytorch_model.bin.index.json", true, PICKLE),
        Self::new("model.bpk", false, None),
    ];

    const fn new(name: &'static str, is_index: bool, remark: Option<&'static str>) -> Self {
        Self {
            name,
            is_index,
            remark,
        }
    }
}

#[cfg(feature = "hub")]
const PICKLE: Option<&str> = Some(
    "this revision has no safetensors, so its PyTorch pickle is read, as data and without executing anything",
);
