//! `cargo xtask parity`

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cargo::Program;
use crate::python::Python;
use crate::{numbers, process};

/// Run transformers and this project on the same weights and inputs; fails where a bar is missed
#[derive(clap::Args)]
pub struct Arguments {
    /// Device that this project runs on: cpu, ndarray, wgpu, vulkan, metal or cuda, with `:N` for the Nth
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Also models at full size: R50x1, R101x1 and R50x3, against timm too, and pictures through the command line;
    /// with --training, R50x1
    #[arg(long)]
    full: bool,
    /// Compare the image processors with Pillow and torchvision instead
    #[arg(long, conflicts_with_all = ["full", "convert"])]
    images: bool,
    /// Folder of pictures to compare instead of random cases, for --images
    #[arg(long, requires = "images")]
    dir: Option<PathBuf>,
    /// Least number of random cases that give values on both sides, for --images
    #[arg(long, requires = "images")]
    cases: Option<u32>,
    /// Check that transformers, timm and ONNX Runtime load what bit-convert writes instead
    #[arg(long)]
    convert: bool,
    /// Measure the memory of converting R152x4 and the time of loading R50x1 too, for --convert
    #[arg(long, requires = "convert")]
    memory: bool,
    /// Train 20 steps beside google-research/big_transfer's code instead
    #[arg(long, conflicts_with_all = ["images", "convert"])]
    training: bool,
    /// Convert seeded models under published names by `cargo xtask convert`, killed and run again, instead
    #[arg(long, conflicts_with_all = ["images", "convert", "training", "full"])]
    zoo: bool,
    /// Put the table into docs/numbers.md
    #[arg(long)]
    write: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let python = Python::ready()?;
    if arguments.images {
        let pictures = arguments.dir.as_deref().and_then(Path::file_name);
        let heading = match pictures {
            Some(folder) => format!("Parity of the image processors on `{}`", folder.display()),
            None => "Parity of the image processors".to_owned(),
        };
        finish(&heading, images(&python, arguments)?, arguments.write)
    } else if arguments.convert {
        finish(
            "Parity of the converters",
            converters(&python, arguments)?,
            arguments.write,
        )
    } else if arguments.training {
        let table = process::output(&mut training(&python, arguments)?)?;
        print!("{table}");
        match arguments.write {
            true => numbers::write_section("Parity of training", &table),
            false => Ok(()),
        }
    } else if arguments.zoo {
        finish("Conversion of the zoo", zoo(&python)?, arguments.write)
    } else {
        let mut script = models(&python, arguments)?;
        if !arguments.write {
            return process::run(&mut script);
        }
        numbers::write_section(
            &format!("Parity on {}", arguments.device),
            &numbers::markdown_of(&mut script)?,
        )
    }
}

/// Runs a script whose table is meant for a terminal.
fn finish(heading: &str, mut script: Command, write: bool) -> Result<()> {
    if !write {
        return process::run(&mut script);
    }
    numbers::write_section(heading, &numbers::printed_by(&mut script)?)
}

fn models(python: &Python, arguments: &Arguments) -> Result<Command> {
    let device = arguments.device.as_str();
    let mut script = python.script("parity.py");
    script
        .args(["--device", device])
        .arg("--runner")
        .arg(Program::RUN_MODEL.build(device)?);
    script.arg("--bit").arg(Program::BIT.build(device)?);
    script.args(arguments.full.then_some("--full"));
    Ok(script)
}

fn images(python: &Python, arguments: &Arguments) -> Result<Command> {
    let mut script = python.script("image_parity.py");
    script.arg("--program").arg(Program::PROCESS_CASES.build("cpu")?);
    if let Some(folder) = &arguments.dir {
        script.arg("--dir").arg(folder);
    }
    if let Some(cases) = arguments.cases {
        script.args(["--cases", &cases.to_string()]);
    }
    Ok(script)
}

fn converters(python: &Python, arguments: &Arguments) -> Result<Command> {
    let mut script = python.script("convert_parity.py");
    script.arg("--convert").arg(Program::CONVERT.build("cpu")?);
    script.args(arguments.full.then_some("--full"));
    if arguments.memory {
        script
            .args(["--memory", "--load"])
            .arg(Program::LOAD.build("cpu")?);
    }
    Ok(script)
}

fn zoo(python: &Python) -> Result<Command> {
    let mut script = python.script("convert_zoo.py");
    script.arg("--xtask").arg(env::current_exe()?);
    Ok(script)
}

fn training(python: &Python, arguments: &Arguments) -> Result<Command> {
    let device = arguments.device.as_str();
    let mut script = python.script("training.py");
    script.args(["--device", device]);
    script.arg("--program").arg(Program::TRAIN_BATCHES.build(device)?);
    script.args(arguments.full.then_some("--full"));
    Ok(script)
}
