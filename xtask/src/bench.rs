//! `cargo xtask bench`

use std::process::Command;

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
    /// Training steps instead of forward passes, beside PyTorch's
    #[arg(long, conflicts_with = "images")]
    training: bool,
    /// Where R50x1's time goes, layer by layer
    #[arg(long, conflicts_with = "images")]
    layers: bool,
    /// Rounds of measuring; each contender runs once a round
    #[arg(long)]
    rounds: Option<u32>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.layers {
        return layers(arguments.rounds.unwrap_or(50));
    }
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
        return numbers::write_judged("Speed of the image processors", &mut script);
    }
    if arguments.training {
        let mut script = script("bench_training.py");
        script.arg("--runner").arg(Program::BENCH_TRAIN.build("cpu")?);
        return numbers::write_section("Speed of training", &numbers::markdown_of(&mut script)?);
    }
    let mut script = script("bench.py");
    script.arg("--runner").arg(Program::BENCH_MODEL.build("cpu")?);
    script.arg("--bit").arg(Program::BIT.build("cpu")?);
    numbers::write_section("Speed", &numbers::markdown_of(&mut script)?)
}

fn layers(rounds: u32) -> Result<()> {
    let program = Program::FORWARD.build("cpu")?;
    let mut section =
        "Each operation's least time; the shape is the input's, `x` counts the layers of that kind.\n"
            .to_owned();
    for size in ["224", "448"] {
        let mut forward = Command::new(&program);
        forward.args(["--layers", "--size", size, "--repeat", &rounds.to_string()]);
        section += &format!(
            "\n**R50x1, batch 1, {size}x{size}**\n\n{}\n",
            numbers::printed_by(&mut forward)?
        );
    }
    numbers::write_section("Where the time goes", &section)
}
