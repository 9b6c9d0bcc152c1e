//! What the user typed for the commands that work on labelled images.

use std::path::PathBuf;

use bit_config::hyperrule::Resolution;
use bit_transfer::data::{LabelTask, OpenOptions};
use bit_transfer::train::{Freeze, OptimizerKind, RecipeOptions};
use clap::{Args, ValueEnum};

use super::{DeviceArgs, DevicesArgs, MODEL_HELP, ProcessorName, ReportFormat};

/// Labelled images, for every command that has some.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// A folder with a subfolder a class (also below train/, validation/ and test/), parquet files, a CSV or JSONL
    /// file of paths and labels, or CIFAR's binary files
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// Column of the paths or pictures in a table [default: told by name and type]
    #[arg(long, value_name = "NAME")]
    pub image_column: Option<String>,
    /// Column of the labels in a table [default: told by name and type]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// What separates the labels of an image in a CSV file
    #[arg(long, default_value = "|", value_name = "CHAR")]
    pub label_separator: char,
    /// Any number of labels an image, even where the data has one each
    #[arg(long)]
    pub multi_label: bool,
    /// End at the first image that cannot be used, instead of leaving it out
    #[arg(long)]
    pub strict: bool,
    /// Threads that decode images; 0 for all there are
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = threads)]
    pub threads: usize,
}

impl DataArgs {
    /// How to read what leaves a choice.
    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            image_column: self.image_column.clone(),
            label_column: self.label_column.clone(),
            label_separator: self.label_separator,
            task: self.multi_label.then_some(LabelTask::MultiLabel),
            ..OpenOptions::default()
        }
    }
}

/// What a head that is fitted in closed form has no use for.
const NOT_FOR_PROBE: [&str; 15] = [
    "from_scratch",
    "resume",
    "steps",
    "batch_size",
    "batch_split",
    "base_lr",
    "mixup",
    "no_flip",
    "freeze",
    "label_smoothing",
    "weight_decay",
    "ema",
    "optimizer",
    "evaluate_every",
    "save_every",
];

#[derive(Debug, Args)]
pub struct FinetuneArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Other data to choose the best checkpoint by
    #[arg(long, value_name = "PATH")]
    pub validation: Option<PathBuf>,
    /// Other data to measure the result with
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
    /// Share of each class to set aside for validation where the data has no validation part; 0 for none [default: 0.1,
    /// where that is at least one image]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub validation_split: Option<f64>,
    /// Learn from this many images of each class only
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    pub examples_per_class: Option<usize>,
    #[arg(long, short, default_value = "google/bit-50", help = MODEL_HELP)]
    pub model: String,
    /// Folder for the trained model and its checkpoints
    #[arg(long, short, value_name = "FOLDER")]
    pub output: PathBuf,
    /// Continue the run in that folder, if there is one
    #[arg(long)]
    pub resume: bool,
    /// Fit a linear head in closed form on the frozen network instead, in one pass
    #[arg(long, conflicts_with_all = NOT_FOR_PROBE)]
    pub probe: bool,
    /// Penalty of the probe's squared weights
    #[arg(long, default_value_t = bit_transfer::probe::PROBE_L2, requires = "probe", value_name = "L2")]
    pub l2: f64,
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Steps between two evaluations [default: a tenth of all]
    #[arg(long, value_name = "STEPS", value_parser = at_least_one)]
    pub evaluate_every: Option<usize>,
    /// Steps between two checkpoints [default: those of the evaluations]
    #[arg(long, value_name = "STEPS", value_parser = at_least_one)]
    pub save_every: Option<usize>,
    /// Megabytes of decoded images to keep in memory
    #[arg(long, default_value_t = 1024, value_name = "MB")]
    pub cache: u64,
    #[command(flatten)]
    pub devices: DevicesArgs,
    /// How the scores are printed
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// What is put in the place of the BiT-HyperRule's choices.
#[derive(Debug, Args)]
#[command(next_help_heading = "Recipe (without these options, the BiT-HyperRule)")]
pub struct RecipeArgs {
    /// Draw all weights anew: only the model's architecture is used
    #[arg(long)]
    pub from_scratch: bool,
    /// Optimizer steps [default: 500, 10000 or 20000, by the number of images]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Images in an optimizer step [default: 512]
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Parts a batch is divided into to save memory, with the same gradients
    #[arg(long, value_name = "N")]
    pub batch_split: Option<usize>,
    /// Learning rate between warm-up and first decay [default: 0.003]
    #[arg(long, value_name = "RATE")]
    pub base_lr: Option<f64>,
    /// Parameter of mixup's Beta distribution, 0 for none [default: 0.1 from 20000 images on]
    #[arg(long, value_name = "ALPHA")]
    pub mixup: Option<f64>,
    /// Sides of the resized image and of the crop, such as 160:128, or one for both
    /// [default: 160:128 for images below 96x96, else 512:480]
    #[arg(long, value_name = "RESIZE:CROP", value_parser = resolution)]
    pub resolution: Option<Resolution>,
    /// Do not mirror images, such as digits and text
    #[arg(long)]
    pub no_flip: bool,
    /// What keeps its weights: nothing, stem, stage1, stage2, …, or backbone
    #[arg(long, default_value = "nothing", value_name = "PART")]
    pub freeze: Freeze,
    /// Share of each label that is spread over all classes
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub label_smoothing: f64,
    /// Pull of the weights towards zero
    #[arg(long, default_value_t = 0.0, value_name = "FACTOR")]
    pub weight_decay: f64,
    /// Evaluate and save a running mean of the weights that keeps this share at each step, such as 0.999
    #[arg(long, value_name = "SHARE")]
    pub ema: Option<f64>,
    /// How gradients become steps
    #[arg(long, value_enum, default_value_t)]
    pub optimizer: OptimizerName,
    /// Decides every random choice
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum 0.9
    #[default]
    Sgd,
    /// Adam with decoupled weight decay
    Adamw,
}

impl RecipeArgs {
    pub fn options(&self) -> RecipeOptions {
        RecipeOptions {
            from_scratch: self.from_scratch,
            steps: self.steps,
            batch_size: self.batch_size,
            batch_split: self.batch_split,
            base_learning_rate: self.base_lr,
            mixup_alpha: self.mixup,
            resolution: self.resolution,
            no_flip: self.no_flip,
            freeze: self.freeze,
            label_smoothing: self.label_smoothing,
            weight_decay: self.weight_decay,
            ema: self.ema,
            optimizer: match self.optimizer {
                OptimizerName::Sgd => OptimizerKind::Sgd,
                OptimizerName::Adamw => OptimizerKind::AdamW,
            },
            seed: self.seed,
            ..RecipeOptions::default()
        }
    }
}

#[derive(Debug, Args)]
pub struct EvaluateArgs {
    #[command(flatten)]
    pub data: DataArgs,
    /// Which part of divided data to measure [default: test, else validation, else all]
    #[arg(long, value_enum, value_name = "PART")]
    pub part: Option<Part>,
    #[arg(long, short, help = MODEL_HELP)]
    pub model: String,
    /// Whose preprocessing arithmetic to follow
    #[arg(long, value_enum, default_value_t)]
    pub processor: ProcessorName,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Images that go through the network together
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch_size: u16,
    /// How the scores are printed
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Folder for report.json and the confusion matrix as confusion.csv and confusion.png
    #[arg(long, short, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A file
    pub image: PathBuf,
    #[arg(long, short, default_value = "google/bit-50", help = MODEL_HELP)]
    pub model: String,
    /// A label or its index [default: the best one]
    #[arg(long, value_name = "CLASS")]
    pub class: Option<String>,
    /// The stage whose features are looked at: stem, stage1, … [default: the last]
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// Whose preprocessing arithmetic to follow
    #[arg(long, value_enum, default_value_t)]
    pub processor: ProcessorName,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// The picture with the heat map over it, in PNG
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    Train,
    Validation,
    Test,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a number of at least 0 and below 1 is needed".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a number of at least 1 is needed".to_owned())
}

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number <= 1024);
    number.ok_or_else(|| "a number from 0 to 1024 is needed".to_owned())
}

fn resolution(text: &str) -> Result<Resolution, String> {
    let (resize, crop) = text.split_once(':').unwrap_or((text, text));
    match (resize.parse(), crop.parse()) {
        (Ok(resize), Ok(crop)) => Ok(Resolution { resize, crop }),
        _ => Err("two sides in pixels are needed, such as 160:128".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_resolution_is_two_sides_or_one_for_both() {
        assert_eq!(
            resolution("160:128").unwrap(),
            Resolution {
                resize: 160,
                crop: 128
            }
        );
        assert_eq!(resolution("64").unwrap(), Resolution { resize: 64, crop: 64 });
        assert!(resolution("64x64").is_err() && resolution(":").is_err() && resolution("-1").is_err());
    }
}
