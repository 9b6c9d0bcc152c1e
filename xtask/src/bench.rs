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
    let script = |name: &str| {
        let mut script = python.script(name);
        if let Some(rounds) = arguments.rounds {
            script.args(["--rounds", &rounds.to_string()]);
        }
        script
    };
    if arguments.images {
        let mut script = script("bench_images.py");
        script
            .arg("--program")
            .arg(Program::PREPROCESS_LOOP.build("cpu")?);
        return numbers::write_section(
            "Speed of the image processors",
            &numbers::printed_by(&mut script)?,
        );
    }
    let mut script = script("bench.py");
    script.arg("--runner").arg(Program::BENCH_MODEL.build("cpu")?);
    script.arg("--bit").arg(Program::BIT.build("cpu")?);
    numbers::write_section("Speed", &numbers::markdown_of(&mut script)?)
}
