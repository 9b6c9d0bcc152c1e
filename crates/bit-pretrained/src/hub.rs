//! The Hub cache that Python's huggingface_hub keeps, read without a network.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::PretrainedError;

/// The newest snapshot of a repository's revision in the cache.
///
/// # Errors
///
/// When the repository or the revision is not there.
pub(crate) fn find(repository: &str, revision: &str) -> Result<PathBuf, PretrainedError> {
    let folder = cache().join(format!("models--{}", repository.replace('/', "--")));
    let commit = std::fs::read_to_string(folder.join("refs").join(revision));
    let commit = commit.map_or_else(|_| revision.to_owned(), |commit| commit.trim().to_owned());
    let snapshot = folder.join("snapshots").join(&commit);
    match is_plain(&commit) && snapshot.is_dir() {
        true => Ok(snapshot),
        false => Err(PretrainedError::NotCached {
            found: format!("{repository}@{revision}"),
            looked_in: folder,
            hint: format!("get it with `hf download {repository} --revision {revision}`"),
        }),
    }
}

/// `HF_HUB_CACHE`, `HF_HOME/hub`, `XDG_CACHE_HOME/huggingface/hub` or `~/.cache/huggingface/hub`.
fn cache() -> PathBuf {
    let variable = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME")?.join(".cache/huggingface/hub")))
        .unwrap_or_else(|| Path::new("huggingface/hub").to_path_buf())
}

/// One folder's name: a commit read from a file must not lead out of the cache.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != ".." && !name.contains(['/', '\\'])
}
