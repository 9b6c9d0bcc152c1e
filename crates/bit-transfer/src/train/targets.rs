//! Labels as numbers that the network should say.

use crate::TransferError;
use crate::data::{Batch, LabelTask, Targets};

/// Whether a batch, which may come from anywhere, holds pictures and fitting labels.
pub(crate) fn check_batch(batch: &Batch, classes: usize, task: LabelTask) -> Result<(), TransferError> {
    let values = batch
        .shape
        .iter()
        .try_fold(1_usize, |product, side| product.checked_mul(*side));
    let (found, fitting) = match &batch.labels {
        Targets::Classes(labels) => {
            let inside = labels.iter().all(|label| *label < classes);
            (LabelTask::SingleLabel, inside && labels.len() == batch.shape[0])
        }
        Targets::MultiHot {
            values,
            classes: count,
        } => {
            let length = batch.shape[0].checked_mul(classes);
            (
                LabelTask::MultiLabel,
                *count == classes && Some(values.len()) == length,
            )
        }
    };
    let problem = if batch.pixels.is_empty() || values != Some(batch.pixels.len()) {
        format!(
            "{} values are no pictures of shape {:?}",
            batch.pixels.len(),
            batch.shape
        )
    } else if found != task || !fitting {
        let images = batch.shape[0];
        format!("the labels are not those of {images} images of {classes} classes, as the recipe's are")
    } else {
        return Ok(());
    };
    Err(TransferError::Argument(format!(
        "a batch cannot be used: {problem}"
    )))
}

/// What the network should say of each image: probabilities that sum to 1 for one label an image, or a number in
/// [0, 1] for each of several labels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SoftTargets {
    /// `[batch, classes]`, row-major.
    pub values: Vec<f32>,
    /// Number of classes.
    pub classes: usize,
    /// Which loss they are for.
    pub task: LabelTask,
}

impl SoftTargets {
    /// Spreads the share `smoothing` of each target over all classes, as torch's `label_smoothing` does; for several
    /// labels an image, over both answers.
    ///
    /// Classes must be below `classes`, as the loaders' are.
    pub fn new(targets: &Targets, classes: usize, smoothing: f64) -> Self {
        let (values, task) = match targets {
            Targets::Classes(indices) => {
                let mut values = vec![0.0; indices.len() * classes];
                for (row, index) in values.chunks_exact_mut(classes.max(1)).zip(indices) {
                    row[*index] = 1.0;
                }
                (values, LabelTask::SingleLabel)
            }
            Targets::MultiHot { values, .. } => (values.clone(), LabelTask::MultiLabel),
        };
        let answers = if task == LabelTask::SingleLabel {
            classes
        } else {
            2
        };
        let (kept, spread) = ((1.0 - smoothing) as f32, (smoothing / answers as f64) as f32);
        let smooth = |value: f32| {
            if smoothing > 0.0 {
                value * kept + spread
            } else {
                value
            }
        };
        Self {
            values: values.into_iter().map(smooth).collect(),
            classes,
            task,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(indices: &[usize], smoothing: f64) -> SoftTargets {
        SoftTargets::new(&Targets::Classes(indices.to_vec()), 4, smoothing)
    }

    #[test]
    fn a_batch_that_holds_something_else_is_refused() {
        let batch = |shape, pixels: usize, labels| Batch {
            pixels: vec![0.0; pixels],
            shape,
            labels,
            examples: Vec::new(),
        };
        let single = |batch: &Batch| check_batch(batch, 3, LabelTask::SingleLabel).is_ok();
        let classes = |labels: &[usize]| Targets::Classes(labels.to_vec());
        assert!(single(&batch([2, 3, 4, 4], 96, classes(&[0, 2]))));
        assert!(!single(&batch([2, 3, 4, 4], 95, classes(&[0, 2]))));
        assert!(!single(&batch([2, 3, 4, 4], 96, classes(&[0, 3]))));
        assert!(!single(&batch([2, 3, 4, 4], 96, classes(&[0]))));
        assert!(!single(&batch([0, 3, 4, 4], 0, classes(&[]))));
        assert!(!single(&batch([usize::MAX, 3, 4, 4], 96, classes(&[0, 2]))));
        let hot = |count| Targets::MultiHot {
            values: vec![1.0; count],
            classes: 3,
        };
        let several = |batch: &Batch| check_batch(batch, 3, LabelTask::MultiLabel).is_ok();
        assert!(several(&batch([1, 3, 4, 4], 48, hot(3))));
        assert!(!several(&batch([1, 3, 4, 4], 48, hot(2))) && !single(&batch([1, 3, 4, 4], 48, hot(3))));
    }

    #[test]
    fn smoothing_spreads_its_share_over_all_classes() {
        assert_eq!(targets(&[1], 0.0).values, [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(targets(&[1], 0.4).values, [0.1, 0.70000005, 0.1, 0.1]);
        let values = vec![1.0, 0.0];
        let several = SoftTargets::new(&Targets::MultiHot { values, classes: 2 }, 2, 0.5);
        assert_eq!(
            (several.values, several.task),
            (vec![0.75, 0.25], LabelTask::MultiLabel)
        );
    }
}
