//! `BitConfig`: what a network looks like.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::activation::Activation;
use crate::backbone::BackboneOutputs;
use crate::error::ConfigError;
use crate::fields::{in_file, read_text};
use crate::label_map::Labels;

/// Declares an enum whose variants have a name in `config.json`.
macro_rules! named_enum {
    ($(#[$meta:meta])* $name:ident, $error:expr; $($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// The name in `config.json`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $name {
            type Err = ConfigError;

            fn from_str(text: &str) -> Result<Self, ConfigError> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err($error(other)),
                }
            }
        }
    };
}

named_enum! {
    /// The two kinds of residual block.
    LayerType, |found: &str| ConfigError::LayerType(found.to_owned());
    /// ResNet v2: norm and activation come before each convolution. Every published BiT.
    Preactivation = "preactivation",
    /// ResNet v1.5: norm and activation follow. The ResNet inside ViT-hybrid and DPT-hybrid.
    Bottleneck = "bottleneck",
}

named_enum! {
    /// Padding of all convolutions; without it each side gets `((stride - 1) + dilation * (kernel - 1)) / 2`.
    GlobalPadding, |found: &str| ConfigError::Padding(found.to_owned());
    /// As TensorFlow: the output has `ceil(input / stride)` pixels, an odd pixel is added after.
    Same = "SAME",
    /// None. Accepted by transformers' configuration, but no network can be built: [`BitConfig::validate`]
    /// says so.
    Valid = "VALID",
}

named_enum! {
    /// Which loss belongs to the labels.
    ProblemType, |found: &str| ConfigError::Field {
        field: "problem_type".into(),
        expected: "regression, single_label_classification or multi_label_classification".into(),
        found: found.into(),
    };
    /// Mean squared error.
    Regression = "regression",
    /// Cross entropy over class indices.
    SingleLabelClassification = "single_label_classification",
    /// Binary cross entropy a label.
    MultiLabelClassification = "multi_label_classification",
}

/// The configuration of a BiT network: transformers' `BitConfig`, with the same fields and defaults.
///
/// ```
/// use bit_config::BitConfig;
///
/// let config = BitConfig { depths: vec![1, 1], hidden_sizes: vec![128, 256], ..BitConfig::default() };
/// config.validate()?;
/// assert_eq!(config.stage_names(), ["stem", "stage1", "stage2"]);
/// # Ok::<(), bit_config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BitConfig {
    /// Channels of the image, 3 for RGB.
    pub num_channels: usize,
    /// Channels of the stem.
    pub embedding_size: usize,
    /// Channels of each stage's output, before `width_factor`.
    pub hidden_sizes: Vec<usize>,
    /// Blocks in each stage.
    pub depths: Vec<usize>,
    /// The kind of block.
    pub layer_type: LayerType,
    /// The activation after each normalization.
    pub hidden_act: Activation,
    /// Padding of all convolutions.
    pub global_padding: Option<GlobalPadding>,
    /// Groups of every GroupNorm.
    pub num_groups: usize,
    /// Probability with which training drops the last block; it grows linearly from 0 at the first.
    pub drop_path_rate: f64,
    /// Whether the stem's pool pads as TensorFlow's SAME does.
    pub embedding_dynamic_padding: bool,
    /// Input pixels an output pixel stands for, at most. Strides become 1 once it is reached: 32 (or more)
    /// keeps four stages as they are, 16 changes the last, 8 the last two, 4 (or less) all.
    pub output_stride: usize,
    /// Multiplies `hidden_sizes`, and here also the final norm and the classifier; transformers leaves those
    /// unscaled and fails. The stem is not scaled there and not here.
    pub width_factor: usize,
    /// `id2label` and `label2id`; as many as the classifier has outputs, none for no classifier.
    pub labels: Labels,
    /// Which loss to use; `None` decides by the number of labels and their type.
    pub problem_type: Option<ProblemType>,
    /// Which maps a backbone returns.
    pub backbone: BackboneOutputs,
    /// Type of the stored weights, such as `float32` (`torch_dtype` in older files).
    pub dtype: Option<String>,
    /// All keys of `config.json` that are not above, written back as they were.
    pub extra: Map<String, Value>,
}

impl Default for BitConfig {
    /// R50x1 with two labels, as `BitConfig()` in transformers.
    fn default() -> Self {
        Self {
            num_channels: 3,
            embedding_size: 64,
            hidden_sizes: vec![256, 512, 1024, 2048],
            depths: vec![3, 4, 6, 3],
            layer_type: LayerType::Preactivation,
            hidden_act: Activation::Relu,
            global_padding: None,
            num_groups: 32,
            drop_path_rate: 0.0,
            embedding_dynamic_padding: false,
            output_stride: 32,
            width_factor: 1,
            labels: Labels::default(),
            problem_type: None,
            backbone: BackboneOutputs::default(),
            dtype: None,
            extra: Map::new(),
        }
    }
}

impl BitConfig {
    /// Reads and validates a `config.json`.
    ///
    /// # Errors
    /// Any [`ConfigError`], with the file named.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        Self::from_json(&read_text(path)?).map_err(|source| in_file(path, source))
    }

    /// Number of the classifier's outputs; 0 means no classifier.
    pub fn num_labels(&self) -> usize {
        self.labels.len()
    }

    /// The same network for another number of labels, which are then named `LABEL_0`, …; with the number it
    /// has already, nothing changes (as when transformers' `num_labels` is set).
    pub fn with_num_labels(mut self, num_labels: usize) -> Self {
        if num_labels != self.num_labels() {
            self.labels = Labels::numbered(num_labels);
        }
        self
    }

    /// The same network for these classes.
    pub fn with_labels<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.labels = Labels::named(names);
        self
    }

    /// The name of output `id`.
    pub fn label(&self, id: usize) -> String {
        self.labels.name(id)
    }

    /// `stem`, `stage1`, …: the names that `out_features` may have.
    pub fn stage_names(&self) -> Vec<String> {
        let stages = (1..=self.depths.len()).map(|i| format!("stage{i}"));
        std::iter::once("stem".to_owned()).chain(stages).collect()
    }

    /// Sets the backbone's maps by name.
    ///
    /// # Errors
    /// [`ConfigError::OutFeatures`] for unknown, repeated or unordered names.
    pub fn set_out_features<S: AsRef<str>>(&mut self, features: &[S]) -> Result<(), ConfigError> {
        let features = features.iter().map(|f| f.as_ref().to_owned()).collect();
        self.backbone = BackboneOutputs::new(&self.stage_names(), Some(features), None)?;
        Ok(())
    }

    /// Sets the backbone's maps by index; negative ones count from the end.
    ///
    /// # Errors
    /// [`ConfigError::OutFeatures`] for indices out of range, repeated or unordered.
    pub fn set_out_indices(&mut self, indices: &[isize]) -> Result<(), ConfigError> {
        self.backbone = BackboneOutputs::new(&self.stage_names(), None, Some(indices.to_vec()))?;
        Ok(())
    }

    /// The names of the maps that a backbone returns.
    pub fn out_features(&self) -> Vec<String> {
        self.backbone.features(&self.stage_names())
    }

    /// The indices of the maps that a backbone returns, as they were given: negative ones stay negative.
    pub fn out_indices(&self) -> Vec<isize> {
        self.backbone.indices(&self.stage_names())
    }
}
