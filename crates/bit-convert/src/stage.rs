//! Files as the writers leave them: whole or not at all, several of them together.

use crate::error::{ConvertError, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::TempPath;

/// A file that is whole and on the disk, under a temporary name beside its own; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    temporary: TempPath,
}

/// Writes a file that has yet to get its name.
pub(crate) fn stage(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<()>,
) -> Result<Staged> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
    let mut temporary = builder
        .tempfile_in(folder_of(path))
        .map_err(ConvertError::io(path, "create"))?;
    let mut writer = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    write(&mut writer)?;
    let flushed = writer.flush().and_then(|()| writer.get_ref().sync_data());
    flushed.map_err(ConvertError::io(path, "write"))?;
    drop(writer);
    Ok(Staged {
        path: path.to_path_buf(),
        temporary: temporary.into_temp_path(),
    })
}

/// Writes a small text that has yet to get its name.
pub(crate) fn stage_text(path: &Path, text: &str) -> Result<Staged> {
    stage(path, |writer| {
        writer
            .write_all(text.as_bytes())
            .map_err(ConvertError::io(path, "write"))
    })
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Gives files their names, in this order and all or none of them: when one fails, what had these names has them again.
pub(crate) fn publish(files: Vec<Staged>) -> Result<Vec<PathBuf>> {
    let several = files.len() > 1; // of one file, nothing has to be undone
    let mut published = Vec::with_capacity(files.len());
    for file in files {
        match replace(&file.path, file.temporary, several) {
            Ok(replaced) => published.push((file.path, replaced)),
            Err(error) => {
                published
                    .into_iter()
                    .rev()
                    .for_each(|(path, replaced)| undo(&path, replaced));
                return Err(ConvertError::io(&file.path, "write")(error));
            }
        }
    }
    Ok(published.into_iter().map(|(path, _)| path).collect())
}

/// Gives one file its name, and returns what had it before, if that is to be kept, under a temporary name; dropped, it is
/// gone.
fn replace(path: &Path, temporary: TempPath, keep: bool) -> io::Result<Option<TempPath>> {
    let replaced = match keep && path.is_file() {
        true => Some(set_aside(path)?),
        false => None,
    };
    match temporary.persist(path) {
        Ok(()) => Ok(replaced),
        Err(error) => {
            if replaced.is_some() {
                undo(path, replaced);
            }
            Err(error.error)
        }
    }
}

/// A second name for a file; where the file system has none, its only one until the new file takes its place.
fn set_aside(path: &Path) -> io::Result<TempPath> {
    let second = |aside: &Path| match fs::hard_link(path, aside) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(path, aside),
        linked => linked,
    };
    Ok(tempfile::Builder::new()
        .make_in(folder_of(path), second)?
        .into_temp_path())
}

/// Does what can be done: the error that led here is the one to tell.
fn undo(path: &Path, replaced: Option<TempPath>) {
    let _ = match replaced {
        Some(old) => old.persist(path).map_err(|error| error.error),
        None => fs::remove_file(path),
    };
}

/// Writes a small text file that appears whole or not at all, with the permissions of any new file.
///
/// # Errors
///
/// When the file cannot be written; what was there before is there still.
pub fn write_text(path: &Path, text: &str) -> Result<()> {
    publish(vec![stage_text(path, text)?]).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let failed = stage(&path, |writer| {
            writer.write_all(b"half").unwrap();
            Err(ConvertError::tensor(Path::new("source"), "w", "gone"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn files_get_their_names_all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let staged = [folder.path().join("first"), taken].map(|path| stage(&path, |_| Ok(())).unwrap());
        assert!(publish(staged.into()).is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_brings_back_the_files_that_were_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        write_text(&path("weights"), "old").unwrap();
        write_text(&path("config"), "old").unwrap();
        fs::create_dir(path("taken")).unwrap();
        let names = ["weights", "new", "config", "taken"];
        let staged = names.map(|name| stage_text(&path(name), "new").unwrap());
        assert!(publish(staged.into()).is_err());
        for name in ["weights", "config"] {
            assert_eq!(fs::read_to_string(path(name)).unwrap(), "old");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);

        let staged = ["weights", "new"].map(|name| stage_text(&path(name), "new").unwrap());
        publish(staged.into()).unwrap();
        assert_eq!(fs::read_to_string(path("weights")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }
}
