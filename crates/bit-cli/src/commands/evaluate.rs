//! `bit evaluate`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bit_config::ProblemType;
use bit_model::BitForImageClassification;
use bit_pretrained::{LoadOptions, Loaded};
use bit_transfer::data::{DataSet, LabelTask, LoaderOptions, OpenOptions, open};
use bit_transfer::metrics::{Average, Evaluation, Report};
use bit_transfer::train::evaluate;
use serde_json::Value;

use crate::args::{EvaluateArgs, Part, ReportFormat};
use crate::interrupt;
use crate::output::Sink;
use crate::progress;
use crate::source::{named, open_model};
use crate::status::Status;
use crate::watching::{left_out, report_left_out};

/// Measures a model on labelled images.
pub fn run(args: &EvaluateArgs) -> Result<Status> {
    let device = args.device.device.open()?;
    let pretrained = open_model(&args.model)?;
    let processor = named(&args.model, pretrained.processor(args.processor.into()))?;
    let loaded = pretrained.load::<BitForImageClassification>(LoadOptions::default(), &device);
    let Loaded { model, config, .. } = named(&args.model, loaded)?;
    ensure!(
        config.num_labels() > 0,
        "{}: the model has no classifier to measure",
        args.model
    );
    let classes: Vec<String> = (0..config.num_labels())
        .map(|index| config.label(index))
        .collect();
    let mut options = args.data.options();
    if config.problem_type == Some(ProblemType::MultiLabelClassification) {
        options.task = Some(LabelTask::MultiLabel);
    }
    let data = Arc::new(part(args, &options)?.with_classes(&classes)?);
    let options = LoaderOptions {
        batch_size: usize::from(args.batch_size),
        strict: args.data.strict,
        threads: args.data.threads,
        ..LoaderOptions::default()
    };
    interrupt::install()?;
    let bar = progress::images(data.len());
    let mut go_on = |done| {
        bar.set_position(done as u64);
        !interrupt::requested()
    };
    let (evaluation, skipped) = evaluate(&model, &data, processor, options, &device, &mut go_on)?;
    bar.finish_and_clear();
    skipped.iter().for_each(report_left_out);
    let measured = evaluation.report();
    let mut object = serde_json::to_value(&measured)?;
    object["left_out"] = skipped.len().into();
    object["skipped"] = serde_json::to_value(&skipped)?;
    object["stopped"] = interrupt::requested().into();
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Json => writeln!(sink, "{object:#}")?,
        ReportFormat::Text => text(&mut sink, &measured, skipped.len())?,
    }
    sink.finish()?;
    if let Some(folder) = &args.output {
        write(&evaluation, &object, folder)?;
    }
    Ok(match (interrupt::requested(), skipped.is_empty()) {
        (true, _) => Status::Interrupted,
        (false, true) => Status::Success,
        (false, false) => Status::Failure,
    })
}

/// The part that was asked for, or the one that is meant for measuring.
fn part(args: &EvaluateArgs, options: &OpenOptions) -> Result<DataSet> {
    let splits = open(&args.data.data, options)?;
    let found = match args.part {
        None => Some(splits.test.or(splits.validation).unwrap_or(splits.train)),
        Some(Part::Train) => Some(splits.train),
        Some(Part::Validation) => splits.validation,
        Some(Part::Test) => splits.test,
    };
    let place = args.data.data.display();
    found.ok_or_else(|| {
        anyhow::anyhow!("{place}: the data has no such part; leave --part out to measure all of it")
    })
}

/// The report, and the confusion matrix where an image has one label.
fn write(evaluation: &Evaluation, object: &Value, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}: cannot create", folder.display()))?;
    let mut report = Sink::open(Some(&folder.join("report.json")))?;
    writeln!(report, "{object:#}")?;
    report.finish()?;
    if let Some(confusion) = evaluation.confusion() {
        confusion.write_csv(&folder.join("confusion.csv"))?;
        confusion.write_png(&folder.join("confusion.png"))?;
    }
    Ok(())
}

fn text(out: &mut impl Write, report: &Report, skipped: usize) -> Result<()> {
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    writeln!(out, "images {}", report.images)?;
    left_out(out, skipped)?;
    writeln!(
        out,
        "top-1 {}, top-5 {}, loss {:.4}",
        percent(report.top1),
        percent(report.top5),
        report.loss
    )?;
    writeln!(out, "calibration error {}", percent(report.calibration_error))?;
    writeln!(
        out,
        "\n{:>9} {:>9} {:>9} {:>7}  class",
        "precision", "recall", "F1", "images"
    )?;
    let mut row = |scores: &Average, images: &str, name: &str| {
        let Average {
            precision,
            recall,
            f1,
        } = *scores;
        writeln!(
            out,
            "{precision:>9.4} {recall:>9.4} {f1:>9.4} {images:>7}  {name}"
        )
    };
    for class in &report.classes {
        row(&class.scores, &class.images.to_string(), &class.label)?;
    }
    row(&report.macro_average, "", "(mean of the classes)")?;
    row(&report.weighted_average, "", "(weighted by their images)")?;
    if !report.worst.is_empty() {
        writeln!(out, "\nworst mistakes:")?;
    }
    for mistake in &report.worst {
        let (predicted, labels) = (mistake.predicted.join(", "), mistake.labels.join(", "));
        writeln!(
            out,
            "{}: {labels}, taken for {predicted} ({})",
            mistake.image,
            percent(mistake.confidence)
        )?;
    }
    Ok(())
}
