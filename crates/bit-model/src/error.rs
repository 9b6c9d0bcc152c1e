//! What can be wrong with a model's inputs.

use bit_config::{ConfigError, ProblemType};

/// Error of building or running a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The configuration describes a network that cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The channels of the pixels are not the configuration's.
    #[error(
        "Make sure that the channel dimension of the pixel values match with the one set in the configuration. \
         Expected {expected}, found {found}."
    )]
    Channels {
        /// `num_channels` of the configuration.
        expected: usize,
        /// Channels of the pixel values.
        found: usize,
    },
    /// A dimension of the pixel values is zero.
    #[error("pixel_values of shape {shape:?} hold no picture: every dimension must be at least 1")]
    Empty {
        /// `[batch, channels, height, width]` as found.
        shape: [usize; 4],
    },
    /// The stem's pooling has nothing to pool.
    #[error(
        "a picture of {width}x{height} pixels is too small for this configuration's 3x3 pooling without padding"
    )]
    TooSmall {
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// Labels and logits do not fit together.
    #[error("labels of shape {labels:?} do not fit logits of shape {logits:?} for problem type {problem}")]
    LabelShape {
        /// Shape of the labels.
        labels: Vec<usize>,
        /// Shape of the logits.
        logits: [usize; 2],
        /// The problem that the loss is computed for.
        problem: ProblemType,
    },
    /// A class index is not one of the model's.
    #[error("label {found} is out of range: the model has classes 0 to {}", num_labels - 1)]
    LabelRange {
        /// The class index found.
        found: i64,
        /// Number of classes.
        num_labels: usize,
    },
    /// A loss needs logits.
    #[error("a loss needs a classifier: the configuration has num_labels 0")]
    NoClassifier,
}
