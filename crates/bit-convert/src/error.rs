//! What can go wrong between a checkpoint file and its tensors.

use std::io;
use std::path::{Path, PathBuf};

/// An error of reading, understanding or writing a checkpoint.
///
/// Every message says which file and, where there is one, which tensor; what was found and what would be right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `open`, `read`, `write`.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A folder without a checkpoint, or an index that names an absent file.
    #[error("{}: no checkpoint here: {reason}", path.display())]
    NotFound {
        /// The folder or file looked at.
        path: PathBuf,
        /// What was looked for.
        reason: String,
    },
    /// The file's first bytes belong to no format this crate reads.
    #[error(
        "{}: not a checkpoint this can read: {found}; expected safetensors, a PyTorch file (zip or legacy), .npz or burnpack",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What its content looks like.
        found: String,
    },
    /// The file contradicts its format or itself.
    #[error("{}: {place}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The part of it: ``tensor `conv1.weight` ``, `header`, `pickle at byte 12`.
        place: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// A pickle asks for a Python object that tensors do not need.
    #[error(
        "{}: the pickle refers to the Python global `{global}`, which a file of tensors does not need; \
         only state dicts are read, so save `model.state_dict()` with torch.save, or as safetensors",
        path.display()
    )]
    ForbiddenGlobal {
        /// The file.
        path: PathBuf,
        /// The dotted name of the global.
        global: String,
    },
    /// No tensor of that name.
    #[error("{}: no tensor is called `{name}`", path.display())]
    MissingTensor {
        /// The checkpoint.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// The tensors are not those of a BiT network.
    #[error("{}: not a BiT checkpoint: {reason}", path.display())]
    NotBit {
        /// The checkpoint.
        path: PathBuf,
        /// What is missing or does not fit.
        reason: String,
    },
    /// The target format cannot hold this.
    #[error("{}: {format} cannot hold this model: {reason}", path.display())]
    Unwritable {
        /// The file that was to be written.
        path: PathBuf,
        /// The target format.
        format: &'static str,
        /// What it lacks.
        reason: String,
    },
    /// A folder holds a file that would be read instead of the one to be written.
    #[error(
        "{}: is there already and would be read instead of `{written}`; remove it, write to another folder, or name the \
         file to write",
        path.display()
    )]
    Shadowed {
        /// The file that is there.
        path: PathBuf,
        /// The name of the file that was to be written.
        written: String,
    },
    /// A folder holds an image processor that would be taken for that of the weights to be written.
    #[error(
        "{}: is there already and would be taken for the new weights' image processor, but none is written there; remove \
         it, write to another folder, or put the right one beside the source",
        path.display()
    )]
    StaleProcessor {
        /// The file that is there.
        path: PathBuf,
    },
    /// The caller ended the conversion; nothing of this file is left.
    #[error("{}: not written: the conversion was cancelled", path.display())]
    Cancelled {
        /// The file or folder that was to be written.
        path: PathBuf,
    },
    /// A `config.json` or `preprocessor_config.json` that cannot be used.
    #[error(transparent)]
    Config(#[from] bit_config::ConfigError),
}

/// This crate's results.
pub type Result<T> = std::result::Result<T, ConvertError>;

impl ConvertError {
    /// An [`io::Error`] with the path and the attempted action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }

    /// A [`ConvertError::Malformed`] about a part of a file.
    pub(crate) fn malformed(path: &Path, place: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_path_buf(),
            place: place.into(),
            reason: reason.into(),
        }
    }

    /// A [`ConvertError::Malformed`] about one tensor.
    pub(crate) fn tensor(path: &Path, name: &str, reason: impl Into<String>) -> Self {
        Self::malformed(path, format!("tensor `{name}`"), reason)
    }
}
