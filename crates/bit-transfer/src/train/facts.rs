//! What a recipe has to know of the training data.

use crate::TransferError;
use crate::data::{DataSet, LabelTask};

/// What a recipe has to know of the training data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFacts {
    /// Training images.
    pub examples: usize,
    /// Classes of the new head.
    pub classes: usize,
    /// Whether an image has one label or several.
    pub task: LabelTask,
    /// Height and width of a typical image, in pixels; needed unless the resolution is chosen by other means.
    pub image_size: Option<[usize; 2]>,
}

impl DataFacts {
    /// Those of a data set.
    ///
    /// # Errors
    ///
    /// When it cannot be trained on, or none of its images can be read.
    pub fn of(data: &DataSet) -> Result<Self, TransferError> {
        let facts = Self::unsized_of(data)?;
        let image_size = Some(data.image_size()?);
        Ok(Self { image_size, ..facts })
    }

    /// Those of a data set whose images are not looked at.
    ///
    /// # Errors
    ///
    /// When it cannot be trained on.
    pub fn unsized_of(data: &DataSet) -> Result<Self, TransferError> {
        data.check_trainable()?;
        Ok(Self {
            examples: data.len(),
            classes: data.classes.len(),
            task: data.task,
            image_size: None,
        })
    }
}
