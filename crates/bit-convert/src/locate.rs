//! Which files hold the tensors of a checkpoint: a file, the shards of an index, or what lies in a folder.

use crate::distinct::Distinct;
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::read::safetensors;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// Largest JSON file read whole: configurations and indices of shards.
const MAX_JSON: u64 = 64 << 20;

/// What a folder is searched for, the best first: safetensors cannot do anything but hold tensors. Those that end in
/// `.json` are indices of shards.
pub const WEIGHT_FILES: [&str; 5] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bpk",
];

/// The files that hold the tensors of a checkpoint that is named by a file, an index of shards, or a folder.
///
/// # Errors
///
/// When there is none, a folder has several that could be meant, an index is invalid, or a shard is not there.
pub fn weight_files(path: &Path) -> Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).map_err(ConvertError::io(path, "open"))?;
    let file = if metadata.is_dir() {
        find_in_folder(path)?
    } else {
        path.to_path_buf()
    };
    if is_json(&file)? {
        shards(&file)
    } else {
        Ok(vec![file])
    }
}

fn find_in_folder(folder: &Path) -> Result<PathBuf> {
    if let Some(found) = WEIGHT_FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
    {
        return Ok(found);
    }
    let mut candidates = Vec::new();
    for entry in fs::read_dir(folder).map_err(ConvertError::io(folder, "open"))? {
        let path = entry.map_err(ConvertError::io(folder, "read"))?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && ["safetensors", "bin", "pt", "pth", "tar", "npz", "bpk"].contains(&extension) {
            candidates.push(path);
        }
    }
    match &candidates[..] {
        [one] => Ok(one.clone()),
        [] => Err(not_found(
            folder,
            format!("looked for {}", WEIGHT_FILES.join(", ")),
        )),
        many => Err(not_found(
            folder,
            format!("{} files could be it; name one of them", many.len()),
        )),
    }
}

/// Refuses to write weights under a name that nobody would read, because a better one lies beside it.
///
/// # Errors
///
/// Names the better one.
pub(crate) fn refuse_shadowed(folder: &Path, name: &str) -> Result<()> {
    let better = WEIGHT_FILES.iter().take_while(|&&known| known != name);
    match better.map(|known| folder.join(known)).find(|path| path.is_file()) {
        Some(path) => Err(ConvertError::Shadowed {
            path,
            written: name.to_owned(),
        }),
        None => Ok(()),
    }
}

fn not_found(path: &Path, reason: String) -> ConvertError {
    ConvertError::NotFound {
        path: path.to_path_buf(),
        reason,
    }
}

/// Whether a file is JSON, which among checkpoints is an index of shards. A safetensors file begins with the length of
/// its header, whose lowest byte may be a brace.
fn is_json(path: &Path) -> Result<bool> {
    let file = DataFile::open(path)?;
    let head = file.head(64)?;
    let opens = head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    Ok(opens && !safetensors::recognises(&head, file.len()))
}

/// The names of the files that an index of shards names, each once and in order. They are names of files beside it.
///
/// # Errors
///
/// When the index cannot be read, or names what is not in its folder.
pub fn shard_names(index: &Path) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: Distinct<String>,
    }
    let parsed: Index = serde_json::from_str(&read_text(index)?)
        .map_err(|e| ConvertError::malformed(index, "index of shards", e.to_string()))?;
    let mut names: Vec<_> = parsed.weight_map.0.into_values().collect();
    names.sort();
    names.dedup();
    if let Some(outside) = names
        .iter()
        .find(|name| Path::new(name).file_name() != Some(name.as_ref()))
    {
        let reason = format!("names the shard `{outside}`, expected a file in the same folder");
        return Err(ConvertError::malformed(index, "index of shards", reason));
    }
    Ok(names)
}

fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let folder = index.parent().unwrap_or(Path::new("."));
    let names = shard_names(index)?;
    let files: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
    if let Some(absent) = files.iter().find(|file| !file.is_file()) {
        return Err(not_found(
            absent,
            format!("the index {} names this shard", index.display()),
        ));
    }
    Ok(files)
}

/// Reads a small text file.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let file = DataFile::open(path)?;
    if file.len() > MAX_JSON {
        let reason = format!(
            "has {} bytes, expected a JSON file of at most {MAX_JSON}",
            file.len()
        );
        return Err(ConvertError::malformed(path, "size", reason));
    }
    let bytes = file.read(0, file.len() as usize, "text")?;
    String::from_utf8(bytes).map_err(|e| ConvertError::malformed(path, "text", e.to_string()))
}
