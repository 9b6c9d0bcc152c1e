//! What a run comes to.

use serde::{Deserialize, Serialize};

use crate::data::Skipped;
use crate::metrics::Report;

/// Validation scores after a number of steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Steps taken.
    pub steps: usize,
    /// Mean loss.
    pub loss: f64,
    /// Share of pictures whose highest score is on a right class, in [0, 1].
    pub top1: f64,
    /// Share of pictures with a right class among the five highest scores.
    pub top5: f64,
}

impl Score {
    /// More pictures right, or as many at a lower loss.
    pub(crate) fn beats(&self, other: &Self) -> bool {
        (self.top1, -self.loss) > (other.top1, -other.loss)
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Steps taken, those before a resume included.
    pub steps: usize,
    /// Whether the observer ended it early.
    pub stopped: bool,
    /// Validation scores of the result.
    pub validation: Option<Score>,
    /// Scores of the result on the test data.
    pub test: Option<Report>,
    /// Pictures that could not be used.
    pub skipped: Vec<Skipped>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_right_pictures_are_better_and_then_a_lower_loss() {
        let score = |top1, loss| Score {
            steps: 1,
            loss,
            top1,
            top5: 1.0,
        };
        assert!(score(0.9, 2.0).beats(&score(0.8, 1.0)));
        assert!(score(0.9, 1.0).beats(&score(0.9, 2.0)));
        assert!(!score(0.9, 1.0).beats(&score(0.9, 1.0)));
    }
}
