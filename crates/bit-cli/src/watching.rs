//! What is told of a training run, during it and in words.

use std::io::Write;

use bit_transfer::data::Skipped;
use bit_transfer::train::{Observer, Score, StepReport};

use crate::interrupt;
use crate::progress::Training;
use crate::status::report;

/// How many images could not be used, if any.
pub fn left_out(out: &mut impl Write, count: usize) -> std::io::Result<()> {
    match count {
        0 => Ok(()),
        1 => writeln!(out, "1 image left out"),
        _ => writeln!(out, "{count} images left out"),
    }
}

/// Reports a picture that could not be used.
pub fn report_left_out(Skipped { image, reason }: &Skipped) {
    report(&format!("{image}: left out: {reason}"));
}

/// Scores in one line.
pub fn scores(loss: f64, top1: f64, top5: f64) -> String {
    format!(
        "top-1 {:.2}%, top-5 {:.2}%, loss {loss:.4}",
        100.0 * top1,
        100.0 * top5
    )
}

/// Draws progress, and passes Ctrl-C on.
#[derive(Default)]
pub struct Watching {
    progress: Option<Training>,
}

impl Watching {
    /// Before a probe, which has no steps, only passes over the images.
    pub fn passing(&mut self) {
        self.progress = Some(Training::new(0, 0));
    }
}

impl Observer for Watching {
    fn begin(&mut self, first_step: usize, steps: usize) {
        self.progress = Some(Training::new(first_step, steps));
    }

    fn step(&mut self, report: &StepReport, images_per_second: f64) {
        if let Some(progress) = &self.progress {
            progress.step(report.loss, report.learning_rate, images_per_second);
        }
    }

    fn evaluating(&mut self, done: usize, images: usize) {
        if let Some(progress) = &self.progress {
            progress.evaluating(done, images);
        }
    }

    fn evaluated(&mut self, score: &Score) {
        if let Some(progress) = &self.progress {
            let Score {
                steps,
                loss,
                top1,
                top5,
            } = *score;
            progress.line(&format!("after {steps} steps: {}", scores(loss, top1, top5)));
        }
    }

    fn left_out(&mut self, picture: &Skipped) {
        match &self.progress {
            Some(progress) => progress.aside(|| report_left_out(picture)),
            None => report_left_out(picture),
        }
    }

    fn stop(&mut self) -> bool {
        interrupt::requested()
    }
}
