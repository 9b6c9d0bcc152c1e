//! Collects scores batch by batch.

use crate::TransferError;
use crate::data::{LabelTask, Targets};
use crate::metrics::calibration::Calibration;
use crate::metrics::report::{Counts, mean};
use crate::metrics::scores::Scores;
use crate::metrics::{ClassReport, Confusion, Mistake, Report};

/// Mistakes that are listed unless told otherwise.
const WORST: usize = 20;

/// Collects scores batch by batch, in memory that does not grow with the number of pictures.
///
/// ```
/// use bit_transfer::data::{LabelTask, Targets};
/// use bit_transfer::metrics::Evaluation;
///
/// # fn main() -> Result<(), bit_transfer::TransferError> {
/// let classes = ["cat".to_string(), "dog".to_string()];
/// let mut evaluation = Evaluation::new(&classes, LabelTask::SingleLabel);
/// let images = ["a.png".to_string(), "b.png".to_string()];
/// evaluation.add(&[2.0, 1.0, 3.0, 0.0], &Targets::Classes(vec![0, 1]), &images)?;
///
/// let report = evaluation.report();
/// assert_eq!(report.top1, 0.5);
/// assert_eq!(report.worst[0].image, "b.png");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Evaluation {
    classes: Vec<String>,
    task: LabelTask,
    images: usize,
    loss: f64,
    top1: usize,
    top5: usize,
    calibration: Calibration,
    counts: Vec<Counts>,
    confusion: Confusion,
    worst: Vec<Mistake>,
    most_worst: usize,
}

impl Evaluation {
    /// Nothing measured yet.
    pub fn new(classes: &[String], task: LabelTask) -> Self {
        Self {
            classes: classes.to_vec(),
            task,
            images: 0,
            loss: 0.0,
            top1: 0,
            top5: 0,
            calibration: Calibration::default(),
            counts: vec![Counts::default(); classes.len()],
            confusion: Confusion::new(classes),
            worst: Vec::new(),
            most_worst: WORST,
        }
    }

    /// How many of the worst mistakes are listed; 20 otherwise.
    pub fn with_worst(self, most_worst: usize) -> Self {
        Self { most_worst, ..self }
    }

    /// Adds a batch: `scores` are the network's logits `[batch, classes]`, `images` names the pictures.
    ///
    /// # Errors
    /// [`TransferError::Argument`] when the lengths do not fit together, a target is no class or a score is not a
    /// number; nothing of the batch is added then.
    pub fn add(&mut self, scores: &[f32], targets: &Targets, images: &[String]) -> Result<(), TransferError> {
        self.check(scores, targets, images)?;
        let scores = scores.chunks_exact(self.classes.len().max(1)).map(Scores);
        match targets {
            Targets::Classes(classes) => {
                for ((scores, class), image) in scores.zip(classes).zip(images) {
                    self.add_single(scores, *class, image);
                }
            }
            Targets::MultiHot { values, classes } => {
                for ((scores, targets), image) in scores.zip(values.chunks_exact(*classes)).zip(images) {
                    self.add_multi(scores, targets, image);
                }
            }
        }
        Ok(())
    }

    fn check(&self, scores: &[f32], targets: &Targets, images: &[String]) -> Result<(), TransferError> {
        let classes = self.classes.len();
        let wrong = |message| Err(TransferError::Argument(message));
        let right_kind = match (targets, self.task) {
            (Targets::Classes(_), LabelTask::SingleLabel) => true,
            (Targets::MultiHot { classes: found, .. }, LabelTask::MultiLabel) => *found == classes,
            _ => false,
        };
        if !right_kind || classes == 0 {
            return wrong(format!(
                "targets of another kind than {:?} data with {classes} classes",
                self.task
            ));
        }
        if scores.len() != images.len() * classes || targets.len() != images.len() {
            return wrong(format!(
                "{} scores and {} targets for {} images; expected {classes} scores and one target an image",
                scores.len(),
                targets.len(),
                images.len()
            ));
        }
        if let Targets::Classes(found) = targets
            && let Some(class) = found.iter().find(|class| **class >= classes)
        {
            return wrong(format!("target {class}; expected a class below {classes}"));
        }
        match scores.iter().position(|score| !score.is_finite()) {
            Some(place) => wrong(format!(
                "{}: the score of {:?} is {}; expected a finite number",
                images[place / classes],
                self.classes[place % classes],
                scores[place]
            )),
            None => Ok(()),
        }
    }

    fn add_single(&mut self, scores: Scores<'_>, class: usize, image: &str) {
        let (best, loss) = (scores.best(), scores.cross_entropy(class));
        let confidence = scores.softmax(best);
        let rank = scores.rank(class);
        self.images += 1;
        self.loss += loss;
        self.top1 += usize::from(rank == 0);
        self.top5 += usize::from(rank < 5);
        self.calibration.add(confidence, rank == 0);
        self.confusion.add(class, best);
        self.counts[class].labelled += 1;
        self.counts[best].predicted += 1;
        self.counts[class].right += u64::from(rank == 0);
        if rank > 0 {
            self.mistake(image, &[class], &[best], confidence, loss);
        }
    }

    fn add_multi(&mut self, scores: Scores<'_>, targets: &[f32], image: &str) {
        let loss = scores.binary_cross_entropy(targets);
        let labels: Vec<usize> = (0..targets.len()).filter(|class| targets[*class] > 0.5).collect();
        let predicted: Vec<usize> = (0..targets.len())
            .filter(|class| scores.0[*class] > 0.0)
            .collect();
        let rank = labels.iter().map(|class| scores.rank(*class)).min();
        self.images += 1;
        self.loss += loss;
        self.top1 += usize::from(rank == Some(0));
        self.top5 += usize::from(rank.is_some_and(|rank| rank < 5));
        for (class, target) in targets.iter().enumerate() {
            let (probability, label) = (scores.sigmoid(class), *target > 0.5);
            let found = scores.0[class] > 0.0;
            self.calibration
                .add(probability.max(1.0 - probability), found == label);
            let counts = &mut self.counts[class];
            counts.labelled += u64::from(label);
            counts.predicted += u64::from(found);
            counts.right += u64::from(label && found);
        }
        if labels != predicted {
            let confidence = scores.sigmoid(scores.best());
            self.mistake(image, &labels, &predicted, confidence, loss);
        }
    }

    fn mistake(&mut self, image: &str, labels: &[usize], predicted: &[usize], confidence: f64, loss: f64) {
        // Cut only now and then, so that each mistake costs little.
        if self.worst.len() >= 2 * self.most_worst.max(32) {
            cut(&mut self.worst, self.most_worst);
        }
        let names = |classes: &[usize]| classes.iter().map(|class| self.classes[*class].clone()).collect();
        self.worst.push(Mistake {
            image: image.into(),
            labels: names(labels),
            predicted: names(predicted),
            confidence,
            loss,
        });
    }

    /// The numbers over everything that was added; all are 0 when nothing was.
    pub fn report(&self) -> Report {
        let images = self.images.max(1) as f64;
        let mut worst = self.worst.clone();
        cut(&mut worst, self.most_worst);
        let class = |(label, counts): (&String, &Counts)| ClassReport {
            label: label.clone(),
            images: counts.labelled,
            scores: counts.average(),
        };
        Report {
            images: self.images,
            task: self.task,
            loss: self.loss / images,
            top1: self.top1 as f64 / images,
            top5: self.top5 as f64 / images,
            calibration_error: self.calibration.error(),
            // As scikit-learn: over the classes that occur, and over all columns of several labels.
            macro_average: mean(&self.counts, |class| {
                u64::from(self.task == LabelTask::MultiLabel || class.labelled + class.predicted > 0)
            }),
            weighted_average: mean(&self.counts, |class| class.labelled),
            classes: self.classes.iter().zip(&self.counts).map(class).collect(),
            worst,
        }
    }

    /// Which class is taken for which; `None` where a picture has several labels.
    pub fn confusion(&self) -> Option<&Confusion> {
        (self.task == LabelTask::SingleLabel).then_some(&self.confusion)
    }
}

/// Keeps the worst, in order.
fn cut(mistakes: &mut Vec<Mistake>, keep: usize) {
    mistakes.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    mistakes.truncate(keep);
}
