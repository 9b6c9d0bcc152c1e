//! How long a checkpoint takes from its name to a network in memory, or to plain numbers for comparison:
//! `cargo run --release -p bit-pretrained --example load -- network|numbers MODEL [RUNS]`.

use std::error::Error;
use std::time::{Duration, Instant};

use bit_convert::Checkpoint;
use bit_model::BitForImageClassification;
use bit_pretrained::{LoadOptions, Pretrained};
use burn::tensor::Device;

const USAGE: &str = "usage: load network|numbers MODEL [RUNS]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let load = match arguments.next().as_deref() {
        Some("network") => network,
        Some("numbers") => numbers,
        _ => return Err(USAGE.into()),
    };
    let model = arguments.next().ok_or(USAGE)?;
    let runs = arguments.next().map_or(Ok(5), |runs| runs.parse())?;
    for _ in 0..runs {
        println!("{:.1} ms", load(&model)?.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// As a program does that is about to classify.
fn network(model: &str) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let pretrained = Pretrained::open(model)?;
    let loaded = pretrained.load::<BitForImageClassification>(LoadOptions::default(), &Device::flex())?;
    let elapsed = start.elapsed();
    assert!(loaded.report.is_complete());
    Ok(elapsed)
}

/// The least that has to be done: every tensor read to where it stays.
fn numbers(model: &str) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let checkpoint = Checkpoint::open(model.as_ref())?;
    let tensors = checkpoint.to_transformers()?;
    let read = tensors.tensors().iter().map(|info| tensors.read_f32(&info.name));
    let _tensors = read.collect::<Result<Vec<_>, _>>()?;
    Ok(start.elapsed())
}
