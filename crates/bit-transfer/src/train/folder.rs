//! What a run leaves in its folder.

use std::io::Write;
use std::path::{Path, PathBuf};

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
        let started = folder.recipe().exists();
        if !resume && (started || root.join("config.json").exists()) {
            let found = if started {
                "holds a training run already"
            } else {
                "holds a model already"
            };
            let expected = "choose another folder, or continue a run of the same recipe with --resume";
            return Err(folder.refuse(found, expected));
        }
        create(&folder.checkpoints())?;
        folder.sweep();
        match resume && started {
            true => folder.compare(recipe)?,
            false => write_whole(&folder.recipe(), &recipe.to_json())?,
        }
        Ok(folder)
    }

    /// Removes what a killed run was writing: files that had not got their names yet. What cannot be removed
    /// does no harm.
    fn sweep(&self) {
        for folder in [self.root.clone(), self.checkpoints()] {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".tmp")) {
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
    for (file, found) in [
        ("recipe.json", "holds a training run already"),
        ("config.json", "holds a model already"),
    ] {
        if folder.join(file).exists() {
            return Err(TransferError::Run {
                path: folder.to_path_buf(),
                found: found.to_owned(),
                expected: "choose another folder, or continue a run of the same recipe with --resume"
                    .to_owned(),
            });
        }
    }
    create(folder)
}

fn create(folder: &Path) -> Result<(), TransferError> {
    std::fs::create_dir_all(folder).map_err(TransferError::io(folder, "create"))
}

/// Writes a text that appears whole or not at all.
pub(crate) fn write_whole(path: &Path, text: &str) -> Result<(), TransferError> {
    atomic::write(path, |file| file.write_all(text.as_bytes()))
}
