//! `cargo xtask train-builtin` and `cargo xtask transfer`: training on real handwritten digits.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Program};
use crate::python::Python;
use crate::{numbers, process};

/// What the model that ships today reaches on mnist5k-test.
const BAR: f64 = 0.979;

/// How `builtin:mnist` is trained.
const RECIPE: [&str; 15] = [
    "--steps",
    "3000",
    "--batch-size",
    "64",
    "--base-lr",
    "0.1",
    "--resolution",
    "36:32",
    "--no-flip",
    "--validation-split",
    "0",
    "--label-smoothing",
    "0.1",
    "--ema",
    "0.99",
];

/// Train builtin:mnist anew from mnist5k-train, and replace it when it is at least as good
#[derive(clap::Args)]
pub struct TrainBuiltin {
    /// Folder with the parquet files of tests/reference/digits.py; made when absent
    #[arg(long)]
    data: Option<PathBuf>,
    /// Only train and measure
    #[arg(long)]
    dry_run: bool,
}

/// Transfer from builtin:mnist to another data set of digits, beside the Python reference with the same recipe
#[derive(clap::Args)]
pub struct Transfer {
    /// Folder with the parquet files of tests/reference/digits.py; made when absent
    #[arg(long)]
    data: Option<PathBuf>,
    /// Put the table into docs/numbers.md
    #[arg(long)]
    write: bool,
}

pub fn train_builtin(arguments: &TrainBuiltin) -> Result<()> {
    let data = data(arguments.data.as_deref())?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let trained = folder.path().join("mnist");
    let mut finetune = Command::new(Program::BIT.build("cpu")?);
    finetune.args([
        "finetune",
        "--model",
        "builtin:mnist",
        "--from-scratch",
        "--format",
        "json",
    ]);
    finetune.arg("--data").arg(data.join("mnist5k-train.parquet"));
    finetune.arg("--test").arg(data.join("mnist5k-test.parquet"));
    finetune.arg("--output").arg(&trained).args(RECIPE);
    let report: serde_json::Value = serde_json::from_str(&process::output(&mut finetune)?)?;
    let top1 = report["test"]["top1"]
        .as_f64()
        .context("`bit finetune` gave no test score")?;
    println!("top-1 {:.1}% on mnist5k-test", 100.0 * top1);
    ensure!(
        top1 >= BAR,
        "that is below {:.1}%: builtin:mnist is left as it was",
        100.0 * BAR
    );
    if arguments.dry_run {
        return Ok(());
    }
    let builtin = cargo::root().join("crates/bit-pretrained/builtin/mnist");
    for file in ["config.json", "preprocessor_config.json", "model.safetensors"] {
        let (from, to) = (trained.join(file), builtin.join(file));
        fs::copy(&from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    println!(
        "replaced {}; `cargo xtask fixtures` makes its answers anew",
        builtin.display()
    );
    Ok(())
}

pub fn transfer(arguments: &Transfer) -> Result<()> {
    let mut script = Python::ready()?.script("transfer.py");
    script.arg("--data").arg(data(arguments.data.as_deref())?);
    script.arg("--program").arg(Program::BIT.build("cpu")?);
    let table = process::output(&mut script)?;
    print!("{table}");
    match arguments.write {
        true => numbers::write_section("Transfer from builtin:mnist to 8x8 digits", &table),
        false => Ok(()),
    }
}

/// The folder given, or one where cargo builds, filled by the script.
fn data(folder: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = folder {
        return Ok(folder.to_path_buf());
    }
    let folder = cargo::target_directory()?.join("digits");
    process::run(Python::ready()?.script("digits.py").arg("--output").arg(&folder))?;
    Ok(folder)
}
