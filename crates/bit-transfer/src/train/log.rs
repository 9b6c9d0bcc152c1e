//! A run's figures as they come: a line of JSON each, and TensorBoard's event files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::TransferError;
use crate::train::events::EventWriter;
use crate::train::folder::{RunFolder, write_whole};
use crate::train::outcome::Score;
use crate::train::trainer::StepReport;

/// Writes `metrics.jsonl` and an event file.
pub(crate) struct RunLog {
    lines: File,
    path: PathBuf,
    events: EventWriter,
    scored: bool,
}

impl RunLog {
    /// Continues the log of a run whose next step is `first_step`; what was written of that step or later is removed,
    /// because it will be written again.
    pub fn open(folder: &RunFolder, first_step: usize) -> Result<Self, TransferError> {
        let path = folder.metrics();
        let old = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TransferError::io(&path, "read")(error)),
        };
        let kept: Vec<&str> = old.lines().filter(|line| is_before(line, first_step)).collect();
        let text = kept.iter().map(|line| format!("{line}\n")).collect::<String>();
        write_whole(&path, &text)?;
        let lines = OpenOptions::new().append(true).open(&path);
        let mut log = Self {
            lines: lines.map_err(TransferError::io(&path, "write"))?,
            path,
            events: EventWriter::new(folder.root(), first_step)?,
            scored: false,
        };
        // TensorBoard forgets the score of the weights that the run continues with: its step is the first one.
        for score in kept.into_iter().filter_map(score_of) {
            if score.steps == first_step {
                log.scored = true;
                log.score_event(&score)?;
            }
        }
        Ok(log)
    }

    /// Whether it held the score of the weights that the run continues with.
    pub fn scored(&self) -> bool {
        self.scored
    }

    pub fn step(&mut self, report: &StepReport, images_per_second: f64) -> Result<(), TransferError> {
        let StepReport {
            step,
            loss,
            learning_rate,
            ..
        } = *report;
        self.line(&json!({
            "step": step, "loss": loss, "learning_rate": learning_rate, "images_per_second": images_per_second,
        }))?;
        let values = [
            ("train/loss", loss),
            ("train/learning_rate", learning_rate),
            ("train/images_per_second", images_per_second),
        ];
        self.events.scalars(step, &values)
    }

    pub fn score(&mut self, score: &Score) -> Result<(), TransferError> {
        let Score {
            steps,
            loss,
            top1,
            top5,
        } = *score;
        self.line(&json!({"steps": steps, "validation": {"loss": loss, "top1": top1, "top5": top5}}))?;
        self.score_event(score)
    }

    fn score_event(&mut self, score: &Score) -> Result<(), TransferError> {
        let values = [
            ("validation/loss", score.loss),
            ("validation/top1", score.top1),
            ("validation/top5", score.top5),
        ];
        self.events.scalars(score.steps, &values)
    }

    fn line(&mut self, value: &Value) -> Result<(), TransferError> {
        let line = format!("{value}\n");
        self.lines
            .write_all(line.as_bytes())
            .map_err(TransferError::io(&self.path, "write"))
    }
}

/// The score of a line that [`RunLog::score`] wrote.
fn score_of(line: &str) -> Option<Score> {
    let line: Value = serde_json::from_str(line).ok()?;
    let number = |key: &str| line["validation"][key].as_f64();
    Some(Score {
        steps: usize::try_from(line["steps"].as_u64()?).ok()?,
        loss: number("loss")?,
        top1: number("top1")?,
        top5: number("top5")?,
    })
}

/// Steps are counted from 0; a score is of the weights after `steps` of them.
fn is_before(line: &str, first_step: usize) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let number = |key: &str| value.get(key).and_then(Value::as_u64);
    match (number("step"), number("steps")) {
        (Some(step), _) => step < first_step as u64,
        (None, Some(steps)) => steps <= first_step as u64,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::train::test_support::small_trainer;
    use crate::train::{RecipeOptions, StepReport};

    /// How many points of the curve of validation scores the event files hold.
    fn points(folder: &Path) -> usize {
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let events = files.filter(|path| path.to_string_lossy().contains("tfevents"));
        let tag = b"validation/top1";
        let count = |path| {
            let bytes = std::fs::read(path).unwrap();
            bytes.windows(tag.len()).filter(|part| part == tag).count()
        };
        events.map(count).sum()
    }

    #[test]
    fn a_resumed_run_draws_the_score_that_it_continues_from_again() {
        let folder = tempfile::tempdir().unwrap();
        let recipe = small_trainer(&RecipeOptions::default(), 3).recipe().clone();
        let run = RunFolder::open(folder.path(), &recipe, false).unwrap();
        let mut log = RunLog::open(&run, 0).unwrap();
        for steps in [2, 4] {
            let report = StepReport {
                step: steps - 1,
                loss: 1.0,
                learning_rate: 0.1,
                images: 4,
            };
            log.step(&report, 1.0).unwrap();
            log.score(&Score {
                steps,
                loss: 1.0,
                top1: 0.5,
                top5: 1.0,
            })
            .unwrap();
        }
        drop(log);
        assert_eq!(points(folder.path()), 2);
        assert!(RunLog::open(&run, 4).unwrap().scored());
        assert_eq!(points(folder.path()), 3, "the one at the first step");
        assert!(!RunLog::open(&run, 3).unwrap().scored());
        assert_eq!(
            points(folder.path()),
            3,
            "the one before the first step is still drawn"
        );
    }

    #[test]
    fn a_resumed_run_writes_its_lines_once() {
        for (line, kept) in [
            (r#"{"step":6,"loss":1.0}"#, true),
            (r#"{"step":7,"loss":1.0}"#, false),
            (r#"{"steps":7,"validation":{}}"#, true),
            (r#"{"steps":8,"validation":{}}"#, false),
            (r#"{"step":6,"lo"#, false),
        ] {
            assert_eq!(is_before(line, 7), kept, "{line}");
        }
    }
}
