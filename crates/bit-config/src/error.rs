//! The one error type of this crate.

use std::io;
use std::path::PathBuf;

use crate::activation::Activation;

/// Why a configuration cannot be read, written or used.
///
/// Where transformers has a message for the same fault, the wording is transformers'.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be opened, read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The fault lies in a file; `source` says which.
    #[error("{path}: {source}", path = path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: Box<ConfigError>,
    },
    /// The file is larger than any configuration can be.
    #[error("the file has {found} bytes; a configuration has at most {limit}")]
    TooLarge {
        /// Bytes in the file.
        found: u64,
        /// Most bytes that are read.
        limit: u64,
    },
    /// The text is not JSON.
    #[error("not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A value has the wrong type or is out of range.
    #[error("`{field}` must be {expected}, found {found}")]
    Field {
        /// Name of the field.
        field: String,
        /// What would be right.
        expected: String,
        /// The value that was found, shortened.
        found: String,
    },
    /// The configuration is another model's.
    #[error("model_type must be \"bit\", found {found}: this is not a BiT configuration")]
    ModelType {
        /// The value that was found.
        found: String,
    },
    /// `layer_type` is not one of the two kinds of block.
    #[error("layer_type={0} is not one of preactivation,bottleneck")]
    LayerType(String),
    /// `global_padding` is unknown.
    #[error("Padding strategy {0} not supported")]
    Padding(String),
    /// `global_padding` is `VALID`, which transformers accepts and then cannot run.
    #[error(
        "Padding strategy VALID not supported: 3x3 convolutions without padding shrink the residual, \
         which then does not fit its shortcut; use null or SAME"
    )]
    ValidPadding,
    /// `hidden_act` is unknown.
    #[error("hidden_act={0} is not known; known are {known}", known = Activation::known())]
    Activation(String),
    /// `out_features` or `out_indices` do not fit the stages.
    #[error("{0}")]
    OutFeatures(String),
    /// `id2label` and `label2id` are wrong or contradict each other.
    #[error("{0}")]
    Labels(String),
    /// `problem_type` does not fit the number of labels.
    #[error(
        "`problem_type=\"single_label_classification\"` requires `num_labels > 1`. For binary classification \
         use `num_labels=2`, or use `problem_type=\"regression\"` for a single-output regression head."
    )]
    SingleLabel,
    /// `hidden_sizes` and `depths` describe different numbers of stages.
    #[error("hidden_sizes has {hidden_sizes} entries but depths has {depths}: both need one a stage")]
    StageCount {
        /// Entries of `hidden_sizes`.
        hidden_sizes: usize,
        /// Entries of `depths`.
        depths: usize,
    },
    /// A GroupNorm's channels cannot be split into the groups.
    #[error("num_groups={groups} does not divide the {channels} channels of {layer}")]
    Groups {
        /// `num_groups`.
        groups: usize,
        /// Channels of the normalization.
        channels: usize,
        /// Parameter prefix of the normalization.
        layer: String,
    },
    /// The model would be larger than any machine can hold.
    #[error("the model would have more than {limit} parameters")]
    TooManyParameters {
        /// Most parameters that are accepted.
        limit: u64,
    },
    /// A size's keys do not belong together.
    #[error(
        "{field} must have one of the following set of keys: ({{'height', 'width'}}, {{'shortest_edge'}}, \
         {{'shortest_edge', 'longest_edge'}}, {{'longest_edge'}}, {{'max_height', 'max_width'}}, \
         {{'min_pixels', 'max_pixels'}}), got dict_keys([{found}])"
    )]
    SizeKeys {
        /// Name of the size.
        field: String,
        /// The keys, quoted.
        found: String,
    },
    /// A mean or std does not have one number for each channel.
    #[error("{name} must have {channels} elements if it is an iterable, got {found}")]
    PerChannel {
        /// `mean` or `std`.
        name: &'static str,
        /// Channels of the image.
        channels: usize,
        /// Elements of the list.
        found: usize,
    },
}
