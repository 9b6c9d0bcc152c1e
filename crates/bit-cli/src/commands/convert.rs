//! `bit convert`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bit_convert::{BitTensors, ConvertError, ConvertOptions, Dialect, Target, convert};

use crate::args::{ConvertArgs, SourceDialect};
use crate::commands::verify::verify;
use crate::interrupt;
use crate::output::Sink;
use crate::printable::printable;
use crate::progress;
use crate::source::{Source, named};
use crate::status::Status;

/// Writes a checkpoint in another format, and prints the files' names.
pub fn run(args: &ConvertArgs) -> Result<Status> {
    let target = args.to.unwrap_or_else(|| target_of(&args.dest));
    ensure!(
        !(args.verify && target == Target::Onnx),
        "--verify reads the result back, and ONNX can only be written here"
    );
    let source = Source::open(&args.source)?;
    check_dialect(args, &source.checkpoint().to_transformers()?)?;

    interrupt::install()?;
    let bar = progress::bytes();
    let shown = bar.clone();
    let advance = move |done, total| {
        shown.set_length(total);
        shown.set_position(done);
        if interrupt::requested() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let options = ConvertOptions {
        dtype: args.dtype.map(Into::into),
        config: source.config(),
        processor: source.processor(),
        progress: Some(&advance),
        ..ConvertOptions::default()
    };
    let converted = match convert(source.checkpoint(), &args.dest, target, &options) {
        Err(ConvertError::Cancelled { .. }) => return Ok(Status::Interrupted),
        converted => named(&args.source, converted)?,
    };
    bar.finish_and_clear();

    if let Some(first) = converted.unused.first() {
        let count = converted.unused.len();
        let first = printable(first);
        eprintln!("left out {count} tensors that are no part of the network, `{first}` the first of them");
    }
    if let Some(why) = &converted.no_processor {
        eprintln!("no image processor was written: {}", printable(&why.to_string()));
    }
    let mut sink = Sink::open(None)?;
    for file in &converted.files {
        writeln!(sink, "{}", file.display())?;
    }
    if args.verify {
        let summary = verify(source.checkpoint(), &converted, target);
        let summary = summary.with_context(|| format!("{}: not the same model", args.dest.display()))?;
        writeln!(sink, "{summary}")?;
    }
    sink.finish()?;
    Ok(Status::Success)
}

/// What the extension of a file says; a folder is transformers'.
fn target_of(dest: &Path) -> Target {
    const EXTENSIONS: &[(&str, Target)] = &[
        ("bin", Target::Pytorch),
        ("pt", Target::Pytorch),
        ("pth", Target::Pytorch),
        ("npz", Target::Google),
        ("bpk", Target::Burnpack),
        ("onnx", Target::Onnx),
    ];
    let extension = dest.extension().and_then(|extension| extension.to_str());
    let row = EXTENSIONS.iter().find(|row| Some(row.0) == extension);
    row.map_or(Target::Transformers, |row| row.1)
}

fn check_dialect(args: &ConvertArgs, tensors: &BitTensors<'_>) -> Result<()> {
    let found = tensors.dialect();
    let fits = match args.from {
        SourceDialect::Auto => true,
        SourceDialect::Hf => found == Dialect::Transformers,
        SourceDialect::Timm => found == Dialect::Timm,
        SourceDialect::Google => !matches!(found, Dialect::Transformers | Dialect::Timm),
    };
    ensure!(
        fits,
        "{}: its names are those of {found}, not what --from says",
        args.source
    );
    Ok(())
}
