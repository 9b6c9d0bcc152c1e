//! `cargo xtask bench`

use std::fs;

use anyhow::{Context, Result};

use crate::python::{self, Python};
use crate::{cargo, numbers, process};

/// Measure this project beside ONNX Runtime and PyTorch, in one run, and write docs/numbers.md
#[derive(clap::Args)]
pub struct Arguments {
    /// The image processors instead of the network
    #[arg(long)]
    images: bool,
    /// Rounds of measuring; each contender runs once a round
    #[arg(long)]
    rounds: Option<u32>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let python = Python::ready()?;
    let table = python::cache()?.join("table.md");
    let (section, mut script) = if arguments.images {
        let mut script = python.script("bench_images.py");
        script
            .arg("--bit")
            .arg(cargo::build_release("bit-cli", "bit", "cpu")?);
        ("bench images", script)
    } else {
        let mut script = python.script("bench.py");
        script
            .arg("--runner")
            .arg(cargo::build_release("bit-tests", "bench-model", "cpu")?);
        script
            .arg("--bit")
            .arg(cargo::build_release("bit-cli", "bit", "cpu")?);
        ("bench", script)
    };
    if let Some(rounds) = arguments.rounds {
        script.args(["--rounds", &rounds.to_string()]);
    }
    process::run(script.arg("--markdown").arg(&table))?;
    let text = fs::read_to_string(&table).with_context(|| format!("cannot read {}", table.display()))?;
    numbers::write_section(section, &text)
}
