//! `bit inspect`.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use bit_config::BitConfig;
use bit_config::zoo::ARCHITECTURES;
use bit_convert::{BitTensors, Checkpoint};
use serde::Serialize;

use crate::args::{InspectArgs, ReportFormat};
use crate::arithmetic::multiply_adds;
use crate::commands::models::millions;
use crate::output::Sink;
use crate::progress;
use crate::source::Source;
use crate::status::{Status, report};

/// The report in JSON.
#[derive(Debug, Serialize)]
struct Report {
    checkpoint: String,
    format: String,
    files: Vec<String>,
    bytes: u64,
    /// Tensors of each element type.
    dtypes: BTreeMap<String, usize>,
    /// `null` when this is not a BiT network.
    model: Option<Model>,
    /// Why it is none, or why its tensors cannot be loaded.
    error: Option<String>,
    tensors: Vec<TensorRecord>,
    /// Tensors that are no part of the network.
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Model {
    /// The paper's name, such as R50x1, where it has one.
    architecture: Option<&'static str>,
    /// Whose names the file uses.
    dialect: String,
    /// What stands before them.
    prefix: String,
    layer_type: &'static str,
    depths: Vec<usize>,
    hidden_sizes: Vec<usize>,
    num_channels: usize,
    /// 0 without a classifier.
    num_labels: usize,
    parameters: u64,
    /// Side of the square image that the arithmetic is counted for.
    size: usize,
    multiply_adds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct TensorRecord {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// Values that are infinite or not a number.
    non_finite: usize,
}

/// Describes a checkpoint, even one that is no BiT network; the status says whether it could be loaded.
pub fn run(args: &InspectArgs) -> Result<Status> {
    let source = Source::open(&args.checkpoint)?;
    let checkpoint = source.checkpoint();
    let mut described = describe(checkpoint)?;
    match model(&source, args.size as usize) {
        Ok((model, unknown, error)) => {
            (described.model, described.unknown, described.error) = (Some(model), unknown, error);
        }
        Err(error) => described.error = Some(error.to_string()),
    }
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Json => writeln!(sink, "{}", serde_json::to_string_pretty(&described)?)?,
        ReportFormat::Text => text(&mut sink, &described)?,
    }
    sink.finish()?;
    Ok(match &described.error {
        None => Status::Success,
        Some(error) => {
            report(error);
            Status::Failure
        }
    })
}

fn describe(checkpoint: &Checkpoint) -> Result<Report> {
    let bar = progress::bytes();
    let infos = checkpoint.tensors();
    bar.set_length(infos.iter().map(|info| info.byte_len() as u64).sum());
    let mut tensors = Vec::with_capacity(infos.len());
    let mut dtypes = BTreeMap::new();
    for info in infos {
        let non_finite = checkpoint.read(&info.name)?.non_finite();
        *dtypes.entry(info.dtype.to_string()).or_default() += 1;
        let (name, dtype, shape) = (info.name.clone(), info.dtype.to_string(), info.shape.clone());
        tensors.push(TensorRecord {
            name,
            dtype,
            shape,
            non_finite,
        });
        bar.inc(info.byte_len() as u64);
    }
    bar.finish_and_clear();
    Ok(Report {
        checkpoint: checkpoint.path().display().to_string(),
        format: checkpoint.format().to_string(),
        files: checkpoint
            .files()
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
        bytes: infos.iter().map(|info| info.byte_len() as u64).sum(),
        dtypes,
        model: None,
        error: None,
        tensors,
        unknown: Vec::new(),
    })
}

/// The network, the tensors that are none of it, and what keeps it from loading.
fn model(source: &Source, size: usize) -> Result<(Model, Vec<String>, Option<String>)> {
    let tensors = source.checkpoint().to_transformers()?;
    let config = match source.config() {
        Some(config) => config,
        None => tensors.config()?,
    };
    let error = tensors.check(&config).err().map(|error| error.to_string());
    Ok((network(&tensors, &config, size), tensors.unused().to_vec(), error))
}

fn network(tensors: &BitTensors<'_>, config: &BitConfig, size: usize) -> Model {
    let parameters = tensors.tensors().iter().map(|info| info.elements() as u64).sum();
    Model {
        architecture: ARCHITECTURES
            .iter()
            .find(|known| known.config(config.num_labels()).parameters() == config.parameters())
            .map(|known| known.name),
        dialect: tensors.dialect().to_string(),
        prefix: tensors.prefix().to_owned(),
        layer_type: config.layer_type.name(),
        depths: config.depths.clone(),
        hidden_sizes: config.stage_channels(),
        num_channels: config.num_channels,
        num_labels: tensors
            .info("classifier.1.weight")
            .map_or(0, |_| config.num_labels()),
        parameters,
        size,
        multiply_adds: multiply_adds(config, size),
    }
}

fn text(out: &mut impl Write, report: &Report) -> Result<()> {
    let dtypes: Vec<_> = report
        .dtypes
        .iter()
        .map(|(dtype, count)| format!("{count} {dtype}"))
        .collect();
    writeln!(
        out,
        "{}: {}, {} bytes",
        report.checkpoint, report.format, report.bytes
    )?;
    writeln!(out, "tensors: {}", dtypes.join(", "))?;
    if let Some(model) = &report.model {
        let dialect = [
            model.dialect.as_str(),
            " names",
            if model.prefix.is_empty() { "" } else { " behind " },
        ];
        writeln!(
            out,
            "network: {} ({})",
            model.architecture.unwrap_or("unpublished"),
            model.layer_type
        )?;
        writeln!(out, "names: {}{}", dialect.concat(), model.prefix)?;
        writeln!(
            out,
            "depths: {:?}, channels: {:?}",
            model.depths, model.hidden_sizes
        )?;
        writeln!(
            out,
            "labels: {}, input channels: {}",
            model.num_labels, model.num_channels
        )?;
        writeln!(
            out,
            "parameters: {} ({})",
            model.parameters,
            millions(model.parameters)
        )?;
        if let Some(count) = model.multiply_adds {
            writeln!(
                out,
                "multiply-adds at {0}x{0}: {1} ({2:.2} G)",
                model.size,
                count,
                count as f64 / 1e9
            )?;
        }
    }
    for name in &report.unknown {
        writeln!(out, "not part of the network: {name}")?;
    }
    for tensor in report.tensors.iter().filter(|tensor| tensor.non_finite > 0) {
        writeln!(out, "not finite: {} values of {}", tensor.non_finite, tensor.name)?;
    }
    writeln!(out)?;
    for tensor in &report.tensors {
        writeln!(out, "{}  {:?}  {}", tensor.dtype, tensor.shape, tensor.name)?;
    }
    Ok(())
}
