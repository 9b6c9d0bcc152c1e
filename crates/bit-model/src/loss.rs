//! The losses of transformers' `ForImageClassification`.

use bit_config::ProblemType;
use burn::tensor::{Int, Tensor, activation};

use crate::error::ModelError;

/// What the pictures of a batch should be classified as.
#[derive(Debug, Clone)]
pub enum Labels {
    /// The index of the one right class of each picture, `[batch]`.
    Classes(Tensor<1, Int>),
    /// A number for each output: 0 or 1 for each of several labels, or the values of a regression,
    /// `[batch, num_labels]`.
    Targets(Tensor<2>),
}

/// Mean loss over the batch, `[1]`.
///
/// Without a problem type it is told from the labels as transformers does: one output is a regression,
/// class indices are single-label, anything else is multi-label.
///
/// # Shapes
///
/// - logits: `[batch, num_labels]`
///
/// # Errors
///
/// When the labels' shape does not fit the logits or the problem, or a class index is out of range.
pub fn classification_loss(
    logits: Tensor<2>,
    labels: Labels,
    problem_type: Option<ProblemType>,
) -> Result<Tensor<1>, ModelError> {
    let [_, num_labels] = logits.dims();
    let problem = problem_type.unwrap_or(match (&labels, num_labels) {
        (_, 1) => ProblemType::Regression,
        (Labels::Classes(_), _) => ProblemType::SingleLabelClassification,
        (Labels::Targets(_), _) => ProblemType::MultiLabelClassification,
    });
    match problem {
        ProblemType::Regression => Ok(mean_squared_error(
            logits.clone(),
            targets(logits, labels, problem)?,
        )),
        ProblemType::SingleLabelClassification => cross_entropy(logits, labels),
        ProblemType::MultiLabelClassification => Ok(binary_cross_entropy(
            logits.clone(),
            targets(logits, labels, problem)?,
        )),
    }
}

/// Labels as numbers of the logits' shape; class indices count as the one value of a regression.
fn targets(logits: Tensor<2>, labels: Labels, problem: ProblemType) -> Result<Tensor<2>, ModelError> {
    let shape = logits.dims();
    let targets = match labels {
        Labels::Targets(targets) if targets.dims() == shape => targets,
        Labels::Classes(classes) if [classes.dims()[0], 1] == shape => classes.float().reshape(shape),
        Labels::Targets(targets) => return Err(misfit(&targets.dims(), shape, problem)),
        Labels::Classes(classes) => return Err(misfit(&classes.dims(), shape, problem)),
    };
    Ok(targets.cast(burn::tensor::FloatDType::from(logits.dtype())))
}

fn misfit(labels: &[usize], logits: [usize; 2], problem: ProblemType) -> ModelError {
    ModelError::LabelShape {
        labels: labels.to_vec(),
        logits,
        problem,
    }
}

fn mean_squared_error(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (logits - targets).square().mean()
}

/// `max(x, 0) - x y + ln(1 + exp(-|x|))`, torch's `BCEWithLogitsLoss`.
fn binary_cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let positive = activation::relu(logits.clone()) - logits.clone() * targets;
    (positive + (-logits.abs()).exp().log1p()).mean()
}

fn cross_entropy(logits: Tensor<2>, labels: Labels) -> Result<Tensor<1>, ModelError> {
    let problem = ProblemType::SingleLabelClassification;
    let shape @ [batch, num_labels] = logits.dims();
    let classes = match labels {
        Labels::Classes(classes) if classes.dims() == [batch] => classes,
        Labels::Classes(classes) => return Err(misfit(&classes.dims(), shape, problem)),
        Labels::Targets(targets) => return Err(misfit(&targets.dims(), shape, problem)),
    };
    let range = classes
        .clone()
        .into_data()
        .iter::<i64>()
        .find(|class| !(0..num_labels as i64).contains(class));
    if let Some(found) = range {
        return Err(ModelError::LabelRange { found, num_labels });
    }
    let log_probabilities = activation::log_softmax(logits, 1);
    Ok(-log_probabilities.gather(1, classes.reshape([batch, 1])).mean())
}
