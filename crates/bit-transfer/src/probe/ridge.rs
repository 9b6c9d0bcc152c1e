//! Ridge regression on whitened features: big_vision's few-shot classifier (`evaluators/fewshot_lsr.py`).

use nalgebra::{DMatrix, DVector, RowDVector};

use super::cholesky;
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
/// The system that is solved is the smaller one, as in big_vision: of the images (dual) while there are fewer of them
/// than features, otherwise of the features (primal). Memory does not depend on the number of images: from `width` images
/// on they are added to sums of `width x (width + classes)` numbers in f64, to which the whitening, which needs the mean
/// and deviation of all images, is applied at the end. The solver is Cholesky's factorization, where big_vision takes
/// eigenvalues, because those only pay for several `l2` at once. The whitening is folded into the classifier.
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
    /// `[1, classes]`
    target_sum: RowDVector<f64>,
    gathered: Gathered,
}

/// What is kept of the shifted features and the targets.
#[derive(Clone, Debug)]
enum Gathered {
    /// All of them, an image after the other.
    Images { features: Vec<f64>, targets: Vec<f64> },
    /// Their products.
    Sums {
        /// `[width, width]`
        gram: DMatrix<f64>,
        /// `[width, classes]`
        cross: DMatrix<f64>,
    },
}

impl Ridge {
    /// Without images.
    pub fn new(width: usize, classes: usize) -> Self {
        Self {
            images: 0,
            shift: DVector::zeros(width),
            sum: DVector::zeros(width),
            target_sum: RowDVector::zeros(classes),
            gathered: Gathered::Images {
                features: Vec::new(),
                targets: Vec::new(),
            },
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
        let (width, classes) = (self.sum.len(), self.target_sum.len());
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
        let mut features = DMatrix::from_vec(width, images, doubles(features));
        let targets = DMatrix::from_vec(classes, images, doubles(targets));
        if self.images == 0 {
            self.shift = features.column_mean();
        }
        for mut image in features.column_iter_mut() {
            image -= &self.shift;
        }
        self.images += images;
        self.sum += features.column_sum();
        self.target_sum += targets.column_sum().transpose();
        self.gather(&features, &targets);
        Ok(())
    }

    /// Takes in shifted features `[width, images]` and targets `[classes, images]`.
    fn gather(&mut self, features: &DMatrix<f64>, targets: &DMatrix<f64>) {
        match &mut self.gathered {
            Gathered::Images {
                features: all,
                targets: all_targets,
            } => {
                all.extend_from_slice(features.as_slice());
                all_targets.extend_from_slice(targets.as_slice());
                if self.images >= self.sum.len() {
                    self.sum_up();
                }
            }
            Gathered::Sums { gram, cross } => {
                gram.gemm(1.0, features, &features.transpose(), 1.0);
                cross.gemm(1.0, features, &targets.transpose(), 1.0);
            }
        }
    }

    /// Puts products in the place of the images, if that has not been done.
    fn sum_up(&mut self) {
        let (width, classes) = (self.sum.len(), self.target_sum.len());
        let sums = Gathered::Sums {
            gram: DMatrix::zeros(width, width),
            cross: DMatrix::zeros(width, classes),
        };
        if let Gathered::Images { features, targets } = std::mem::replace(&mut self.gathered, sums) {
            let features = DMatrix::from_vec(width, self.images, features);
            self.gather(&features, &DMatrix::from_vec(classes, self.images, targets));
        }
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
        let images = self.images as f64;
        let mean = self.sum / images;
        let target_mean = self.target_sum / images;
        let weights = match self.gathered {
            Gathered::Sums { gram, cross } => primal(gram, cross, &mean, &target_mean, images, l2),
            Gathered::Images { features, targets } => {
                let features = DMatrix::from_vec(mean.len(), self.images, features);
                let targets = DMatrix::from_vec(target_mean.len(), self.images, targets);
                dual(features, targets, &mean, &target_mean, l2)
            }
        }?;
        // Whitened features sum to zero, so that the constant one has an equation of its own.
        let square = BIAS_CONSTANT * BIAS_CONSTANT;
        let constant = target_mean * (images * square / (images * square + l2));
        let bias = constant - weights.tr_mul(&(self.shift + mean)).transpose();
        let singles = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        Ok(LinearHead {
            weight: singles(weights.as_slice()),
            bias: singles(bias.as_slice()),
        })
    }
}

/// Weights `[width, classes]` by the features' equations.
fn primal(
    mut gram: DMatrix<f64>,
    mut cross: DMatrix<f64>,
    mean: &DVector<f64>,
    target_mean: &RowDVector<f64>,
    images: f64,
    l2: f64,
) -> Result<DMatrix<f64>, TransferError> {
    gram.ger(-images, mean, mean, 1.0);
    cross.gemm(-images, mean, target_mean, 1.0);
    let std = gram.diagonal().map(|square| deviation(square / images));
    for (feature, mut column) in gram.column_iter_mut().enumerate() {
        column.component_div_assign(&std);
        column /= std[feature];
        column[feature] += l2;
    }
    divide_rows(&mut cross, &std);
    let mut weights = cholesky::solve(gram, cross).ok_or_else(|| too_small(l2))?;
    divide_rows(&mut weights, &std);
    Ok(weights)
}

/// The same weights by the images' equations, from features `[width, images]` and targets `[classes, images]`.
fn dual(
    mut features: DMatrix<f64>,
    mut targets: DMatrix<f64>,
    mean: &DVector<f64>,
    target_mean: &RowDVector<f64>,
    l2: f64,
) -> Result<DMatrix<f64>, TransferError> {
    let images = features.ncols() as f64;
    for mut image in features.column_iter_mut() {
        image -= mean;
    }
    for mut image in targets.column_iter_mut() {
        image -= target_mean.transpose();
    }
    let squares = features.map(|value| value * value).column_sum();
    let std = squares.map(|square| deviation(square / images));
    divide_rows(&mut features, &std);
    let mut gram = features.tr_mul(&features);
    // Centered images depend on each other, so that nothing but the penalty keeps the system regular.
    if l2 <= f64::EPSILON * gram.trace() {
        return Err(too_small(l2));
    }
    for image in 0..gram.nrows() {
        gram[(image, image)] += l2;
    }
    let shares = cholesky::solve(gram, targets.transpose()).ok_or_else(|| too_small(l2))?;
    let mut weights = features * shares;
    divide_rows(&mut weights, &std);
    Ok(weights)
}

/// What a feature of this variance is divided by.
fn deviation(variance: f64) -> f64 {
    variance.max(0.0).sqrt() + STD_EPS
}

fn divide_rows(matrix: &mut DMatrix<f64>, by: &DVector<f64>) {
    for mut column in matrix.column_iter_mut() {
        column.component_div_assign(by);
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
    fn images_and_features_give_the_same_classifier() {
        let wave = |i: usize, speed: f32| (i as f32 * speed).sin();
        let mut by_images = Ridge::new(40, 3);
        let features: Vec<f32> = (0..40 * 30).map(|i| 5.0 + wave(i * i % 1009, 0.37)).collect();
        let targets: Vec<f32> = (0..3 * 30).map(|i| wave(i, 1.7).signum()).collect();
        by_images.add(&features, &targets).unwrap();
        assert!(matches!(by_images.gathered, Gathered::Images { .. }));
        let mut by_features = by_images.clone();
        by_features.sum_up();
        let [by_images, by_features] = [by_images, by_features].map(|ridge| ridge.fit(2.0).unwrap());
        let all = |head: &LinearHead| [&head.weight[..], &head.bias].concat();
        for (found, expected) in all(&by_images).into_iter().zip(all(&by_features)) {
            assert!((found - expected).abs() < 1e-6, "{found} instead of {expected}");
        }
    }

    #[test]
    fn many_images_are_kept_as_sums() {
        let mut ridge = Ridge::new(2, 1);
        ridge.add(&[1.0, 2.0], &[1.0]).unwrap();
        assert!(matches!(ridge.gathered, Gathered::Images { .. }));
        ridge.add(&[2.0, 1.0], &[-1.0]).unwrap();
        assert!(matches!(ridge.gathered, Gathered::Sums { .. }));
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
