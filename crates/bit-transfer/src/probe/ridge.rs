//! Ridge regression on whitened features: big_vision's few-shot classifier (`evaluators/fewshot_lsr.py`).

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

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
/// The system that is solved is the smaller of features by features and images by images, which give the same. It is
/// solved by Cholesky's factorization, where big_vision takes eigenvalues, because those only pay for several `l2` at
/// once. The whitening is folded into the classifier.
///
/// # Shapes
///
/// - features: `[images, width]`, row-major
/// - targets: `[images, classes]`, row-major, in [-1, 1]
///
/// # Errors
///
/// [`TransferError::Argument`] when the lengths do not fit together, a feature is not finite, or `l2` is not positive.
pub fn fit_ridge(
    features: &[f32],
    targets: &[f32],
    images: usize,
    l2: f64,
) -> Result<LinearHead, TransferError> {
    let divides = images > 0 && features.len().is_multiple_of(images) && targets.len().is_multiple_of(images);
    let problem = if !divides || features.is_empty() || targets.is_empty() {
        format!(
            "{} features and {} targets are not those of {images} images",
            features.len(),
            targets.len()
        )
    } else if !(l2 > 0.0 && l2.is_finite()) {
        format!("l2 is {l2}; it must be above 0")
    } else if let Some(value) = features.iter().find(|value| !value.is_finite()) {
        format!("a feature is {value}; the network gives no usable features for these images")
    } else {
        let whitened = Whitened::new(features, images);
        let targets = DMatrix::from_row_iterator(
            images,
            targets.len() / images,
            targets.iter().map(|&y| f64::from(y)),
        );
        return Ok(whitened.head(&whitened.solve(&targets, l2)?));
    };
    Err(TransferError::Argument(problem))
}

struct Whitened {
    /// `[images, width + 1]`, the last column constant.
    x: DMatrix<f64>,
    mean: DVector<f64>,
    std: DVector<f64>,
}

impl Whitened {
    fn new(features: &[f32], images: usize) -> Self {
        let width = features.len() / images;
        let mut x = DMatrix::from_element(images, width + 1, BIAS_CONSTANT);
        let (mut mean, mut std) = (DVector::zeros(width), DVector::zeros(width));
        for feature in 0..width {
            let values = || {
                features
                    .iter()
                    .skip(feature)
                    .step_by(width)
                    .map(|&value| f64::from(value))
            };
            let average = values().sum::<f64>() / images as f64;
            let variance = values().map(|value| (value - average).powi(2)).sum::<f64>() / images as f64;
            (mean[feature], std[feature]) = (average, variance.sqrt() + STD_EPS);
            for (image, value) in values().enumerate() {
                x[(image, feature)] = (value - average) / std[feature];
            }
        }
        Self { x, mean, std }
    }

    /// Weights of the whitened features, `[width + 1, classes]`.
    fn solve(&self, targets: &DMatrix<f64>, l2: f64) -> Result<DMatrix<f64>, TransferError> {
        let (images, width) = self.x.shape();
        let transposed = self.x.transpose();
        Ok(if images >= width {
            regularized(&transposed * &self.x, l2)?.solve(&(transposed * targets))
        } else {
            &transposed * regularized(&self.x * &transposed, l2)?.solve(targets)
        })
    }

    /// The same classifier on features as they come from the network.
    fn head(&self, weights: &DMatrix<f64>) -> LinearHead {
        let width = self.mean.len();
        let mut head = LinearHead {
            weight: Vec::with_capacity(width * weights.ncols()),
            bias: Vec::with_capacity(weights.ncols()),
        };
        for class in weights.column_iter() {
            let scaled = |feature: usize| class[feature] / self.std[feature];
            let moved: f64 = (0..width)
                .map(|feature| scaled(feature) * self.mean[feature])
                .sum();
            head.weight
                .extend((0..width).map(|feature| scaled(feature) as f32));
            head.bias.push((class[width] * BIAS_CONSTANT - moved) as f32);
        }
        head
    }
}

/// Positive definite but for rounding: a penalty that is lost in the values leaves copies of an image alike.
fn regularized(mut gram: DMatrix<f64>, l2: f64) -> Result<Cholesky<f64, Dyn>, TransferError> {
    for i in 0..gram.nrows() {
        gram[(i, i)] += l2;
    }
    Cholesky::new(gram).ok_or_else(|| {
        TransferError::Argument(format!(
            "l2 is {l2}; that is too small for these images, of which some are almost the same"
        ))
    })
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
            let head = fit_ridge(&features, &targets, images, case["l2"].as_f64().unwrap()).unwrap();
            let width = features.len() / images;
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
    fn both_sides_of_the_formula_give_the_same() {
        let features: Vec<f32> = (0..20).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        let targets = [1.0, -1.0, -1.0, 1.0];
        // 4 images of 5 features, and 20 copies of them, whose weights are then those of a 20th of the penalty.
        let once = fit_ridge(&features, &targets, 4, 1.0).unwrap();
        let often = fit_ridge(&features.repeat(20), &targets.repeat(20), 80, 20.0).unwrap();
        for (a, b) in once
            .weight
            .iter()
            .chain(&once.bias)
            .zip(often.weight.iter().chain(&often.bias))
        {
            assert!((a - b).abs() < 1e-5, "{a} and {b}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_an_error() {
        let message = |features: &[f32], images, l2| {
            fit_ridge(features, &[1.0, -1.0], images, l2)
                .unwrap_err()
                .to_string()
        };
        assert!(message(&[1.0, 2.0, 3.0], 2, 1.0).contains("not those of 2 images"));
        assert!(message(&[], 0, 1.0).contains("not those of 0 images"));
        assert!(message(&[1.0, f32::NAN], 2, 1.0).contains("NaN"));
        assert!(message(&[1.0, 2.0], 2, 0.0).contains("above 0"));
        let copies = [0.1, 0.7, -0.3].repeat(2);
        let error = fit_ridge(&copies, &[1.0, -1.0], 2, 1e-300)
            .unwrap_err()
            .to_string();
        assert!(error.contains("l2 is"), "{error}");
    }
}
