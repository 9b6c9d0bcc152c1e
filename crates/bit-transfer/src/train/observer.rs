//! Who watches a run.

use crate::data::Skipped;
use crate::train::outcome::Score;
use crate::train::trainer::StepReport;

/// Who watches a run. Everything has a default: to look away.
pub trait Observer {
    /// Training starts or continues with this step, of so many.
    fn begin(&mut self, first_step: usize, steps: usize) {
        let _ = (first_step, steps);
    }

    /// A step was taken.
    fn step(&mut self, report: &StepReport, images_per_second: f64) {
        let _ = (report, images_per_second);
    }

    /// An evaluation has done so many pictures.
    fn evaluating(&mut self, done: usize, images: usize) {
        let _ = (done, images);
    }

    /// An evaluation of the validation data is done.
    fn evaluated(&mut self, score: &Score) {
        let _ = score;
    }

    /// A picture cannot be used and is left out. Each is told once, in training soon after it was found, in an
    /// evaluation at its end.
    fn left_out(&mut self, picture: &Skipped) {
        let _ = picture;
    }

    /// Whether to finish the step, evaluate, save, and end.
    fn stop(&mut self) -> bool {
        false
    }
}
