//! `bit finetune`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bit_pretrained::ModelSource;
use bit_transfer::data::{DataSet, OpenOptions, Splits, open};
use bit_transfer::probe::{ProbeRecipe, probe};
use bit_transfer::train::{
    DataFacts, Outcome, Recipe, RecipeOptions, RunData, RunOptions, Score, Trainer, finetune,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{FinetuneArgs, ReportFormat};
use crate::device::open_all;
use crate::interrupt;
use crate::output::Sink;
use crate::source::open_model;
use crate::status::{Status, report};
use crate::watching::{Watching, left_out, scores};

/// What is set aside for validation where nothing else was said.
const DEFAULT_SHARE: f64 = 0.1;

/// Trains a model on labelled images.
pub fn run(args: &FinetuneArgs) -> Result<Status> {
    let devices = open_all(&args.devices.devices)?;
    let (device, others) = devices.split_first().context("--device: none is named")?;
    let (data, validation_split) = data(args)?;
    let recipe = recipe(args, &data.train, validation_split)?;
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
            ..ProbeRecipe::new(&recipe)
        };
        let recipe_json = describe(args, &data, &recipe)?;
        observer.passing();
        let outcome = probe(&pretrained, &recipe, &data, &options, device, &mut observer)?;
        (outcome, recipe_json)
    } else {
        let recipe_json = describe(args, &data, &recipe)?;
        let trainer = Trainer::new(&pretrained, &data.train.classes, recipe, device)?;
        let trainer = trainer.with_devices(others)?;
        interrupt::install()?;
        (finetune(trainer, &data, &options, &mut observer)?, recipe_json)
    };
    drop(observer);
    print(args, &recipe, &outcome)?;
    Ok(match (outcome.stopped, outcome.skipped.is_empty()) {
        (true, _) => Status::Interrupted,
        (false, true) => Status::Success,
        (false, false) => Status::Failure,
    })
}

/// Pictures are looked at only where the resolution depends on them.
fn recipe(args: &FinetuneArgs, train: &DataSet, validation_split: Option<f64>) -> Result<Recipe> {
    let options = RecipeOptions {
        model: args.model.clone(),
        examples_per_class: args.examples_per_class,
        validation_split,
        ..args.recipe.options()
    };
    let facts = match options.resolution {
        Some(_) => DataFacts::unsized_of(train)?,
        None => DataFacts::of(train)?,
    };
    Ok(Recipe::resolve(&options, &facts)?)
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
        base_model: match args.model.parse() {
            Ok(ModelSource::Hub { repository, .. }) => Some(repository),
            _ => None,
        },
        data_name: name.unwrap_or_else(|| "images".to_owned()),
    }
}

/// The parts of the data, and which share was set aside for validation if it has no part for that. It is set aside
/// before a few images are sampled.
fn data(args: &FinetuneArgs) -> Result<(RunData, Option<f64>)> {
    let options = args.data.options();
    let splits = open(&args.data.data, &options)?;
    let other = |path: &Option<PathBuf>, part: fn(Splits) -> DataSet| {
        let path = path.as_deref();
        path.map(|path| same_classes(path, &options, &splits.train, part))
            .transpose()
    };
    let for_validation = |s: Splits| s.validation.or(s.test).unwrap_or(s.train);
    let for_test = |s: Splits| s.test.or(s.validation).unwrap_or(s.train);
    let validation = other(&args.validation, for_validation)?.or(splits.validation.clone());
    let test = other(&args.test, for_test)?.or(splits.test.clone());
    let seed = args.recipe.seed;
    let (train, validation, share) = match validation {
        None => {
            let (train, validation) = set_aside(splits.train, args.validation_split, seed)?;
            let share = args.validation_split.unwrap_or(DEFAULT_SHARE);
            let share = if validation.is_some() { share } else { 0.0 };
            (train, validation, Some(share))
        }
        validation => (splits.train, validation, None),
    };
    let train = match args.examples_per_class {
        Some(count) => train.few_shot(count, seed)?,
        None => train,
    };
    let data = RunData {
        train: Arc::new(train),
        validation: validation.map(Arc::new),
        test: test.map(Arc::new),
    };
    Ok((data, share))
}

/// Divides a validation part off. A share that was not asked for may come to nothing: one image a class is data too.
fn set_aside(train: DataSet, share: Option<f64>, seed: u64) -> Result<(DataSet, Option<DataSet>)> {
    let (train, validation) = match share {
        Some(0.0) => return Ok((train, None)),
        Some(share) => train.split(share, seed)?,
        None => match train.split(DEFAULT_SHARE, seed) {
            Ok(parts) => parts,
            Err(why) => {
                report(&format!("no images are set aside to validate with: {why}"));
                return Ok((train, None));
            }
        },
    };
    Ok((train, Some(validation)))
}

/// The part of other data that is meant for this, all of it if it is not divided, with the training data's classes.
fn same_classes(
    path: &Path,
    options: &OpenOptions,
    train: &DataSet,
    part: fn(Splits) -> DataSet,
) -> Result<DataSet> {
    let options = OpenOptions {
        task: Some(train.task),
        ..options.clone()
    };
    Ok(part(open(path, &options)?).with_classes(&train.classes)?)
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
                "output": args.output.to_string_lossy(), "recipe": recipe, "steps": outcome.steps, "stopped": outcome.stopped,
                "validation": outcome.validation, "test": outcome.test, "left_out": skipped.len(), "skipped": skipped,
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
            left_out(&mut sink, outcome.skipped.len())?;
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
