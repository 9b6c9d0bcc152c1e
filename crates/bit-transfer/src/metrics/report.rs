//! The numbers, as they are printed and saved.

use serde::Serialize;

use crate::data::LabelTask;

/// What was measured; serializes as the JSON of `bit evaluate`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Pictures measured.
    pub images: usize,
    /// Whether a picture has one label or several.
    pub task: LabelTask,
    /// Mean cross entropy (binary cross entropy for several labels a picture).
    pub loss: f64,
    /// Share of pictures whose highest score is on a right class, in [0, 1].
    pub top1: f64,
    /// Share of pictures with a right class among the five highest scores.
    pub top5: f64,
    /// Expected calibration error, 15 bins, in [0, 1]: of the best class's softmax, or of every sigmoid's decision.
    pub calibration_error: f64,
    /// Mean over the classes that occur, each counting the same.
    pub macro_average: Average,
    /// Mean over the classes that occur, each counting by its pictures.
    pub weighted_average: Average,
    /// All classes, in the classifier's order.
    pub classes: Vec<ClassReport>,
    /// The mistakes with the highest loss, the worst first.
    pub worst: Vec<Mistake>,
}

/// Precision, recall and F1, each in [0, 1], and 0 where they would be 0 / 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Average {
    /// Share of the predictions that are right.
    pub precision: f64,
    /// Share of the labels that are found.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

/// How well one class is recognized.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// The class.
    pub label: String,
    /// Pictures of the class.
    pub images: u64,
    /// How well it is recognized.
    #[serde(flatten)]
    pub scores: Average,
}

/// A picture that was taken for something else.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mistake {
    /// The picture.
    pub image: String,
    /// What it shows.
    pub labels: Vec<String>,
    /// What it was taken for.
    pub predicted: Vec<String>,
    /// Probability of the class with the highest score.
    pub confidence: f64,
    /// The picture's loss.
    pub loss: f64,
}

/// How often a class was predicted and was there.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) predicted: u64,
    pub(super) labelled: u64,
    /// Predicted and labelled.
    pub(super) right: u64,
}

impl Counts {
    pub(super) fn average(self) -> Average {
        let share = |of: u64, all: u64| if all == 0 { 0.0 } else { of as f64 / all as f64 };
        Average {
            precision: share(self.right, self.predicted),
            recall: share(self.right, self.labelled),
            f1: share(2 * self.right, self.predicted + self.labelled),
        }
    }
}

/// The mean over classes, `weight` saying how much each counts.
pub(super) fn mean(classes: &[Counts], weight: impl Fn(&Counts) -> u64) -> Average {
    let total: u64 = classes.iter().map(&weight).sum();
    let mut mean = Average::default();
    for class in classes {
        let share = weight(class) as f64 / total.max(1) as f64;
        let scores = class.average();
        mean.precision += share * scores.precision;
        mean.recall += share * scores.recall;
        mean.f1 += share * scores.f1;
    }
    mean
}
