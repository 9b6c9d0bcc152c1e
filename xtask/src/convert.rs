//! `cargo xtask convert`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use bit_config::zoo::{self, ZooModel};

use crate::cargo::Program;
use crate::manifest::{Entry, Manifest};
use crate::process;
use crate::python::{self, Python};

/// Convert published models to transformers folders, each verified and listed with its hashes
///
/// Takes local files from --from, and what is not there from the Hub. What the manifest lists and the output
/// folder still holds is not converted again, so that a stopped run goes on where it was. A model that was
/// converted without the Python reference is compared with it in the first run that has it.
#[derive(clap::Args)]
pub struct Arguments {
    /// Models by any name that `bit models` knows
    #[arg(required_unless_present = "all")]
    models: Vec<String>,
    /// All published models
    #[arg(long, conflicts_with = "models")]
    all: bool,
    /// Folder of files that were fetched by hand: `NAME/`, `OWNER/NAME/` or the Hub's cache, `NAME.safetensors`,
    /// `.bin`, `.pth`, `.pt`, `.pth.tar`, or Google's `.npz`
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Where the folders and manifest.json go [default: the user's cache]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// The programs that do the work, given the model, its source, and the folder of the result.
struct Tools<'a> {
    convert: Tool<'a>,
    /// The Python reference, when it is at hand.
    check: Option<Tool<'a>>,
}

type Tool<'a> = &'a dyn Fn(&ZooModel, &str, &Path) -> Result<()>;

const CONVERTED: &str = "bit convert --verify";
const CHECKED: &str = "check_converted.py";

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
    let convert =
        |_: &ZooModel, source: &str, folder: &Path| process::run(&mut conversion(&bit, source, folder));
    let check = python.as_ref().map(|python| {
        |model: &ZooModel, source: &str, folder: &Path| {
            process::run(&mut comparison(python, model, source, folder))
        }
    });
    let tools = Tools {
        convert: &convert,
        check: check.as_ref().map(|check| check as Tool<'_>),
    };
    let mut failed = Vec::new();
    for model in models {
        if let Err(error) = bring(model, arguments.from.as_deref(), &mut manifest, &tools) {
            failed.push(format!("{}: {error:#}", model.name));
        }
    }
    if !failed.is_empty() {
        bail!(
            "{} models were not converted and found right:\n  {}",
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

/// Sees to it that a model is converted, listed, and compared with the reference if that is at hand.
fn bring(model: &ZooModel, from: Option<&Path>, manifest: &mut Manifest, tools: &Tools<'_>) -> Result<()> {
    let folder = manifest.folder_of(model.name);
    let entry = match manifest.intact(model.name)? {
        Some(entry) => {
            println!("{}: converted before", model.name);
            entry
        }
        None => {
            let source = source(model, from)?;
            println!("{}: converting {source}", model.name);
            (tools.convert)(model, &source, &folder)?;
            let entry = Entry::of(&folder, &source, CONVERTED)?;
            manifest.add(model.name, &entry)?;
            entry
        }
    };
    match tools.check {
        Some(check) if !entry.has(CHECKED) => compare(model, entry, check, manifest),
        _ => Ok(()),
    }
}

/// Notes what the reference found, or takes a model that it did not find right off the list.
fn compare(model: &ZooModel, entry: Entry, check: Tool<'_>, manifest: &mut Manifest) -> Result<()> {
    let source = Path::new(entry.source());
    ensure!(
        !source.is_absolute() || source.exists(),
        "it cannot be compared with {}, which is gone",
        source.display()
    );
    let folder = manifest.folder_of(model.name);
    match check(model, entry.source(), &folder) {
        Ok(()) => manifest.add(model.name, &entry.verified_by(CHECKED)),
        Err(error) => manifest.remove(model.name).and(Err(error)),
    }
}

/// A local file where there is one, otherwise the name under which `bit convert` fetches the model: the last
/// repository is timm's, which the Python reference can read too.
fn source(model: &ZooModel, from: Option<&Path>) -> Result<String> {
    let folder = from.map(std::path::absolute).transpose()?;
    let local = folder.and_then(|folder| local(model, &folder));
    Ok(match local {
        Some(path) => path.to_string_lossy().into_owned(),
        None => model.repositories.last().copied().unwrap_or(model.npz).to_owned(),
    })
}

/// A model's files below a folder.
fn local(model: &ZooModel, folder: &Path) -> Option<PathBuf> {
    const ENDINGS: [&str; 6] = ["", ".safetensors", ".bin", ".pth", ".pt", ".pth.tar"];
    let short = |path: &'static str| path.rsplit('/').next().unwrap_or(path);
    let mut names: Vec<_> = ENDINGS.map(|ending| format!("{}{ending}", model.name)).into();
    names.extend([model.npz, short(model.npz)].map(str::to_owned));
    for repository in model.repositories {
        names.extend([repository, short(repository)].map(str::to_owned));
    }
    let files = names.iter().map(|name| folder.join(name));
    let cached = model
        .repositories
        .iter()
        .filter_map(|name| snapshot(folder, name));
    files.chain(cached).find(|path| path.exists())
}

/// The branch `main` of a repository in a Hub cache.
fn snapshot(cache: &Path, repository: &str) -> Option<PathBuf> {
    let folder = cache.join(format!("models--{}", repository.replace('/', "--")));
    let commit = fs::read_to_string(folder.join("refs/main")).ok()?;
    Some(folder.join("snapshots").join(commit.trim()))
}

fn conversion(bit: &Path, source: &str, folder: &Path) -> Command {
    let mut command = Command::new(bit);
    command
        .args(["convert", "--verify", "--to", "hf", source])
        .arg(folder);
    command
}

fn comparison(python: &Python, model: &ZooModel, source: &str, folder: &Path) -> Command {
    let mut command = python.script(CHECKED);
    command.arg(folder).args([&timm_name(model), source]);
    command
}

/// timm's name of the network: those of the models, and what timm knows, differ.
fn timm_name(model: &ZooModel) -> String {
    format!("resnetv2_{}_bit", model.architecture.name.trim_start_matches('R'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_local_file_is_preferred_to_the_hub_by_whatever_name_it_was_fetched() {
        let model = zoo::find("google/bit-50").unwrap();
        let of = |folder: &Path| source(model, Some(folder)).unwrap();
        let empty = tempfile::tempdir().unwrap();
        assert!(model.repositories.contains(&of(empty.path()).as_str()));
        for name in [
            "resnetv2_50x1_bit.goog_in21k_ft_in1k/model.safetensors",
            "resnetv2_50x1_bit.goog_in21k_ft_in1k.safetensors",
            "resnetv2_50x1_bit.goog_in21k_ft_in1k.bin",
            "resnetv2_50x1_bit.goog_in21k_ft_in1k.pth",
            "resnetv2_50x1_bit.goog_in21k_ft_in1k.pth.tar",
            "google/bit-50/pytorch_model.bin",
            "bit-50/pytorch_model.bin",
            "timm/resnetv2_50x1_bit.goog_in21k_ft_in1k/model.safetensors",
            "BiT-M-R50x1-ILSVRC2012.npz",
        ] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            let found = of(folder.path());
            assert!(
                Path::new(&found).exists() && file.starts_with(&found),
                "{name}: {found}"
            );
        }
    }

    #[test]
    fn a_snapshot_of_the_hubs_cache_is_found() {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join("models--google--bit-50");
        fs::create_dir_all(folder.join("snapshots/0123")).unwrap();
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), "0123\n").unwrap();
        let model = zoo::find("google/bit-50").unwrap();
        assert_eq!(
            Path::new(&source(model, Some(cache.path())).unwrap()),
            folder.join("snapshots/0123")
        );
    }

    #[test]
    fn distilled_files_are_found_with_and_without_their_folder() {
        let model = zoo::find("R50x1_160").unwrap();
        for name in ["distill/R50x1_160.npz", "R50x1_160.npz"] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            assert_eq!(Path::new(&source(model, Some(folder.path())).unwrap()), file);
        }
    }

    #[test]
    fn timm_knows_the_network_of_every_model() {
        const KNOWN: [&str; 6] = ["50x1", "50x3", "101x1", "101x3", "152x2", "152x4"];
        for model in zoo::ZOO {
            let name = timm_name(model);
            let known = KNOWN
                .iter()
                .any(|network| name == format!("resnetv2_{network}_bit"));
            assert!(known, "{}: {name}", model.name);
        }
    }

    /// A run that converts by writing a file, in a folder that holds the source.
    struct Work {
        folder: tempfile::TempDir,
        conversions: Cell<usize>,
        checks: Cell<usize>,
    }

    impl Work {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("BiT-S-R50x1.npz"), "").unwrap();
            Self {
                folder,
                conversions: Cell::new(0),
                checks: Cell::new(0),
            }
        }

        fn run(&self, check: Option<Result<(), &'static str>>) -> Result<()> {
            let convert = |_: &ZooModel, source: &str, folder: &Path| {
                assert_eq!(Path::new(source), self.folder.path().join("BiT-S-R50x1.npz"));
                self.conversions.set(self.conversions.get() + 1);
                fs::create_dir_all(folder)?;
                Ok(fs::write(folder.join("config.json"), "{}")?)
            };
            let compare = |_: &ZooModel, _: &str, _: &Path| {
                self.checks.set(self.checks.get() + 1);
                match check {
                    Some(Err(why)) => bail!(why),
                    _ => Ok(()),
                }
            };
            let tools = Tools {
                convert: &convert,
                check: check.is_some().then_some(&compare as Tool<'_>),
            };
            let model = zoo::find("BiT-S-R50x1").unwrap();
            bring(model, Some(self.folder.path()), &mut self.manifest(), &tools)
        }

        fn manifest(&self) -> Manifest {
            let output = self.folder.path().join("output");
            fs::create_dir_all(&output).unwrap();
            Manifest::open(&output).unwrap()
        }

        fn counts(&self) -> (usize, usize) {
            (self.conversions.get(), self.checks.get())
        }
    }

    #[test]
    fn a_model_is_converted_once_and_compared_once_python_is_there() {
        let work = Work::new();
        work.run(None).unwrap();
        work.run(None).unwrap();
        assert_eq!(work.counts(), (1, 0));
        work.run(Some(Ok(()))).unwrap();
        work.run(Some(Ok(()))).unwrap();
        work.run(None).unwrap();
        assert_eq!(work.counts(), (1, 1));
    }

    #[test]
    fn what_the_reference_does_not_find_right_is_not_listed() {
        let work = Work::new();
        let error = work.run(Some(Err("other logits"))).unwrap_err();
        assert!(error.to_string().contains("other logits"), "{error}");
        assert!(work.manifest().intact("BiT-S-R50x1").unwrap().is_none());
        work.run(Some(Ok(()))).unwrap();
        assert_eq!(work.counts(), (2, 2));
    }

    #[test]
    fn a_source_that_is_gone_is_said_and_the_model_stays_listed() {
        let work = Work::new();
        work.run(None).unwrap();
        fs::remove_file(work.folder.path().join("BiT-S-R50x1.npz")).unwrap();
        let error = work.run(Some(Ok(()))).unwrap_err().to_string();
        assert!(error.contains("which is gone"), "{error}");
        work.run(None).unwrap();
        assert_eq!(work.counts(), (1, 0));
    }
}
