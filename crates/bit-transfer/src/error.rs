//! The one error type of this crate.

use std::io;
use std::path::PathBuf;

use bit_image::ImageError;

/// Why data cannot be used, or a model cannot be trained or measured with it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A file or folder is not laid out like any data set that is known.
    #[error("{}: {found}; expected {expected}", path.display())]
    Layout {
        /// The file or folder.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A field of a table cannot be used.
    #[error("{place}: {field} is {found}; expected {expected}")]
    Field {
        /// The file, with the row where there is one.
        place: String,
        /// The column or field.
        field: String,
        /// What it holds.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// There is no picture to work with.
    #[error("{place}: no images; expected {expected}")]
    NoImages {
        /// The folder, file or part of the data.
        place: String,
        /// What would be right.
        expected: String,
    },
    /// A class without a picture, or too few classes.
    #[error("{place}: {message}")]
    Classes {
        /// The folder, file or part of the data.
        place: String,
        /// What is wrong with the classes and what would be right.
        message: String,
    },
    /// The same picture or the same name twice.
    #[error("{place}: {what} is there twice, first as {first}; remove one of them")]
    Duplicate {
        /// Where the second is.
        place: String,
        /// What is there twice.
        what: String,
        /// Where the first is.
        first: String,
    },
    /// A picture cannot be used (and `strict` was asked for).
    #[error("{image}: {source}")]
    Image {
        /// The picture.
        image: String,
        /// Why.
        source: ImageError,
    },
    /// A setting is out of range or contradicts another.
    #[error("{0}")]
    Argument(String),
    /// The loss or a weight is infinite or not a number.
    #[error(
        "training has diverged: after {steps} steps, with base learning rate {base_learning_rate}, {what}; a lower \
         rate would be right, and what was saved before is as it was"
    )]
    Diverged {
        /// Steps that were taken.
        steps: usize,
        /// What is not finite.
        what: String,
        /// The learning rate between warm-up and first decay.
        base_learning_rate: f64,
    },
    /// A folder holds a run already, or a checkpoint of another run.
    #[error("{}: {found}; {expected}", path.display())]
    Run {
        /// The folder or file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What would be right.
        expected: String,
    },
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] bit_convert::ConvertError),
    /// The model cannot be loaded or saved.
    #[error(transparent)]
    Pretrained(#[from] bit_pretrained::PretrainedError),
    /// The model does not take the pictures.
    #[error(transparent)]
    Model(#[from] bit_model::ModelError),
}

impl TransferError {
    /// For `map_err` on file operations.
    pub(crate) fn io(path: impl Into<PathBuf>, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, action, source }
    }
}
