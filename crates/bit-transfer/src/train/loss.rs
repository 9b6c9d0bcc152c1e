//! The loss on targets that are shares of classes, as mixup and label smoothing make them.

use burn::tensor::{Tensor, activation};

use crate::data::LabelTask;

/// A micro-batch's part of the mean loss of a step with `images` images, `[1]`: the parts of a step add up to the
/// loss of the whole batch, and so do their gradients.
///
/// torch's `CrossEntropyLoss` and `BCEWithLogitsLoss` with probabilities as targets.
///
/// # Shapes
///
/// - logits, targets: `[batch, classes]`
pub(crate) fn partial_loss(
    logits: Tensor<2>,
    targets: Tensor<2>,
    task: LabelTask,
    images: usize,
) -> Tensor<1> {
    let [_, classes] = logits.dims();
    match task {
        LabelTask::SingleLabel => -(activation::log_softmax(logits, 1) * targets).sum() / images as f64,
        LabelTask::MultiLabel => {
            let positive = activation::relu(logits.clone()) - logits.clone() * targets;
            (positive + (-logits.abs()).exp().log1p()).sum() / (images * classes.max(1)) as f64
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bit_model::{Labels, classification_loss};
    use burn::tensor::{Device, Int, Tolerance};

    use super::*;

    fn logits() -> Tensor<2> {
        Tensor::from_floats([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], &Device::flex())
    }

    #[test]
    fn whole_targets_give_the_model_crates_losses() {
        let device = Device::flex();
        let targets = Tensor::<2>::from_floats([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], &device);
        let classes = Tensor::<1, Int>::from_ints([2, 0], &device);
        for (task, labels) in [
            (LabelTask::SingleLabel, Labels::Classes(classes)),
            (LabelTask::MultiLabel, Labels::Targets(targets.clone())),
        ] {
            let found = partial_loss(logits(), targets.clone(), task, 2).into_data();
            let expected = classification_loss(logits(), labels, None).unwrap().into_data();
            found.assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let targets = Tensor::<2>::from_floats([[0.2, 0.0, 0.8], [1.0, 0.0, 0.0]], &Device::flex());
        for task in [LabelTask::SingleLabel, LabelTask::MultiLabel] {
            let loss = |rows: std::ops::Range<usize>| {
                let (logits, targets) = (logits(), targets.clone());
                partial_loss(logits.slice([rows.clone()]), targets.slice([rows]), task, 2)
                    .into_scalar::<f32>()
            };
            assert!((loss(0..1) + loss(1..2) - loss(0..2)).abs() < 1e-6);
        }
    }
}
