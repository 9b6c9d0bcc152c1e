//! Mixup: a step's images and targets as mixtures of two (Zhang et al. 2018, <https://arxiv.org/abs/1710.09412>).

use crate::TransferError;
use crate::data::{Batch, Random};
use crate::train::targets::SoftTargets;

/// How the images of one optimizer step are mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Share of each image in its own mixture.
    pub lambda: f64,
    /// For each image the one that it is mixed with.
    pub partner: Vec<usize>,
}

impl Mix {
    /// One lambda ~ Beta(alpha, alpha) and one random permutation, which depend on seed and step only.
    pub fn draw(alpha: f64, images: usize, seed: u64, step: usize) -> Self {
        let mut random = Random::new(seed, "mixup", step as u64);
        Self {
            lambda: beta(alpha, &mut random),
            partner: random.permutation(images),
        }
    }

    /// Whether it is for this many images.
    pub(crate) fn check(&self, images: usize) -> Result<(), TransferError> {
        let fits = self.partner.len() == images && self.partner.iter().all(|partner| *partner < images);
        fits.then_some(()).ok_or_else(|| {
            let found = self.partner.len();
            TransferError::Argument(format!(
                "a mixture for {found} images cannot be used on a batch of {images}"
            ))
        })
    }

    /// Mixes images and targets.
    pub(crate) fn apply(&self, batch: &mut Batch, targets: &mut SoftTargets) {
        self.mix_rows(&mut batch.pixels);
        self.mix_rows(&mut targets.values);
    }

    fn mix_rows(&self, values: &mut Vec<f32>) {
        let width = values.len() / self.partner.len().max(1);
        let (own, other) = (self.lambda as f32, (1.0 - self.lambda) as f32);
        let mut mixed = Vec::with_capacity(values.len());
        for (row, partner) in values.chunks_exact(width.max(1)).zip(&self.partner) {
            let partner = &values[partner * width..(partner + 1) * width];
            mixed.extend(row.iter().zip(partner).map(|(a, b)| own * a + other * b));
        }
        *values = mixed;
    }
}

/// Beta(alpha, alpha) by Jöhnk's method, whose powers are compared as logarithms: for a small alpha most of them are
/// below the smallest number there is.
fn beta(alpha: f64, random: &mut Random) -> f64 {
    let mut logarithm = || (1.0 - random.unit()).ln() / alpha;
    loop {
        let (x, y) = (logarithm(), logarithm());
        let largest = x.max(y);
        let sum = largest + ((x - largest).exp() + (y - largest).exp()).ln();
        if sum <= 0.0 {
            return (x - sum).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Targets;

    #[test]
    fn mixtures_hold_both_images_and_both_labels_in_the_same_shares() {
        let mut batch = Batch {
            pixels: vec![0.0, 8.0, 4.0, 0.0],
            shape: [2, 1, 1, 2],
            labels: Targets::Classes(vec![0, 3]),
            examples: vec![0, 1],
        };
        let mut targets = SoftTargets::new(&batch.labels, 4, 0.0);
        let mix = Mix {
            lambda: 0.75,
            partner: vec![1, 0],
        };
        mix.apply(&mut batch, &mut targets);
        assert_eq!(batch.pixels, [1.0, 6.0, 3.0, 2.0]);
        assert_eq!(targets.values, [0.75, 0.0, 0.0, 0.25, 0.25, 0.0, 0.0, 0.75]);
    }

    #[test]
    fn draws_depend_on_seed_and_step_only() {
        let draw = |seed, step| Mix::draw(0.1, 8, seed, step);
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
    }

    #[test]
    fn lambda_has_the_moments_of_the_beta_distribution() {
        for alpha in [0.1, 1.0, 5.0] {
            let draws: Vec<f64> = (0..20_000)
                .map(|step| Mix::draw(alpha, 0, 0, step).lambda)
                .collect();
            let mean =
                |power: i32| draws.iter().map(|x| (x - 0.5).powi(power)).sum::<f64>() / draws.len() as f64;
            let variance = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!(
                mean(1).abs() < 0.01,
                "alpha {alpha}: the mean is off by {}",
                mean(1)
            );
            assert!(
                (mean(2) / variance - 1.0).abs() < 0.03,
                "alpha {alpha}: variance {}",
                mean(2)
            );
            assert!(draws.iter().all(|x| (0.0..=1.0).contains(x)));
        }
    }
}
