//! What a run leaves in its folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use bit_config::BitConfig;
use bit_convert::{Checkpoint, ConvertOptions, Target, convert};

use crate::TransferError;
use crate::atomic;
use crate::train::recipe::Recipe;

/// The folder of a run: the trained model, with what is needed to follow and to continue the run.
#[derive(Debug)]
pub(crate) struct RunFolder {
    root: PathBuf,
}

impl RunFolder {
    /// Starts a run in a folder that holds none, or continues the one it holds.
    pub fn open(root: &Path, recipe: &Recipe, resume: bool) -> Result<Self, TransferError> {
        let folder = Self {
            root: root.to_path_buf(),
        };
        // What ended before its first checkpoint has nothing to continue.
        let started = folder.last().exists();
        if !resume || !started {
            let expected = "choose another folder, or continue a run of the same recipe with --resume";
            if started {
                return Err(folder.refuse("holds a training run already", expected));
            }
            refuse_results(root, expected)?;
        }
        // Before the first run in it, the folder may hold what is not ours.
        if folder.checkpoints().exists() {
            folder.sweep();
        }
        create(&folder.checkpoints())?;
        match started {
            true => folder.compare(recipe)?,
            false => {
                folder.forget_best()?;
                write_whole(&folder.recipe(), &recipe.to_json())?;
            }
        }
        Ok(folder)
    }

    /// Removes the best weights of a run that ended before its first checkpoint: this run may never write its own.
    fn forget_best(&self) -> Result<(), TransferError> {
        match std::fs::remove_file(self.best()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(TransferError::io(self.best(), "remove")(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what a killed run was writing: files that had not got their names yet. What cannot be removed
    /// does no harm.
    fn sweep(&self) {
        for folder in [self.root.clone(), self.checkpoints()] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_temporary(entry.file_name().as_encoded_bytes())) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// The recipe in words of its own file, so that a different one is told before anything is loaded.
    fn compare(&self, recipe: &Recipe) -> Result<(), TransferError> {
        let path = self.recipe();
        let text = std::fs::read_to_string(&path).map_err(TransferError::io(&path, "read"))?;
        let stored: Recipe = serde_json::from_str(&text)
            .map_err(|error| self.refuse(&format!("its recipe.json is no recipe: {error}"), "remove it"))?;
        match stored.difference(recipe) {
            None => Ok(()),
            Some(difference) => Err(self.refuse(
                &format!("holds a run with {difference}"),
                "resume with the arguments that the run was started with",
            )),
        }
    }

    fn refuse(&self, found: &str, expected: &str) -> TransferError {
        TransferError::Run {
            path: self.root.clone(),
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.json")
    }

    /// The state after the last step that was saved.
    pub fn last(&self) -> PathBuf {
        self.checkpoints().join("last.safetensors")
    }

    /// The weights with the best validation score.
    pub fn best(&self) -> PathBuf {
        self.checkpoints().join("best.safetensors")
    }

    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    pub fn card(&self) -> PathBuf {
        self.root.join("README.md")
    }

    fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }
}

/// Makes a folder for a model, unless it holds one already.
pub(crate) fn open_result(folder: &Path) -> Result<(), TransferError> {
    refuse_results(folder, "choose another folder")?;
    create(folder)
}

/// An error when something lies where the result would be written: a model, or any README.
fn refuse_results(folder: &Path, expected: &str) -> Result<(), TransferError> {
    let results = [
        ("config.json", "holds a model already (config.json)"),
        ("model.safetensors", "holds a model already (model.safetensors)"),
        (
            "README.md",
            "holds a README.md already, which a model card would replace",
        ),
    ];
    match results.iter().find(|(file, _)| folder.join(file).exists()) {
        Some((_, found)) => Err(TransferError::Run {
            path: folder.to_path_buf(),
            found: (*found).to_owned(),
            expected: expected.to_owned(),
        }),
        None => Ok(()),
    }
}

/// A name that the crate `tempfile` gives: `.tmp` and six letters or digits.
fn is_temporary(name: &[u8]) -> bool {
    name.strip_prefix(b".tmp")
        .is_some_and(|rest| rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// Writes `timm/` inside a model's folder, from the files there; nothing for an architecture that timm cannot make.
/// timm and transformers call the tensors differently, so one file cannot serve both.
pub(crate) fn write_for_timm(folder: &Path, config: &BitConfig) -> Result<(), TransferError> {
    if !bit_convert::timm_knows(config) {
        return Ok(());
    }
    let source = Checkpoint::open(folder)?;
    convert(
        &source,
        &folder.join("timm"),
        Target::Timm,
        &ConvertOptions::default(),
    )?;
    Ok(())
}

fn create(folder: &Path) -> Result<(), TransferError> {
    std::fs::create_dir_all(folder).map_err(TransferError::io(folder, "create"))
}

/// Writes a text that appears whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), TransferError> {
    atomic::write(path, |file| file.write_all(text.as_bytes()))
}
