//! Writing into the Hub's cache, in the layout that Python's huggingface_hub reads.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use bit_convert::write_text;

use super::Hub;
use super::cache::{Repository, Snapshot, is_plain};
use super::event::HubEvent;
use super::fault::Fault;

impl Repository<'_> {
    /// Where the content with this etag is kept, however many commits have it and under whatever names.
    pub fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// The file that a process locks while it fetches this content.
    pub fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Gives a content its name in a commit. Others may be reading under this name, so it is replaced in one step.
    pub fn link(&self, etag: &str, snapshot: &Snapshot, name: &str) -> Result<(), Fault> {
        let pointer = snapshot.folder.join(name);
        let temporary = create_folder_of(&pointer)?.join(format!(".{name}.{}", unique()));
        let target = Path::new("../../blobs").join(etag);
        let linked = link(&target, &self.blob(etag), &temporary);
        let named = linked.and_then(|()| fs::rename(&temporary, &pointer));
        // It failed, or both names were those of one file, which then keeps both.
        let _ = fs::remove_file(&temporary);
        named.map_err(Fault::local(&pointer, "link"))
    }

    /// Notes which commit a branch or tag is.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<(), Fault> {
        match self.reference(revision) {
            Some(reference) if revision != commit => {
                create_folder_of(&reference)?;
                write_text(&reference, commit).map_err(|error| Fault::Local(Box::new(error.into())))
            }
            _ => Ok(()),
        }
    }
}

impl Snapshot {
    /// Notes what the commit was found not to have.
    pub fn mark_absent(&self, name: &str) -> Result<(), Fault> {
        let mark = self.absent.join(name);
        create_folder_of(&mark)?;
        fs::write(&mark, "").map_err(Fault::local(&mark, "write"))
    }
}

/// A relative link, so that a cache can be moved. Where there are no links the content gets a second name or, where
/// that is not possible either, is copied, as Python does.
fn link(target: &Path, blob: &Path, pointer: &Path) -> io::Result<()> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(target, pointer);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(target, pointer);
    #[cfg(not(any(unix, windows)))]
    let linked = Err::<(), _>(io::Error::other(target.display().to_string()));
    linked
        .or_else(|_| fs::hard_link(blob, pointer))
        .or_else(|_| fs::copy(blob, pointer).map(drop))
}

/// A word that nobody else has, neither another thread nor another machine.
pub(super) fn unique() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// An etag as a file's name: without quotes and the mark of a weak one.
pub(super) fn etag_name(etag: &str) -> Option<String> {
    let name = etag.trim_start_matches("W/").trim_matches('"');
    (is_plain(name) && name.len() <= 128).then(|| name.to_owned())
}

/// Makes the folder that a file is to be in.
pub(super) fn create_folder_of(file: &Path) -> Result<&Path, Fault> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Fault::local(folder, "create"))?;
    Ok(folder)
}

/// Held as long as a file is fetched.
pub(super) struct Lock {
    file: File,
    /// Whether no other process of this machine can have it: not so where the file system has no locks, or grants
    /// every one.
    pub is_exclusive: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Waits until no other process fetches the file, by the lock that huggingface_hub takes too.
pub(super) fn locked(hub: &Hub, path: &Path, name: &str) -> Result<Lock, Fault> {
    create_folder_of(path)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Fault::local(path, "open"))?;
    let is_exclusive = match file.try_lock() {
        Ok(()) => shuts_out(path),
        Err(TryLockError::WouldBlock) => {
            hub.tell(HubEvent::Waiting { name });
            file.lock().map_err(Fault::local(path, "lock"))?;
            true
        }
        // A file system without locks. Two downloads at once are then wasteful, and each has a file of its own.
        Err(TryLockError::Error(_)) => false,
    };
    Ok(Lock { file, is_exclusive })
}

/// Whether a lock that is held keeps others from taking it: some network file systems grant every lock that they are
/// asked for, for which reason huggingface_hub relies on none.
fn shuts_out(path: &Path) -> bool {
    let second = OpenOptions::new().write(true).open(path);
    second.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_file_stays_readable_while_it_is_linked_again() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "google/bit-50");
        let snapshot = repository.snapshot("0123").unwrap();
        let blob = repository.blob("etag");
        fs::write(create_folder_of(&blob).unwrap().join("etag"), "{}").unwrap();
        let link = || repository.link("etag", &snapshot, "config.json").unwrap();
        link();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..5000).for_each(|_| link());
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                assert_eq!(fs::read(snapshot.folder.join("config.json")).unwrap(), b"{}");
            }
        });
        assert_eq!(fs::read_dir(&snapshot.folder).unwrap().count(), 1);
    }

    #[test]
    fn a_link_whose_content_is_gone_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::new(cache.path(), "google/bit-50");
        let snapshot = repository.snapshot("0123").unwrap();
        for etag in ["old", "new"] {
            let blob = repository.blob(etag);
            create_folder_of(&blob).unwrap();
            fs::write(&blob, etag).unwrap();
            repository.link(etag, &snapshot, "config.json").unwrap();
            assert_eq!(
                fs::read_to_string(snapshot.folder.join("config.json")).unwrap(),
                etag
            );
            fs::remove_file(&blob).unwrap();
        }
    }

    #[test]
    fn a_lock_that_anybody_gets_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let file = File::create(&path).unwrap();
        assert!(!shuts_out(&path), "nobody holds it");
        file.lock().unwrap();
        assert!(shuts_out(&path));
    }
}
