//! `bit bench`.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use bit_config::BitConfig;
use bit_config::zoo::{self, ARCHITECTURES};
use bit_model::BitForImageClassification;
use bit_pretrained::LoadOptions;
use burn::tensor::{Device, Distribution, Tensor};
use serde::Serialize;

use crate::args::{BenchArgs, ReportFormat};
use crate::interrupt;
use crate::output::Sink;
use crate::source::open_model;
use crate::status::Status;

/// The measurement in JSON.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    device: String,
    size: u16,
    batch: u16,
    repeats: usize,
    /// Of a whole batch.
    median_ms: f64,
    min_ms: f64,
    max_ms: f64,
    images_per_second: f64,
}

/// Times forward passes on random pixels, one after another, each until its logits are back.
pub fn run(args: &BenchArgs) -> Result<Status> {
    let device = args.device.device.open()?;
    let (model, channels) = network(&args.model, &device)?;
    let side = usize::from(args.size);
    let shape = [usize::from(args.batch), channels, side, side];
    let pixels = Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
    interrupt::install()?;
    // The first pass standardizes the weights, fills pools of memory, and compiles on a GPU.
    forward(&model, &pixels)?;
    let mut times = Vec::with_capacity(usize::from(args.repeat));
    while times.len() < usize::from(args.repeat) && !interrupt::requested() {
        times.push(forward(&model, &pixels)?);
    }
    if times.is_empty() {
        return Ok(Status::Interrupted);
    }
    print(args, &report(args, times))?;
    Ok(if interrupt::requested() {
        Status::Interrupted
    } else {
        Status::Success
    })
}

/// The model that is named, or one with random weights where only its shape is.
fn network(name: &str, device: &Device) -> Result<(BitForImageClassification, usize)> {
    if let Some(config) = published(name).filter(|_| !Path::new(name).exists()) {
        return Ok((
            BitForImageClassification::new(&config, device)?.for_inference(),
            config.num_channels,
        ));
    }
    let loaded = open_model(name)?.load::<BitForImageClassification>(LoadOptions::default(), device)?;
    Ok((loaded.model.for_inference(), loaded.config.num_channels))
}

/// An architecture's or a published model's configuration. Hub repositories are left to the Hub.
fn published(name: &str) -> Option<BitConfig> {
    const IMAGENET: usize = 1000;
    let architecture = ARCHITECTURES
        .iter()
        .find(|architecture| architecture.name == name);
    architecture
        .map(|architecture| architecture.config(IMAGENET))
        .or_else(|| {
            let model = zoo::find(name).filter(|_| !name.contains('/'))?;
            Some(model.architecture.config(model.classes))
        })
}

/// Milliseconds of one pass.
fn forward(model: &BitForImageClassification, pixels: &Tensor<4>) -> Result<f64> {
    let start = Instant::now();
    // Only reading the values waits for a device that works asynchronously.
    let _ = model.forward(pixels.clone())?.logits.into_data();
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// `times` is not empty.
fn report(args: &BenchArgs, mut times: Vec<f64>) -> Report {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    let median_ms = if times.len().is_multiple_of(2) {
        (times[middle - 1] + times[middle]) / 2.0
    } else {
        times[middle]
    };
    Report {
        model: args.model.clone(),
        device: args.device.device.to_string(),
        size: args.size,
        batch: args.batch,
        repeats: times.len(),
        median_ms,
        min_ms: times[0],
        max_ms: times[times.len() - 1],
        images_per_second: f64::from(args.batch) * 1e3 / median_ms,
    }
}

fn print(args: &BenchArgs, report: &Report) -> Result<()> {
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Json => writeln!(sink, "{}", serde_json::to_string_pretty(report)?)?,
        ReportFormat::Text => writeln!(
            sink,
            "{} on {}, batch {} at {}: median {:.1} ms ({:.1} to {:.1} in {}), {:.1} images/s",
            report.model,
            report.device,
            report.batch,
            report.size,
            report.median_ms,
            report.min_ms,
            report.max_ms,
            report.repeats,
            report.images_per_second
        )?,
    }
    sink.finish()
}
