//! `cargo xtask convert`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bit_config::zoo::{self, ZooModel};

use crate::cargo::Program;
use crate::manifest::{Entry, Manifest};
use crate::process;
use crate::python::{self, Python};

/// Convert published models to transformers folders, each verified and listed with its hashes
///
/// Takes local files from --from, and what is not there from the Hub. What the manifest lists and the output
/// folder still holds is not converted again, so that a stopped run goes on where it was.
#[derive(clap::Args)]
pub struct Arguments {
    /// Models by any name that `bit models` knows
    #[arg(required_unless_present = "all")]
    models: Vec<String>,
    /// All published models
    #[arg(long, conflicts_with = "models")]
    all: bool,
    /// Folder of files that were fetched by hand: `NAME/`, `NAME.safetensors`, or Google's `.npz`
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Where the folders and manifest.json go [default: the user's cache]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    let models = models(arguments)?;
    let output = match &arguments.output {
        Some(folder) => folder.clone(),
        None => python::cache()?.join("models"),
    };
    fs::create_dir_all(&output).with_context(|| format!("cannot make {}", output.display()))?;
    let mut manifest = Manifest::open(&output)?;
    let bit = Program::BIT.build("cpu")?;
    let python = Python::at_hand();
    if python.is_none() {
        eprintln!("the pinned Python is not at hand (`cargo xtask parity` makes it): verifying without it");
    }
    let mut failed = Vec::new();
    for model in models {
        if manifest.holds(model.name)? {
            println!("{}: done before", model.name);
            continue;
        }
        let source = source(model, arguments.from.as_deref());
        match convert(model, &source, &output, &bit, python.as_ref()) {
            Ok(entry) => manifest.add(model.name, &entry)?,
            Err(error) => failed.push(format!("{}: {error:#}", model.name)),
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} models were not converted:\n  {}",
            failed.len(),
            failed.join("\n  ")
        );
    }
    println!("all in {}", output.display());
    Ok(())
}

fn models(arguments: &Arguments) -> Result<Vec<&'static ZooModel>> {
    if arguments.all {
        return Ok(zoo::ZOO.iter().collect());
    }
    let find =
        |name: &String| zoo::find(name).with_context(|| format!("no model `{name}`: see `bit models`"));
    arguments.models.iter().map(find).collect()
}

/// A local file where there is one, otherwise the name under which `bit convert` fetches the model: the last
/// repository is timm's, which the Python reference can read too.
fn source(model: &ZooModel, from: Option<&Path>) -> String {
    let npz = model.npz.rsplit('/').next().unwrap_or(model.npz);
    let names = [
        model.name.to_owned(),
        format!("{}.safetensors", model.name),
        npz.to_owned(),
    ];
    let local = from.and_then(|folder| {
        names
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.exists())
    });
    match local {
        Some(path) => path.to_string_lossy().into_owned(),
        None => model.repositories.last().copied().unwrap_or(model.npz).to_owned(),
    }
}

fn convert(
    model: &ZooModel,
    source: &str,
    output: &Path,
    bit: &Path,
    python: Option<&Python>,
) -> Result<Entry> {
    println!("{}: converting {source}", model.name);
    let folder = output.join(model.name);
    process::run(
        Command::new(bit)
            .args(["convert", "--verify", "--to", "hf", source])
            .arg(&folder),
    )?;
    let mut verified = vec!["bit convert --verify".to_owned()];
    if let Some(python) = python {
        process::run(
            python
                .script("check_converted.py")
                .arg(&folder)
                .args([model.name, source]),
        )?;
        verified.push("check_converted.py".to_owned());
    }
    Entry::of(&folder, source, verified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_file_is_preferred_to_the_hub() {
        let model = zoo::find("google/bit-50").unwrap();
        let folder = tempfile::tempdir().unwrap();
        assert!(
            model
                .repositories
                .contains(&source(model, Some(folder.path())).as_str())
        );
        let file = folder.path().join(format!("{}.safetensors", model.name));
        fs::write(&file, "").unwrap();
        assert_eq!(source(model, Some(folder.path())), file.to_str().unwrap());
    }
}
