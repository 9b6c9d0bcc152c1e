//! Whether confidence is accuracy.

/// Number of equally wide bins.
const BINS: usize = 15;

/// The expected calibration error (Naeini et al. 2015; Guo et al. 2017) with 15 bins `(k/15, (k+1)/15]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Calibration([Bin; BINS]);

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    decisions: u64,
    right: u64,
    confidence: f64,
}

impl Calibration {
    /// Adds a decision with its confidence in [0, 1].
    pub(super) fn add(&mut self, confidence: f64, right: bool) {
        let bin = (confidence * BINS as f64).ceil() as usize;
        let bin = &mut self.0[bin.clamp(1, BINS) - 1];
        bin.decisions += 1;
        bin.right += u64::from(right);
        bin.confidence += confidence;
    }

    /// Mean distance of a bin's accuracy from its mean confidence, weighted by decisions.
    pub(super) fn error(&self) -> f64 {
        let decisions: u64 = self.0.iter().map(|bin| bin.decisions).sum();
        let distance: f64 = self
            .0
            .iter()
            .map(|bin| (bin.right as f64 - bin.confidence).abs())
            .sum();
        distance / decisions.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_that_equals_accuracy_is_no_error() {
        let mut calibration = Calibration::default();
        for right in [true, true, true, false] {
            calibration.add(0.75, right);
        }
        assert!(calibration.error() < 1e-12);
        calibration.add(1.0, false);
        assert!((calibration.error() - 0.2).abs() < 1e-12);
    }
}
