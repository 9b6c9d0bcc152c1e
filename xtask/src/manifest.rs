//! The list of converted models, with the hash of every file: what was done, and whether it is still there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::{fmt::Write as _, io};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// `manifest.json` in a folder that holds a folder a model.
pub struct Manifest {
    folder: PathBuf,
    models: BTreeMap<String, Entry>,
}

/// One converted model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// File, or Hub repository, that it came from.
    source: String,
    /// What found it right.
    verified: Vec<String>,
    /// SHA-256 of every file in its folder.
    sha256: BTreeMap<String, String>,
}

impl Manifest {
    /// The folder's manifest, or an empty one.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = path(folder);
        let models = match fs::read_to_string(&path) {
            Ok(text) => {
                serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Ok(Self {
            folder: folder.to_owned(),
            models,
        })
    }

    /// Where a model's files go.
    pub fn folder_of(&self, model: &str) -> PathBuf {
        self.folder.join(model)
    }

    /// What is known of a model that was converted and whose files are still what they were.
    pub fn intact(&self, model: &str) -> Result<Option<Entry>> {
        let Some(entry) = self.models.get(model) else {
            return Ok(None);
        };
        let folder = self.folder_of(model);
        let is_intact = folder.exists() && hashes(&folder)? == entry.sha256;
        Ok(is_intact.then(|| entry.clone()))
    }

    /// Lists a model, and writes the whole manifest, so that a run that is stopped later has kept it.
    pub fn add(&mut self, model: &str, entry: &Entry) -> Result<()> {
        self.models.insert(model.to_owned(), entry.clone());
        self.write()
    }

    /// Takes a model off the list.
    pub fn remove(&mut self, model: &str) -> Result<()> {
        self.models.remove(model);
        self.write()
    }

    fn write(&self) -> Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(&self.models)?);
        Ok(bit_convert::write_text(&path(&self.folder), &text)?)
    }
}

impl Entry {
    /// Describes a folder as it is now.
    pub fn of(folder: &Path, source: &str, verified: &str) -> Result<Self> {
        Ok(Self {
            source: source.to_owned(),
            verified: vec![verified.to_owned()],
            sha256: hashes(folder)?,
        })
    }

    /// The file, or Hub repository, that it came from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether this found it right.
    pub fn has(&self, verifier: &str) -> bool {
        self.verified.iter().any(|known| known == verifier)
    }

    /// The same, found right by one more.
    pub fn verified_by(mut self, verifier: &str) -> Self {
        self.verified.push(verifier.to_owned());
        self
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("manifest.json")
}

/// Of all files in a folder and in those inside it, by their paths.
fn hashes(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(inside) = folders.pop() {
        let entries = fs::read_dir(&inside).with_context(|| format!("cannot read {}", inside.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
            let hash = sha256(&path).with_context(|| format!("cannot read {}", path.display()))?;
            found.insert(name, hash);
        }
    }
    Ok(found)
}

fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    let mut text = String::new();
    for byte in hasher.finalize() {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_held_until_its_files_change() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("small");
        fs::create_dir(&model).unwrap();
        fs::write(model.join("config.json"), "abc").unwrap();
        fs::create_dir(model.join("onnx")).unwrap();
        fs::write(model.join("onnx/graph"), "abc").unwrap();
        let entry = Entry::of(&model, "a file", "somebody").unwrap();
        let of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(entry.sha256["config.json"], of_abc);
        assert_eq!(entry.sha256["onnx/graph"], of_abc);

        Manifest::open(folder.path())
            .unwrap()
            .add("small", &entry)
            .unwrap();
        let manifest = Manifest::open(folder.path()).unwrap();
        assert_eq!(manifest.intact("small").unwrap(), Some(entry));
        assert_eq!(manifest.intact("other").unwrap(), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |name: &str| {
                fs::metadata(folder.path().join(name))
                    .unwrap()
                    .permissions()
                    .mode()
            };
            assert_eq!(mode("manifest.json"), mode("small/config.json"));
        }
        fs::write(model.join("config.json"), "changed").unwrap();
        assert_eq!(manifest.intact("small").unwrap(), None);
    }
}
