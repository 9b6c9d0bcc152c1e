//! From logits to the scores that transformers' image classification pipeline gives.

use bit_config::{BitConfig, ProblemType};
use serde::Serialize;

use crate::args::ScoresName;

/// What is done to the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    Softmax,
    Sigmoid,
    Logits,
}

/// One class of an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    pub label: String,
    pub index: usize,
    pub score: f32,
}

impl Scores {
    /// Follows the configuration where the user left it open (`ImageClassificationPipeline.postprocess`).
    pub fn new(name: ScoresName, config: &BitConfig) -> Self {
        match name {
            ScoresName::Softmax => Self::Softmax,
            ScoresName::Sigmoid => Self::Sigmoid,
            ScoresName::Logits => Self::Logits,
            ScoresName::Auto => match (config.problem_type, config.num_labels()) {
                (Some(ProblemType::Regression), _) => Self::Logits,
                (Some(ProblemType::MultiLabelClassification), _) | (_, 1) => Self::Sigmoid,
                _ => Self::Softmax,
            },
        }
    }

    /// The scores of one image.
    pub fn of(self, logits: &[f32]) -> Vec<f32> {
        match self {
            Self::Logits => logits.to_vec(),
            Self::Sigmoid => logits
                .iter()
                .map(|&x| (1.0 / (1.0 + f64::from(-x).exp())) as f32)
                .collect(),
            Self::Softmax => softmax(logits),
        }
    }
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|&x| f64::from(x - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / sum) as f32).collect()
}

/// The best classes, best first, equal ones in the order of the classes; `top_k` 0 means all of them.
pub fn predictions(scores: &[f32], top_k: usize, config: &BitConfig) -> Vec<Prediction> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let kept = if top_k == 0 { order.len() } else { top_k };
    let prediction = |index| Prediction {
        label: config.label(index),
        index,
        score: scores[index],
    };
    order.into_iter().take(kept).map(prediction).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn auto(problem_type: Option<ProblemType>, labels: usize) -> Scores {
        let config = BitConfig {
            problem_type,
            ..BitConfig::default()
        }
        .with_num_labels(labels);
        Scores::new(ScoresName::Auto, &config)
    }

    #[test]
    fn the_problem_type_decides_as_in_transformers() {
        assert_eq!(auto(None, 10), Scores::Softmax);
        assert_eq!(auto(None, 1), Scores::Sigmoid);
        assert_eq!(
            auto(Some(ProblemType::SingleLabelClassification), 2),
            Scores::Softmax
        );
        assert_eq!(
            auto(Some(ProblemType::MultiLabelClassification), 10),
            Scores::Sigmoid
        );
        assert_eq!(auto(Some(ProblemType::Regression), 1), Scores::Logits);
    }

    #[test]
    fn softmax_sums_to_one_even_for_large_logits() {
        let scores = Scores::Softmax.of(&[1000.0, 1000.0, 0.0, -1000.0]);
        assert_eq!(scores, [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(Scores::Sigmoid.of(&[0.0, 200.0, -200.0]), [0.5, 1.0, 0.0]);
    }

    #[test]
    fn the_best_come_first_and_ties_keep_their_order() {
        let config = BitConfig::default().with_num_labels(4);
        let indices = |top_k| -> Vec<usize> {
            predictions(&[0.1, 0.4, 0.4, 0.1], top_k, &config)
                .iter()
                .map(|p| p.index)
                .collect()
        };
        assert_eq!(indices(3), [1, 2, 0]);
        assert_eq!(indices(0), [1, 2, 0, 3]);
        assert_eq!(indices(9), [1, 2, 0, 3]);
    }
}
