//! `bit finetune`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bit_transfer::data::{DataSet, OpenOptions, Skipped, open};
use bit_transfer::probe::{ProbeRecipe, probe};
use bit_transfer::train::{
    DataFacts, Observer, Outcome, Recipe, RunData, RunOptions, Score, Start, StepReport, Trainer, finetune,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{FinetuneArgs, ReportFormat};
use crate::device::open_all;
use crate::interrupt;
use crate::output::Sink;
use crate::progress::Training;
use crate::source::open_model;
use crate::status::{Status, report};

/// Trains a model on labelled images.
pub fn run(args: &FinetuneArgs) -> Result<Status> {
    let devices = open_all(&args.devices.devices)?;
    let (device, others) = devices.split_first().context("--device: none is named")?;
    let data = data(args)?;
    let facts = DataFacts::of(&data.train)?;
    let recipe = Recipe::resolve(&args.recipe.options(), &facts)?;
    let pretrained = open_model(&args.model)?;
    let (options, mut observer) = (options(args), Watching::default());
    let (outcome, recipe) = if args.probe {
        ensure!(
            others.is_empty(),
            "--probe: works on one device, not {}",
            devices.len()
        );
        let recipe = ProbeRecipe {
            l2: args.l2,
            ..ProbeRecipe::new(recipe.resolution)
        };
        let recipe_json = describe(args, &data, &recipe)?;
        let outcome = probe(&pretrained, &recipe, &data, &options, device, &mut observer)?;
        (outcome, recipe_json)
    } else {
        let start = if args.from_scratch {
            Start::Scratch
        } else {
            Start::Pretrained
        };
        let recipe_json = describe(args, &data, &recipe)?;
        let trainer = Trainer::new(&pretrained, start, &data.train.classes, recipe, device)?;
        let trainer = trainer.with_devices(others)?;
        interrupt::install()?;
        (finetune(trainer, &data, &options, &mut observer)?, recipe_json)
    };
    drop(observer);
    for Skipped { image, reason } in &outcome.skipped {
        report(&format!("{image}: left out: {reason}"));
    }
    print(args, &recipe, &outcome)?;
    Ok(match (outcome.stopped, outcome.skipped.is_empty()) {
        (true, _) => Status::Interrupted,
        (false, true) => Status::Success,
        (false, false) => Status::Failure,
    })
}

fn options(args: &FinetuneArgs) -> RunOptions {
    let name = args
        .data
        .data
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    RunOptions {
        output: args.output.clone(),
        resume: args.resume,
        evaluate_every: args.evaluate_every,
        save_every: args.save_every,
        strict: args.data.strict,
        threads: args.data.threads,
        cache: args.cache.saturating_mul(1 << 20),
        model_name: args.model.clone(),
        data_name: name.unwrap_or_else(|| "images".to_owned()),
    }
}

/// The parts of the data; a validation part is set aside before a few images are sampled.
fn data(args: &FinetuneArgs) -> Result<RunData> {
    let options = args.data.options();
    let splits = open(&args.data.data, &options)?;
    let other = |path: &Path| same_classes(path, &options, &splits.train);
    let validation = args
        .validation
        .as_deref()
        .map(other)
        .transpose()?
        .or(splits.validation.clone());
    let test = args
        .test
        .as_deref()
        .map(other)
        .transpose()?
        .or(splits.test.clone());
    let seed = args.recipe.seed;
    let (train, validation) = match validation {
        None if args.validation_split > 0.0 => {
            let (train, validation) = splits.train.split(args.validation_split, seed)?;
            (train, Some(validation))
        }
        validation => (splits.train, validation),
    };
    let train = match args.examples_per_class {
        Some(count) => train.few_shot(count, seed)?,
        None => train,
    };
    Ok(RunData {
        train: Arc::new(train),
        validation: validation.map(Arc::new),
        test: test.map(Arc::new),
    })
}

/// Other data, all of it, with the training data's classes.
fn same_classes(path: &Path, options: &OpenOptions, train: &DataSet) -> Result<DataSet> {
    let options = OpenOptions {
        task: Some(train.task),
        ..options.clone()
    };
    Ok(open(path, &options)?.train.with_classes(&train.classes)?)
}

/// Says what will be done, in text, and gives the recipe in JSON.
fn describe(args: &FinetuneArgs, data: &RunData, recipe: &impl Serialize) -> Result<Value> {
    let recipe = serde_json::to_value(recipe)?;
    if args.format == ReportFormat::Text {
        let mut sink = Sink::open(None)?;
        let images = |set: &Option<Arc<DataSet>>| set.as_ref().map_or(0, |set| set.len());
        writeln!(
            sink,
            "{} images of {} classes to learn from, {} to validate with, {} to test with",
            data.train.len(),
            data.train.classes.len(),
            images(&data.validation),
            images(&data.test)
        )?;
        writeln!(sink, "recipe: {recipe:#}")?;
        sink.finish()?;
    }
    Ok(recipe)
}

fn print(args: &FinetuneArgs, recipe: &Value, outcome: &Outcome) -> Result<()> {
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Json => {
            let skipped = outcome.skipped.iter();
            let skipped: Vec<_> = skipped
                .map(|s| json!({"image": s.image, "reason": s.reason}))
                .collect();
            let object = json!({
                "output": args.output, "recipe": recipe, "steps": outcome.steps, "stopped": outcome.stopped,
                "validation": outcome.validation, "test": outcome.test, "skipped": skipped,
            });
            writeln!(sink, "{}", serde_json::to_string_pretty(&object)?)?;
        }
        ReportFormat::Text => {
            if let Some(Score {
                steps,
                loss,
                top1,
                top5,
            }) = outcome.validation
            {
                writeln!(
                    sink,
                    "validation: {} after {steps} steps",
                    scores(loss, top1, top5)
                )?;
            }
            if let Some(test) = &outcome.test {
                writeln!(sink, "test: {}", scores(test.loss, test.top1, test.top5))?;
            }
            writeln!(
                sink,
                "{} steps, model in {}",
                outcome.steps,
                args.output.display()
            )?;
        }
    }
    sink.finish()
}

fn scores(loss: f64, top1: f64, top5: f64) -> String {
    format!(
        "top-1 {:.2}%, top-5 {:.2}%, loss {loss:.4}",
        100.0 * top1,
        100.0 * top5
    )
}

/// Draws progress, and passes Ctrl-C on.
#[derive(Default)]
struct Watching {
    progress: Option<Training>,
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

    fn stop(&mut self) -> bool {
        interrupt::requested()
    }
}
