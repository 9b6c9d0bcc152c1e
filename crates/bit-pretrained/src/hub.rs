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
    find_in(&cache(), repository, revision)
}

fn find_in(cache: &Path, repository: &str, revision: &str) -> Result<PathBuf, PretrainedError> {
    let folder = cache.join(format!("models--{}", repository.replace('/', "--")));
    let reference = folder.join("refs").join(revision);
    let commit = match revision.split('/').all(is_plain) {
        true => std::fs::read_to_string(reference),
        false => Err(std::io::ErrorKind::InvalidInput.into()),
    };
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
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// The layout that huggingface_hub writes.
    fn python_cache() -> tempfile::TempDir {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--google--bit-50");
        std::fs::create_dir_all(repository.join("snapshots").join(COMMIT)).unwrap();
        std::fs::create_dir_all(repository.join("refs/refs/pr")).unwrap();
        for reference in ["main", "refs/pr/1"] {
            std::fs::write(repository.join("refs").join(reference), COMMIT).unwrap();
        }
        cache
    }

    #[test]
    fn a_branch_a_pull_request_and_a_commit_lead_to_the_snapshot() {
        let cache = python_cache();
        for revision in ["main", "refs/pr/1", COMMIT] {
            let found = find_in(cache.path(), "google/bit-50", revision).unwrap();
            assert!(found.ends_with(Path::new("snapshots").join(COMMIT)), "{revision}");
        }
    }

    #[test]
    fn what_is_absent_is_named_with_the_folder_and_the_way_to_get_it() {
        let cache = python_cache();
        let message = find_in(cache.path(), "google/bit-50", "v2")
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with("google/bit-50@v2 is not in the Hub cache: looked in "),
            "{message}"
        );
        assert!(
            message.ends_with("get it with `hf download google/bit-50 --revision v2`"),
            "{message}"
        );
    }

    #[test]
    fn no_revision_leads_out_of_the_cache() {
        let cache = python_cache();
        std::fs::create_dir_all(cache.path().join("secret")).unwrap();
        std::fs::write(cache.path().join("escape"), "../../secret").unwrap();
        for revision in ["..", "../../secret", "../../escape", "refs/../../../escape", ""] {
            assert!(
                find_in(cache.path(), "google/bit-50", revision).is_err(),
                "{revision}"
            );
        }
    }
}
