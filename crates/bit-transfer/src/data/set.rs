//! Pictures with their labels.

use serde::{Deserialize, Serialize};

use crate::TransferError;
use crate::data::ImageSource;
use crate::panics::catch_quietly;

/// Pictures that are looked at for the usual size of a picture.
const SIZED: usize = 32;

/// How many of the classes a picture belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelTask {
    /// Exactly one: softmax, cross entropy.
    #[default]
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

    /// How many pictures each class has.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for label in self.examples.iter().flat_map(|example| &example.labels) {
            if let Some(count) = counts.get_mut(*label) {
                *count += 1;
            }
        }
        counts
    }

    /// Whether a classifier can be trained with this.
    ///
    /// # Errors
    /// [`TransferError::NoImages`], and [`TransferError::Classes`] for a class without a picture, for a single
    /// class where a picture has one label, and for labels that are not those of a class.
    pub fn check_trainable(&self) -> Result<(), TransferError> {
        if self.is_empty() {
            return Err(TransferError::NoImages {
                place: "training data".into(),
                expected: "some images of each class".into(),
            });
        }
        self.check_labels()?;
        if self.task == LabelTask::SingleLabel && self.classes.len() < 2 {
            return Err(classes(format!(
                "one class ({}); expected at least two to tell apart",
                self.classes.join("")
            )));
        }
        match self.class_counts().iter().position(|count| *count == 0) {
            Some(class) => Err(classes(format!(
                "class {:?} has no images; expected at least one of each class",
                self.classes[class]
            ))),
            None => Ok(()),
        }
    }

    fn check_labels(&self) -> Result<(), TransferError> {
        let count = self.classes.len();
        let right = |labels: &[usize]| {
            labels.iter().all(|label| *label < count)
                && (self.task == LabelTask::MultiLabel || labels.len() == 1)
        };
        match self.examples.iter().find(|example| !right(&example.labels)) {
            None => Ok(()),
            Some(example) => Err(TransferError::Field {
                place: example.image.to_string(),
                field: "the label".into(),
                found: format!("{:?}", example.labels),
                expected: match self.task {
                    LabelTask::SingleLabel => format!("one number below {count}"),
                    LabelTask::MultiLabel => format!("numbers below {count}"),
                },
            }),
        }
    }

    /// Height and width of the usual picture, by which the BiT-HyperRule chooses the resolution: the median of some
    /// pictures, spread over the data. Others take the place of pictures that cannot be read.
    ///
    /// # Errors
    /// [`TransferError::NoImages`] when none can be read.
    pub fn image_size(&self) -> Result<[usize; 2], TransferError> {
        let stride = self.len().div_ceil(SIZED).max(1);
        let spread = (0..stride).flat_map(|start| self.examples.iter().skip(start).step_by(stride));
        let size = |example: &Example| catch_quietly(|| example.image.size().ok()).flatten();
        let mut sizes: Vec<[usize; 2]> = spread.filter_map(size).take(SIZED).collect();
        sizes.sort_unstable_by_key(|[height, width]| height * width);
        let middle = sizes.get(sizes.len() / 2).copied();
        middle.ok_or_else(|| TransferError::NoImages {
            place: "the data".into(),
            expected: "pictures that can be read".into(),
        })
    }
}

/// What is wrong with the classes of the training data.
pub(super) fn classes(message: String) -> TransferError {
    TransferError::Classes {
        place: "training data".into(),
        message,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(classes: &[&str], labels: &[usize]) -> DataSet {
        let example = |label: &usize| Example {
            image: ImageSource::Path("a.png".into()),
            labels: vec![*label],
        };
        DataSet {
            classes: classes.iter().map(|class| class.to_string()).collect(),
            examples: labels.iter().map(example).collect(),
            task: LabelTask::SingleLabel,
        }
    }

    #[test]
    fn what_cannot_be_trained_on_is_named() {
        let cases = [
            (set(&["cat", "dog"], &[]), "no images"),
            (set(&["cat"], &[0]), "one class (cat)"),
            (set(&["cat", "dog"], &[0]), "class \"dog\" has no images"),
            (
                set(&["cat", "dog"], &[0, 1, 2]),
                "a.png: the label is [2]; expected one number below 2",
            ),
        ];
        for (set, message) in cases {
            let error = set.check_trainable().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        assert!(set(&["cat", "dog"], &[0, 1]).check_trainable().is_ok());
    }

    #[test]
    fn the_usual_size_is_that_of_pictures_that_can_be_read_wherever_they_are() {
        let mut data = set(&["cat", "dog"], &vec![0; 500]);
        assert!(data.image_size().unwrap_err().to_string().contains("no images"));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header().unwrap().write_image_data(&[0; 6]).unwrap();
        data.examples[7].image = ImageSource::Encoded {
            name: "readable".into(),
            bytes: bytes.into(),
        };
        assert_eq!(data.image_size().unwrap(), [2, 3]);
    }
}
