//! Labels as numbers that the network should say.

use crate::data::{LabelTask, Targets};

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
