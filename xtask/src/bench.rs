//! `cargo xtask bench`

use anyhow::Result;

use crate::cargo::Program;
use crate::numbers;
use crate::python::Python;

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
    let bit = Program::BIT.build("cpu")?;
    let (section, mut script) = if arguments.images {
        ("bench images", python.script("bench_images.py"))
    } else {
        let mut script = python.script("bench.py");
        script.arg("--runner").arg(Program::BENCH_MODEL.build("cpu")?);
        ("bench", script)
    };
    if let Some(rounds) = arguments.rounds {
        script.args(["--rounds", &rounds.to_string()]);
    }
    numbers::write_section(section, &numbers::markdown_of(script.arg("--bit").arg(bit))?)
}
