//! `cargo xtask parity`

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::python::{self, Python};
use crate::{cargo, numbers, process};

/// Run transformers and this project on the same weights and inputs; fails where a bar is missed
#[derive(clap::Args)]
pub struct Arguments {
    /// Device that this project runs on: cpu, ndarray, wgpu, vulkan, metal or cuda, with `:N` for the Nth
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Also R50x1, R101x1 and R50x3 at full size, against timm too, and pictures through the command line
    #[arg(long)]
    full: bool,
    /// Compare the image processors with Pillow and torchvision instead
    #[arg(long, conflicts_with_all = ["full", "convert"])]
    images: bool,
    /// Folder of pictures to compare as well, for --images
    #[arg(long, requires = "images")]
    dir: Option<PathBuf>,
    /// Number of random cases, for --images
    #[arg(long, requires = "images")]
    cases: Option<u32>,
    /// Compare what `bit convert` reads and writes with transformers, timm and ONNX Runtime instead
    #[arg(long, conflicts_with = "full")]
    convert: bool,
    /// Put the table into docs/numbers.md
    #[arg(long)]
    write: bool,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let python = Python::ready()?;
    let bit = cargo::build_release("bit-cli", "bit", &arguments.device)?;
    let (section, mut script) = if arguments.images {
        ("parity images".to_owned(), images(&python, arguments))
    } else if arguments.convert {
        ("parity convert".to_owned(), python.script("convert_parity.py"))
    } else {
        (
            format!("parity {}", arguments.device),
            models(&python, arguments)?,
        )
    };
    script.arg("--bit").arg(bit);
    let table = python::cache()?.join("table.md");
    if arguments.write {
        script.arg("--markdown").arg(&table);
    }
    process::run(&mut script)?;
    if arguments.write {
        let text = fs::read_to_string(&table).with_context(|| format!("cannot read {}", table.display()))?;
        numbers::write_section(&section, &text)?;
    }
    Ok(())
}

fn models(python: &Python, arguments: &Arguments) -> Result<Command> {
    let runner = cargo::build_release("bit-tests", "run-model", &arguments.device)?;
    let mut script = python.script("parity.py");
    script
        .arg("--runner")
        .arg(runner)
        .args(["--device", &arguments.device]);
    if arguments.full {
        script.arg("--full");
    }
    Ok(script)
}

fn images(python: &Python, arguments: &Arguments) -> Command {
    let mut script = python.script("image_parity.py");
    if let Some(folder) = &arguments.dir {
        script.arg("--dir").arg(folder);
    }
    if let Some(cases) = arguments.cases {
        script.args(["--cases", &cases.to_string()]);
    }
    script
}
