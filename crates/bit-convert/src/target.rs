//! The formats that are written.

use crate::names::Dialect;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// transformers' names in safetensors.
    Transformers,
    /// transformers' names in `pytorch_model.bin`.
    Pytorch,
    /// timm's names in safetensors.
    Timm,
    /// Google's names and layouts in `.npz`.
    Google,
    /// transformers' names in Burn's container.
    Burnpack,
    /// The network itself, ready to run, with standardized kernels.
    Onnx,
}

/// Name on the command line, usual file name, and extensions that mean that one file and no folder.
const TARGETS: &[(Target, &str, &str, &[&str])] = &[
    (Target::Transformers, "hf", "model.safetensors", &["safetensors"]),
    (
        Target::Pytorch,
        "pytorch",
        "pytorch_model.bin",
        &["bin", "pt", "pth"],
    ),
    (Target::Timm, "timm", "model.safetensors", &["safetensors"]),
    (Target::Google, "google", "model.npz", &["npz"]),
    (Target::Burnpack, "burnpack", "model.bpk", &["bpk"]),
    (Target::Onnx, "onnx", "model.onnx", &["onnx"]),
];

impl Target {
    /// Whether a destination is one file and no folder.
    pub(crate) fn is_file(self, destination: &Path) -> bool {
        let extension = destination.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| self.row().3.contains(&extension))
    }

    /// The usual name in a folder.
    pub(crate) fn file_name(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Target, &'static str, &'static str, &'static [&'static str]) {
        TARGETS
            .iter()
            .find(|row| row.0 == self)
            .expect("invariant: the table has every target")
    }

    /// The dialect in which names are written.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Timm => Dialect::Timm,
            Self::Google => Dialect::GoogleNpz,
            _ => Dialect::Transformers,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let known: Vec<_> = TARGETS.iter().map(|row| row.1).collect();
        let found = TARGETS.iter().find(|row| row.1 == name).map(|row| row.0);
        found.ok_or_else(|| format!("`{name}` is no format to write; there are {}", known.join(", ")))
    }
}
