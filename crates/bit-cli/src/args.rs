//! What the user typed.

use std::path::PathBuf;

use bit_convert::{DType, Target};
use bit_image::ProcessorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::device::DeviceName;
use crate::feature::Feature;
use crate::output::EmbeddingFormat;

mod transfer;

pub use transfer::{EvaluateArgs, ExplainArgs, FinetuneArgs, Part};

/// Classify, embed, convert and inspect images and models with Big Transfer (BiT).
#[derive(Debug, Parser)]
#[command(name = "bit", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is in each image.
    Classify(ClassifyArgs),
    /// Write each image's features to a file.
    Embed(EmbedArgs),
    /// Convert a checkpoint to another format.
    Convert(ConvertArgs),
    /// Describe a checkpoint: architecture, arithmetic, tensors, what is wrong with it.
    Inspect(InspectArgs),
    /// Train a model on labelled images: Big Transfer's recipe.
    Finetune(Box<FinetuneArgs>),
    /// Measure a model on labelled images.
    Evaluate(EvaluateArgs),
    /// Show which parts of an image speak for a class: Grad-CAM.
    Explain(ExplainArgs),
    /// List the models that can be named.
    Models(ModelsArgs),
    /// Measure how long the network takes.
    Bench(BenchArgs),
    /// Print a script that completes commands in a shell.
    Completions(CompletionsArgs),
}

const MODEL_HELP: &str = "builtin:NAME, a Hub repository (owner/name, owner/name@revision), the name of one of \
                          Google's files (bit-m-r50x1), a folder or a file";

/// Images and the network they go through, for every command that has both.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// A file, a folder (searched recursively), a glob, or - for one image on standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    #[arg(long, short, default_value = "google/bit-50", help = MODEL_HELP)]
    pub model: String,
    /// Whose preprocessing arithmetic to follow
    #[arg(long, value_enum, default_value_t)]
    pub processor: ProcessorName,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Images that go through the network together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch_size: u16,
}

#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// cpu, ndarray, wgpu, vulkan, metal or cuda; the last four take an index, as in cuda:1
    #[arg(long, default_value = "cpu", value_name = "D")]
    pub device: DeviceName,
}

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// cpu, ndarray, wgpu, vulkan, metal or cuda; the last four take an index, as in cuda:1. Several, as in
    /// cuda:0,cuda:1, share each batch; weights are kept and evaluated on the first
    #[arg(
        long = "device",
        default_value = "cpu",
        value_name = "D,…",
        value_delimiter = ','
    )]
    pub devices: Vec<DeviceName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProcessorName {
    /// Pillow's, as transformers' BitImageProcessorPil
    #[default]
    Pil,
    /// torchvision's, as transformers' BitImageProcessor
    Torchvision,
}

impl From<ProcessorName> for ProcessorKind {
    fn from(name: ProcessorName) -> Self {
        match name {
            ProcessorName::Pil => Self::Pil,
            ProcessorName::Torchvision => Self::Torchvision,
        }
    }
}

#[derive(Debug, Args)]
pub struct ClassifyArgs {
    #[command(flatten)]
    pub images: ImageArgs,
    /// How many classes to print for each image; 0 for all
    #[arg(long, short = 'k', default_value_t = 5, value_name = "K")]
    pub top_k: usize,
    /// What to make of the logits
    #[arg(long, value_enum, default_value_t)]
    pub scores: ScoresName,
    #[arg(long, short, value_enum, default_value_t)]
    pub format: PredictionFormat,
    /// Write here instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ScoresName {
    /// As transformers' pipeline: softmax; sigmoid for several labels at once or only one; none for regression
    #[default]
    Auto,
    /// Scores of all classes sum to 1
    Softmax,
    /// Each class for itself
    Sigmoid,
    /// The network's own numbers
    Logits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum PredictionFormat {
    #[default]
    Text,
    /// One array
    Json,
    /// One object a line
    Jsonl,
    /// One row a prediction
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Args)]
pub struct EmbedArgs {
    #[command(flatten)]
    pub images: ImageArgs,
    /// pooler_output, last_hidden_state, hidden_states.N, logits or pixel_values
    #[arg(long, default_value = "pooler_output", value_name = "FEATURE")]
    pub feature: Feature,
    /// A file that ends in .safetensors, .npy, .csv or .parquet
    #[arg(long, short, value_name = "FILE", value_parser = embedding_file)]
    pub output: EmbeddingFile,
}

/// A path whose extension names a format.
#[derive(Debug, Clone)]
pub struct EmbeddingFile {
    pub path: PathBuf,
    pub format: EmbeddingFormat,
}

fn embedding_file(text: &str) -> Result<EmbeddingFile, String> {
    let path = PathBuf::from(text);
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    let format = extension.parse()?;
    Ok(EmbeddingFile { path, format })
}

#[derive(Debug, Args)]
pub struct ConvertArgs {
    #[arg(help = MODEL_HELP)]
    pub source: String,
    /// A folder, or a file when its extension is the format's own
    pub dest: PathBuf,
    /// Whose names the source must have
    #[arg(long, value_enum, default_value_t)]
    pub from: SourceDialect,
    /// hf, pytorch, burnpack, timm, google or onnx [default: as the extension of DEST says, else hf]
    #[arg(long, value_name = "FORMAT")]
    pub to: Option<Target>,
    /// Element type [default: the source's]
    #[arg(long, value_enum)]
    pub dtype: Option<FloatType>,
    /// Read the result back, compare every tensor, and run one image through both
    #[arg(long)]
    pub verify: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SourceDialect {
    /// Tell by the tensors' names
    #[default]
    Auto,
    /// transformers
    Hf,
    Timm,
    /// big_transfer, in npz or PyTorch files
    Google,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FloatType {
    F32,
    F16,
    Bf16,
}

impl From<FloatType> for DType {
    fn from(name: FloatType) -> Self {
        match name {
            FloatType::F32 => Self::F32,
            FloatType::F16 => Self::F16,
            FloatType::Bf16 => Self::BF16,
        }
    }
}

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[arg(help = MODEL_HELP)]
    pub checkpoint: String,
    /// Side of the image that the arithmetic is counted for, in pixels
    #[arg(long, default_value_t = 224, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub size: u32,
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct BenchArgs {
    /// As for the other commands, or a published model's or architecture's name (R50x1, R152x4) with random weights
    #[arg(long, short, default_value = "R50x1")]
    pub model: String,
    /// Side of the image, in pixels
    #[arg(long, default_value_t = 224, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=8192))]
    pub size: u16,
    /// Images in a batch
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub batch: u16,
    /// Forward passes to measure, after one that is not
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10000))]
    pub repeat: u16,
    #[command(flatten)]
    pub device: DeviceArgs,
    #[arg(long, short, value_enum, default_value_t)]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_holds_together() {
        Cli::command().debug_assert();
    }
}
