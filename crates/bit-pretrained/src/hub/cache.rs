//! The Hub cache that Python's huggingface_hub keeps: where things are in it, read without a network.

use std::path::{Path, PathBuf};

/// A repository's place in the cache.
pub(super) struct Repository<'a> {
    /// `owner/name`.
    pub name: &'a str,
    /// With `refs`, `snapshots`, `blobs` and `.no_exist` below it.
    pub folder: PathBuf,
    /// Of the files that say who is fetching what.
    #[cfg(feature = "hub")]
    pub locks: PathBuf,
}

/// A commit's files.
pub(super) struct Snapshot {
    /// Of the files, or of links to them.
    pub folder: PathBuf,
    /// Holds a file of the name of each that the commit was found not to have. It need not exist.
    pub absent: PathBuf,
}

impl<'a> Repository<'a> {
    pub fn new(cache: &Path, name: &'a str) -> Self {
        let folder = format!("models--{}", name.replace('/', "--"));
        Self {
            name,
            #[cfg(feature = "hub")]
            locks: cache.join(".locks").join(&folder),
            folder: cache.join(folder),
        }
    }

    /// The files of a revision, when some of them are in the cache.
    pub fn cached(&self, revision: &str) -> Option<Snapshot> {
        let commit = match self.reference(revision).map(std::fs::read_to_string) {
            Some(Ok(commit)) => commit.trim().to_owned(),
            _ => revision.to_owned(),
        };
        let snapshot = self.snapshot(&commit)?;
        snapshot.folder.is_dir().then_some(snapshot)
    }

    /// The place of a commit's files.
    pub fn snapshot(&self, commit: &str) -> Option<Snapshot> {
        is_plain(commit).then(|| Snapshot {
            folder: self.folder.join("snapshots").join(commit),
            absent: self.folder.join(".no_exist").join(commit),
        })
    }

    /// The file that says which commit a branch or tag is.
    pub fn reference(&self, revision: &str) -> Option<PathBuf> {
        let is_inside = revision.split('/').all(is_plain);
        is_inside.then(|| self.folder.join("refs").join(revision))
    }
}

/// One folder's or file's name: what is read from a file or told by a server must not lead out of the cache.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', ':', '\0'])
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
        let repository = Repository::new(cache.path(), "google/bit-50");
        for revision in ["main", "refs/pr/1", COMMIT] {
            let found = repository.cached(revision).unwrap().folder;
            assert!(found.ends_with(Path::new("snapshots").join(COMMIT)), "{revision}");
        }
        assert!(repository.cached("v2").is_none());
    }

    #[test]
    fn no_revision_leads_out_of_the_cache() {
        let cache = python_cache();
        std::fs::create_dir_all(cache.path().join("secret")).unwrap();
        std::fs::write(cache.path().join("escape"), "../../secret").unwrap();
        let repository = Repository::new(cache.path(), "google/bit-50");
        for revision in ["..", "../../secret", "../../escape", "refs/../../../escape", ""] {
            assert!(repository.cached(revision).is_none(), "{revision}");
        }
    }
}
