//! `bit models`.

use std::io::Write;

use anyhow::Result;
use bit_config::zoo::{ZOO, ZooModel};
use bit_pretrained::{Pretrained, builtins};
use serde::Serialize;

use crate::args::{ModelsArgs, ReportFormat};
use crate::output::Sink;
use crate::status::Status;

/// One model in JSON.
#[derive(Debug, Serialize)]
struct Record {
    /// What `--model` takes; for a model that is only published as npz, the short name of that file.
    model: String,
    name: String,
    architecture: Option<&'static str>,
    parameters: u64,
    classes: usize,
    /// Side of the image, in pixels.
    input: Option<usize>,
    /// On ImageNet-1k, in percent.
    top1: Option<f64>,
    top5: Option<f64>,
    repositories: &'static [&'static str],
    npz: Option<String>,
    description: Option<&'static str>,
}

const NPZ_FOLDER: &str = "https://storage.googleapis.com/bit_models/";

/// Prints the builtin and the published models.
pub fn run(args: &ModelsArgs) -> Result<Status> {
    let mut records = Vec::new();
    for (name, description) in builtins() {
        records.push(builtin(name, description)?);
    }
    records.extend(ZOO.iter().map(published));
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Text => text(&mut sink, &records)?,
        ReportFormat::Json => writeln!(sink, "{}", serde_json::to_string_pretty(&records)?)?,
    }
    sink.finish()?;
    Ok(Status::Success)
}

fn builtin(name: String, description: &'static str) -> Result<Record> {
    let pretrained = Pretrained::open(&name)?;
    let config = pretrained.config();
    let crop = pretrained
        .processor_config()
        .ok()
        .and_then(|processor| processor.crop_size.or(processor.size));
    Ok(Record {
        model: name.clone(),
        name,
        architecture: None,
        parameters: config.parameter_count(),
        classes: config.num_labels(),
        input: crop.and_then(|size| size.entries().first().map(|(_, side)| *side)),
        top1: None,
        top5: None,
        repositories: &[],
        npz: None,
        description: Some(description),
    })
}

fn published(model: &ZooModel) -> Record {
    Record {
        model: model
            .repositories
            .first()
            .map_or_else(|| model.short_name(), |repository| (*repository).to_owned()),
        name: model.name.to_owned(),
        architecture: Some(model.architecture.name),
        parameters: model.architecture.config(model.classes).parameter_count(),
        classes: model.classes,
        input: Some(model.input),
        top1: model.accuracy.map(|accuracy| accuracy.0),
        top5: model.accuracy.map(|accuracy| accuracy.1),
        repositories: model.repositories,
        npz: Some(format!("{NPZ_FOLDER}{}", model.npz)),
        description: None,
    }
}

fn text(out: &mut impl Write, records: &[Record]) -> Result<()> {
    let width = records.iter().map(|record| record.model.len()).max().unwrap_or(0);
    writeln!(
        out,
        "{:width$}  network  parameters  classes  input  top-1",
        "model"
    )?;
    for record in records {
        let input = record.input.map_or_else(String::new, |input| input.to_string());
        let top1 = record.top1.map_or_else(String::new, |top1| format!("{top1:.1}%"));
        writeln!(
            out,
            "{:width$}  {:7}  {:>10}  {:>7}  {input:>5}  {top1}",
            record.model,
            record.architecture.unwrap_or_default(),
            millions(record.parameters),
            record.classes,
        )?;
    }
    Ok(())
}

/// `25.5 M`.
pub fn millions(count: u64) -> String {
    format!(
        "{:.*} M",
        if count < 1_000_000 { 3 } else { 1 },
        count as f64 / 1e6
    )
}
