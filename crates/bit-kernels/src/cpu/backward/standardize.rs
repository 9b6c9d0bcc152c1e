//! The standardization of a weight as two numbers a filter, and its gradient.

use rayon::prelude::*;

/// Sums that are kept apart, so that they need not wait for each other.
const LANES: usize = 16;

/// What makes a standardized filter of a filter: `(w - mean) * factor`.
#[derive(Debug, Clone, Copy)]
pub struct Standardization {
    mean: f64,
    factor: f64,
}

impl Standardization {
    /// Those of every filter of `weight`, `[channels, …]`.
    ///
    /// # Panics
    /// When `channels` does not divide the number of values.
    pub fn of_filters(weight: &[f32], channels: usize, epsilon: f64) -> Vec<Standardization> {
        weight
            .par_chunks(filter_len(weight, channels))
            .map(|filter| {
                let count = filter.len() as f64;
                let mean = sum(filter, |w| w) / count;
                let variance = sum(filter, |w| (w - mean) * (w - mean)) / count;
                Standardization {
                    mean,
                    factor: 1.0 / (variance + epsilon).sqrt(),
                }
            })
            .collect()
    }

    /// The standardized value.
    #[inline(always)]
    pub(super) fn apply(self, value: f32) -> f32 {
        (value - self.mean as f32) * self.factor as f32
    }
}

/// The standardized weight.
///
/// # Panics
/// When there is not one standardization a filter.
pub fn standardized(weight: &[f32], filters: &[Standardization]) -> Vec<f32> {
    let mut values = weight.to_vec();
    values
        .par_chunks_mut(filter_len(weight, filters.len()))
        .zip(filters)
        .for_each(|(filter, with)| filter.iter_mut().for_each(|w| *w = with.apply(*w)));
    values
}

/// Turns the gradient of a standardized weight into that of the weight itself, in place.
///
/// # Panics
/// When the two have different lengths or there is not one standardization a filter.
pub fn unstandardize(gradient: &mut [f32], weight: &[f32], filters: &[Standardization]) {
    assert_eq!(
        gradient.len(),
        weight.len(),
        "a gradient for each value of the weight"
    );
    let size = filter_len(weight, filters.len());
    gradient
        .par_chunks_mut(size)
        .zip(weight.par_chunks(size))
        .zip(filters)
        .for_each(|((gradient, filter), with)| of_filter(gradient, filter, *with));
}

fn filter_len(weight: &[f32], channels: usize) -> usize {
    assert!(
        channels > 0 && weight.len().is_multiple_of(channels),
        "one filter for each of {channels} channels"
    );
    (weight.len() / channels).max(1)
}

/// With `s = (w - mean) * factor` the gradient is `factor * (g - mean(g) - s * mean(g * s))`.
fn of_filter(gradient: &mut [f32], filter: &[f32], with: Standardization) {
    let count = filter.len() as f64;
    let mean = sum(gradient, |g| g) / count;
    let mut along = [0.0f64; LANES];
    for (gradient, filter) in gradient.chunks(LANES).zip(filter.chunks(LANES)) {
        for ((along, &g), &w) in along.iter_mut().zip(gradient).zip(filter) {
            *along += f64::from(g * with.apply(w));
        }
    }
    let along = (along.iter().sum::<f64>() / count) as f32;
    let (mean, factor) = (mean as f32, with.factor as f32);
    for (g, &w) in gradient.iter_mut().zip(filter) {
        *g = factor * (*g - mean - with.apply(w) * along);
    }
}

fn sum(values: &[f32], of: impl Fn(f64) -> f64) -> f64 {
    let mut sums = [0.0f64; LANES];
    for values in values.chunks(LANES) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += of(f64::from(value));
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::standardize_weight;

    #[test]
    fn the_gradient_is_the_slope_of_the_standardization() {
        let weight: Vec<f32> = (0..18).map(|i| (i as f32 * 1.7).sin()).collect();
        let mut gradient: Vec<f32> = (0..18).map(|i| (i as f32 * 0.9).cos()).collect();
        let loss = |weight: &[f32]| {
            let mut standardized = weight.to_vec();
            standardize_weight(&mut standardized, 2, 1e-8);
            let terms = standardized.iter().enumerate();
            terms
                .map(|(i, &w)| f64::from(w) * (f64::from(i as f32 * 0.9)).cos())
                .sum::<f64>()
        };
        let step = 1e-2f32;
        let slopes: Vec<f64> = (0..18)
            .map(|i| {
                let moved = |by: f32| {
                    let mut weight = weight.clone();
                    weight[i] += by;
                    loss(&weight)
                };
                (moved(step) - moved(-step)) / f64::from(2.0 * step)
            })
            .collect();
        unstandardize(
            &mut gradient,
            &weight,
            &Standardization::of_filters(&weight, 2, 1e-8),
        );
        for (found, expected) in gradient.iter().zip(slopes) {
            assert!(
                (f64::from(*found) - expected).abs() < 2e-3,
                "{found} is not {expected}"
            );
        }
    }
}
