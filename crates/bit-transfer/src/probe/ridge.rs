//! Ridge regression on whitened features: big_vision's few-shot classifier (`evaluators/fewshot_lsr.py`).

use nalgebra::{Cholesky, DMatrix, DVector, RowDVector};

use crate::TransferError;

/// Appended to the features in the place of a bias: so large that its weight is hardly regularized.
const BIAS_CONSTANT: f64 = 100.0;
/// Added to the standard deviations, so that a constant feature can be divided by its own.
const STD_EPS: f64 = 1e-5;

/// A linear classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearHead {
    /// `[classes, features]`, row-major.
    pub weight: Vec<f32>,
    /// `[classes]`
    pub bias: Vec<f32>,
}

/// Fits a linear classifier in closed form: features whitened by their mean and standard deviation, a constant 100
/// appended, targets ±1, squared error plus `l2` times the squared weights.
///
/// Images are added batch by batch to sums whose size does not depend on their number: `width x (width + classes)`
/// numbers in f64. The whitening needs the mean and deviation of all images, and is applied to the sums. The system is
/// solved by Cholesky's factorization, where big_vision takes eigenvalues, because those only pay for several `l2` at
/// once. The whitening is folded into the classifier.
///
/// ```
/// use bit_transfer::probe::Ridge;
///
/// let mut ridge = Ridge::new(2, 1);
/// ridge.add(&[1.0, 5.0, -1.0, 5.0], &[1.0, -1.0])?; // two images of two features
/// let head = ridge.fit(0.1)?;
/// assert!(head.weight[0] > 0.9 && head.weight[1].abs() < 1e-6);
/// # Ok::<(), bit_transfer::TransferError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ridge {
    images: usize,
    /// The first batch's mean, taken from all features: sums of squares far from zero would lose digits.
    shift: DVector<f64>,
    /// Of the shifted features.
    sum: DVector<f64>,
    /// Products of shifted features, `[width, width]`.
    gram: DMatrix<f64>,
    /// `[1, classes]`
    target_sum: RowDVector<f64>,
    /// Products of shifted features and targets, `[width, classes]`.
    cross: DMatrix<f64>,
}

impl Ridge {
    /// Without images.
    pub fn new(width: usize, classes: usize) -> Self {
        Self {
            images: 0,
            shift: DVector::zeros(width),
            sum: DVector::zeros(width),
            gram: DMatrix::zeros(width, width),
            target_sum: RowDVector::zeros(classes),
            cross: DMatrix::zeros(width, classes),
        }
    }

    /// Adds a batch.
    ///
    /// # Shapes
    ///
    /// - features: `[images, width]`, row-major
    /// - targets: `[images, classes]`, row-major, in [-1, 1]
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] when the lengths do not fit together or a feature is not finite.
    pub fn add(&mut self, features: &[f32], targets: &[f32]) -> Result<(), TransferError> {
        let (width, classes) = self.cross.shape();
        let images = features.len() / width.max(1);
        if features.len() != images * width || targets.len() != images * classes {
            return Err(TransferError::Argument(format!(
                "{} features and {} targets are not those of images with {width} features and {classes} classes",
                features.len(),
                targets.len()
            )));
        }
        if let Some(value) = features.iter().find(|value| !value.is_finite()) {
            return Err(TransferError::Argument(format!(
                "a feature is {value}; the network gives no usable features for these images"
            )));
        }
        if images == 0 {
            return Ok(());
        }
        let doubles = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
        // Row-major images are the columns of the transposed matrix.
        let mut transposed = DMatrix::from_vec(width, images, doubles(features));
        let targets = DMatrix::from_row_slice(images, classes, &doubles(targets));
        if self.images == 0 {
            self.shift = transposed.column_mean();
        }
        for mut image in transposed.column_iter_mut() {
            image -= &self.shift;
        }
        self.images += images;
        self.sum += transposed.column_sum();
        self.target_sum += targets.row_sum();
        self.gram.gemm(1.0, &transposed, &transposed.transpose(), 1.0);
        self.cross.gemm(1.0, &transposed, &targets, 1.0);
        Ok(())
    }

    /// The classifier, on features as they come from the network.
    ///
    /// # Errors
    ///
    /// [`TransferError::Argument`] without images, or when `l2` is not positive, or too small for what f64 can tell
    /// apart.
    pub fn fit(self, l2: f64) -> Result<LinearHead, TransferError> {
        if self.images == 0 {
            return Err(TransferError::Argument(
                "there are no images to fit a head to".into(),
            ));
        }
        check_penalty(l2)?;
        let Self {
            shift,
            sum,
            mut gram,
            target_sum,
            mut cross,
            ..
        } = self;
        let images = self.images as f64;
        gram.ger(-1.0 / images, &sum, &sum, 1.0);
        cross.gemm(-1.0 / images, &sum, &target_sum, 1.0);
        let mean = shift + sum / images;
        let std = gram
            .diagonal()
            .map(|square| (square.max(0.0) / images).sqrt() + STD_EPS);
        for (feature, mut column) in gram.column_iter_mut().enumerate() {
            column.component_div_assign(&std);
            column /= std[feature];
            column[feature] += l2;
        }
        for mut column in cross.column_iter_mut() {
            column.component_div_assign(&std);
        }
        let mut weights = Cholesky::new(gram).ok_or_else(|| too_small(l2))?.solve(&cross);
        for mut column in weights.column_iter_mut() {
            column.component_div_assign(&std);
        }
        // Whitened features sum to zero, so that the constant one has an equation of its own.
        let constant =
            target_sum * (BIAS_CONSTANT * BIAS_CONSTANT / (images * BIAS_CONSTANT * BIAS_CONSTANT + l2));
        let bias = constant - weights.tr_mul(&mean).transpose();
        let singles = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Ok(LinearHead {
            weight: singles(weights.as_slice()),
            bias: singles(bias.as_slice()),
        })
    }
}

/// Whether a penalty of the squared weights is one.
pub(super) fn check_penalty(l2: f64) -> Result<(), TransferError> {
    match l2 > 0.0 && l2.is_finite() {
        true => Ok(()),
        false => Err(TransferError::Argument(format!("l2 is {l2}; it must be above 0"))),
    }
}

/// A penalty that is lost in the values leaves features that depend on each other.
fn too_small(l2: f64) -> TransferError {
    TransferError::Argument(format!(
        "l2 is {l2}; that is too small for these images, whose features depend on each other"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Features, targets and the answers of `tests/reference/probe.py`.
    fn fixture() -> serde_json::Value {
        serde_json::from_str(include_str!("ridge_by_numpy.json")).unwrap()
    }

    fn numbers(value: &serde_json::Value) -> Vec<f32> {
        let rows = value.as_array().unwrap().iter();
        rows.flat_map(|row| match row.as_array() {
            Some(row) => row.iter().map(|x| x.as_f64().unwrap() as f32).collect(),
            None => vec![row.as_f64().unwrap() as f32],
        })
        .collect()
    }

    #[test]
    fn scores_are_those_of_big_visions_formula_in_numpy() {
        let cases = fixture();
        for case in cases.as_array().unwrap() {
            let (features, targets) = (numbers(&case["features"]), numbers(&case["targets"]));
            let images = case["features"].as_array().unwrap().len();
            let width = features.len() / images;
            let mut ridge = Ridge::new(width, targets.len() / images);
            // In two batches of different sizes.
            let (classes, first) = (targets.len() / images, images / 3);
            for range in [0..first, first..images] {
                let (features, targets) = (
                    &features[range.start * width..range.end * width],
                    &targets[range.start * classes..range.end * classes],
                );
                ridge.add(features, targets).unwrap();
            }
            let head = ridge.fit(case["l2"].as_f64().unwrap()).unwrap();
            let scores = features.chunks(width).flat_map(|image| {
                let product = |row: &[f32]| row.iter().zip(image).map(|(a, b)| a * b).sum::<f32>();
                let (rows, bias) = (head.weight.chunks(width), &head.bias);
                rows.zip(bias)
                    .map(move |(row, bias)| product(row) + bias)
                    .collect::<Vec<_>>()
            });
            for (found, expected) in scores.zip(numbers(&case["scores"])) {
                assert!(
                    (found - expected).abs() < 2e-4,
                    "{}: {found} instead of {expected}",
                    case["name"]
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        let message = |features: &[f32], targets: &[f32], l2| {
            let mut ridge = Ridge::new(2, 1);
            let head = ridge.add(features, targets).and_then(|()| ridge.fit(l2));
            head.unwrap_err().to_string()
        };
        assert!(message(&[1.0, 2.0, 3.0], &[1.0], 1.0).contains("not those of images with 2 features"));
        assert!(message(&[1.0, 2.0], &[1.0, 1.0], 1.0).contains("2 features and 2 targets"));
        assert!(message(&[], &[], 1.0).contains("no images"));
        assert!(message(&[1.0, f32::NAN], &[1.0], 1.0).contains("NaN"));
        assert!(message(&[1.0, 2.0], &[1.0], 0.0).contains("above 0"));
        // Three images span two dimensions of eight; the rest is the penalty's.
        let mut few = Ridge::new(8, 1);
        let features: Vec<f32> = (0..24).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        few.add(&features, &[1.0, -1.0, 1.0]).unwrap();
        assert!(
            few.clone()
                .fit(1e-300)
                .unwrap_err()
                .to_string()
                .contains("too small")
        );
        assert!(few.fit(1.0).is_ok());
    }
}
