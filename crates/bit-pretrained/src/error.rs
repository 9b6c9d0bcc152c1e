//! What can go wrong between a model's name and a model that runs.

use std::path::PathBuf;

use bit_config::ConfigError;
use bit_convert::ConvertError;
use bit_image::ImageError;
use bit_model::ModelError;

use crate::report::LoadReport;

/// Error of finding, loading or saving a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainedError {
    /// No builtin has this name.
    #[error("there is no builtin model `{found}`; there is: {known}")]
    UnknownBuiltin {
        /// The name after `builtin:`.
        found: String,
        /// All names.
        known: String,
    },
    /// Neither a path nor a name that could be on the Hub.
    #[error(
        "`{found}` is no model: it is neither a folder or file that exists, nor a name like `builtin:mnist` or \
         `google/bit-50`"
    )]
    UnknownSource {
        /// What was given.
        found: String,
    },
    /// A Hub model that is not on this machine.
    #[error("{found} is not in the Hub cache: looked in {}; {hint}", looked_in.display())]
    NotCached {
        /// Repository and revision.
        found: String,
        /// The repository's folder in the cache.
        looked_in: PathBuf,
        /// How to get it.
        hint: String,
    },
    /// The tensors are not those of the configuration.
    #[error("{}: the tensors do not fit the model:\n{report}", path.display())]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// What was missing, unused or of another shape.
        report: Box<LoadReport>,
    },
    /// Reading a configuration failed.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Reading or writing a checkpoint failed.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The processor's configuration cannot work.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The network cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
}
