//! `bit inspect`.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Result;
use bit_config::BitConfig;
use bit_config::zoo::{ARCHITECTURES, Architecture};
use bit_convert::{BitTensors, Checkpoint, Tensor};
use serde::Serialize;

use crate::args::{InspectArgs, ReportFormat};
use crate::arithmetic::multiply_adds;
use crate::commands::models::millions;
use crate::output::Sink;
use crate::printable::printable;
use crate::progress;
use crate::source::{Source, named};
use crate::status::{Status, message, report};

/// The report in JSON.
#[derive(Debug, Serialize)]
struct Report {
    checkpoint: String,
    format: String,
    files: Vec<String>,
    bytes: u64,
    /// Tensors of each element type.
    dtypes: BTreeMap<String, usize>,
    /// Whose names the tensors have; `null` when this is not a BiT network.
    dialect: Option<String>,
    /// What stands before those names.
    prefix: Option<String>,
    /// Of the network, its classifier included.
    parameters: Option<u64>,
    /// `null` when the configuration is unknown.
    network: Option<Network>,
    /// Why it cannot be loaded, if so.
    error: Option<String>,
    tensors: Vec<TensorRecord>,
    /// Tensors that are no part of the network.
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Network {
    /// The paper's name, such as R50x1, where it has one.
    architecture: Option<&'static str>,
    layer_type: &'static str,
    depths: Vec<usize>,
    hidden_sizes: Vec<usize>,
    num_channels: usize,
    /// 0 without a classifier.
    num_labels: usize,
    /// Side of the square image that the arithmetic is counted for.
    size: usize,
    multiply_adds: Option<u64>,
}

#[derive(Debug, Serialize)]
struct TensorRecord {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// Values that are infinite or not a number; `null` when they cannot be read.
    non_finite: Option<usize>,
    /// Why they cannot be read, if so.
    error: Option<String>,
}

/// Describes a checkpoint, even one that is no BiT network or cannot be read whole; the status says whether it could be
/// loaded.
pub fn run(args: &InspectArgs) -> Result<Status> {
    let source = Source::open(&args.checkpoint)?;
    let checkpoint = source.checkpoint();
    let mut described = describe(checkpoint);
    let added = add_network(&mut described, &source, args.size as usize);
    described.error = added.err().as_ref().map(message);
    let unreadable = described.tensors.iter().find_map(|tensor| tensor.error.clone());
    described.error = described.error.or(unreadable);
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

fn describe(checkpoint: &Checkpoint) -> Report {
    let bar = progress::bytes();
    let infos = checkpoint.tensors();
    bar.set_length(infos.iter().map(|info| info.byte_len() as u64).sum());
    let mut tensors = Vec::with_capacity(infos.len());
    let mut dtypes = BTreeMap::new();
    for info in infos {
        let read = checkpoint.read(&info.name);
        *dtypes.entry(info.dtype.to_string()).or_default() += 1;
        let (name, dtype, shape) = (info.name.clone(), info.dtype.to_string(), info.shape.clone());
        tensors.push(TensorRecord {
            name,
            dtype,
            shape,
            non_finite: read.as_ref().ok().map(Tensor::non_finite),
            error: read.err().map(|error| error.to_string()),
        });
        bar.inc(info.byte_len() as u64);
    }
    bar.finish_and_clear();
    Report {
        checkpoint: checkpoint.path().display().to_string(),
        format: checkpoint.format().to_string(),
        files: checkpoint
            .files()
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
        bytes: infos.iter().map(|info| info.byte_len() as u64).sum(),
        dtypes,
        dialect: None,
        prefix: None,
        parameters: None,
        network: None,
        error: None,
        tensors,
        unknown: Vec::new(),
    }
}

/// Adds what is known of the network, up to what keeps it from loading.
fn add_network(report: &mut Report, source: &Source, size: usize) -> Result<()> {
    let tensors = source.checkpoint().to_transformers()?;
    report.dialect = Some(tensors.dialect().to_string());
    report.prefix = Some(tensors.prefix().to_owned());
    report.parameters = Some(tensors.tensors().iter().map(|info| info.elements() as u64).sum());
    report.unknown = tensors.unused().to_vec();
    let config = match source.config() {
        Some(config) => config,
        None => named(&report.checkpoint, tensors.config())?,
    };
    report.network = Some(network(&tensors, &config, size));
    Ok(tensors.check(&config)?)
}

fn network(tensors: &BitTensors<'_>, config: &BitConfig, size: usize) -> Network {
    let known = |known: &&Architecture| known.config(config.num_labels()).parameters() == config.parameters();
    Network {
        architecture: ARCHITECTURES.iter().find(known).map(|known| known.name),
        layer_type: config.layer_type.name(),
        depths: config.depths.clone(),
        hidden_sizes: config.stage_channels(),
        num_channels: config.num_channels,
        num_labels: tensors
            .info("classifier.1.weight")
            .map_or(0, |_| config.num_labels()),
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
    if let (Some(dialect), Some(prefix)) = (&report.dialect, &report.prefix) {
        let prefix = if prefix.is_empty() {
            String::new()
        } else {
            format!(", after `{}`", printable(prefix))
        };
        writeln!(out, "names: {dialect}{prefix}")?;
    }
    if let Some(parameters) = report.parameters {
        writeln!(out, "parameters: {parameters} ({})", millions(parameters))?;
    }
    if let Some(network) = &report.network {
        describe_network(out, network)?;
    }
    for name in &report.unknown {
        writeln!(out, "not part of the network: {}", printable(name))?;
    }
    for tensor in &report.tensors {
        let name = printable(&tensor.name);
        match tensor.non_finite {
            Some(0) => {}
            Some(count) => writeln!(out, "not finite: {count} values of {name}")?,
            None => writeln!(out, "cannot be read: {name}")?,
        }
    }
    writeln!(out)?;
    for tensor in &report.tensors {
        let name = printable(&tensor.name);
        writeln!(out, "{}  {:?}  {name}", tensor.dtype, tensor.shape)?;
    }
    Ok(())
}

fn describe_network(out: &mut impl Write, network: &Network) -> Result<()> {
    writeln!(
        out,
        "network: {} ({})",
        network.architecture.unwrap_or("unpublished"),
        network.layer_type
    )?;
    writeln!(
        out,
        "depths: {:?}, channels: {:?}",
        network.depths, network.hidden_sizes
    )?;
    writeln!(
        out,
        "labels: {}, input channels: {}",
        network.num_labels, network.num_channels
    )?;
    if let Some(count) = network.multiply_adds {
        writeln!(
            out,
            "multiply-adds at {0}x{0}: {count} ({1:.2} G)",
            network.size,
            count as f64 / 1e9
        )?;
    }
    Ok(())
}
