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
    /// A published model that is not on this machine.
    #[error("{found} is not in the cache: looked in {}; {hint}", looked_in.display())]
    NotCached {
        /// Repository and revision, or Google's file.
        found: String,
        /// Its place in the cache.
        looked_in: PathBuf,
        /// How to get it.
        hint: String,
    },
    /// A published model that is not on this machine, which the server with it cannot be asked for.
    #[error(
        "{found} is not in the cache (looked in {}), and {address} cannot be reached ({reason}); {hint}",
        looked_in.display()
    )]
    Unreachable {
        /// Repository and revision, or Google's file.
        found: String,
        /// Its place in the cache.
        looked_in: PathBuf,
        /// The server's.
        address: String,
        /// What failed.
        reason: String,
        /// How to get it by hand.
        hint: String,
    },
    /// The server does not give the model.
    #[error("{address} does not give {found}: {status}, {reason}; {hint}")]
    Refused {
        /// Repository and revision, or Google's file.
        found: String,
        /// The server's.
        address: String,
        /// Of HTTP.
        status: u16,
        /// In the server's words.
        reason: String,
        /// What may help.
        hint: String,
    },
    /// What the server gives is not what it says it is, or not what is asked for. Nothing of it was kept.
    #[error("{found} was not taken from {address}: {reason}")]
    Damaged {
        /// Repository and revision, or Google's file.
        found: String,
        /// The server's.
        address: String,
        /// What was promised and what came.
        reason: String,
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
