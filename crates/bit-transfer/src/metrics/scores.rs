//! What one picture's scores say.

/// The logits of one picture, one of each class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scores<'a>(pub(super) &'a [f32]);

impl Scores<'_> {
    /// The class with the highest score, the first of several.
    pub(super) fn best(self) -> usize {
        (1..self.0.len()).fold(
            0,
            |best, class| if self.0[class] > self.0[best] { class } else { best },
        )
    }

    /// How many classes come before this one.
    pub(super) fn rank(self, class: usize) -> usize {
        let own = self.0[class];
        let before = |(other, score): (usize, &f32)| *score > own || (*score == own && other < class);
        self.0.iter().enumerate().filter(|entry| before(*entry)).count()
    }

    /// Logarithm of the softmax's denominator.
    fn log_sum(self) -> f64 {
        let highest = f64::from(self.0.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = self
            .0
            .iter()
            .map(|score| (f64::from(*score) - highest).exp())
            .sum();
        highest + sum.ln()
    }

    /// Cross entropy of the softmax.
    pub(super) fn cross_entropy(self, class: usize) -> f64 {
        self.log_sum() - f64::from(self.0[class])
    }

    /// The softmax's probability of a class.
    pub(super) fn softmax(self, class: usize) -> f64 {
        (-self.cross_entropy(class)).exp()
    }

    /// The sigmoid's probability of a class.
    pub(super) fn sigmoid(self, class: usize) -> f64 {
        1.0 / (1.0 + (-f64::from(self.0[class])).exp())
    }

    /// Mean binary cross entropy of the sigmoids; `targets` are 0 or 1.
    pub(super) fn binary_cross_entropy(self, targets: &[f32]) -> f64 {
        let loss = |(score, target): (&f32, &f32)| {
            let (score, target) = (f64::from(*score), f64::from(*target));
            score.max(0.0) - score * target + (-score.abs()).exp().ln_1p()
        };
        self.0.iter().zip(targets).map(loss).sum::<f64>() / self.0.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_scores_have_finite_losses() {
        let scores = Scores(&[1e30, -1e30, 0.0]);
        assert_eq!(
            (scores.best(), scores.cross_entropy(0), scores.softmax(0)),
            (0, 0.0, 1.0)
        );
        assert!(scores.cross_entropy(1).is_finite());
        assert!(scores.binary_cross_entropy(&[0.0, 1.0, 1.0]).is_finite());
    }

    #[test]
    fn of_equal_scores_the_first_class_comes_first() {
        let scores = Scores(&[1.0, 3.0, 3.0, 2.0]);
        assert_eq!([0, 1, 2, 3].map(|class| scores.rank(class)), [3, 0, 1, 2]);
        assert_eq!(scores.best(), 1);
    }
}
