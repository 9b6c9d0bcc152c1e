//! Pictures with their labels.

use serde::{Deserialize, Serialize};

use crate::data::ImageSource;

/// How many of the classes a picture belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelTask {
    /// Exactly one: softmax, cross entropy.
    SingleLabel,
    /// Any number, none included: sigmoid, binary cross entropy.
    MultiLabel,
}

/// A picture with its labels.
#[derive(Clone, Debug)]
pub struct Example {
    /// Where the picture is.
    pub image: ImageSource,
    /// Indices into [`DataSet::classes`]: exactly one for [`LabelTask::SingleLabel`], otherwise ascending.
    pub labels: Vec<usize>,
}

/// Labelled pictures.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// Names of the classes, in the order of the classifier's outputs.
    pub classes: Vec<String>,
    /// The pictures.
    pub examples: Vec<Example>,
    /// Whether a picture has one label or several.
    pub task: LabelTask,
}

impl DataSet {
    /// How many pictures there are.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }
}
