//! Standard output, or a file that appears whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, StdoutLock, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// A place for results. Dropped without [`finish`](Sink::finish), a file is as if it had never been written.
pub enum Sink {
    Stdout(BufWriter<StdoutLock<'static>>),
    /// A device or pipe, which cannot be replaced.
    Stream(BufWriter<File>),
    File {
        temporary: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
}

impl Sink {
    /// Standard output for `None`.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self::Stdout(BufWriter::new(io::stdout().lock())));
        };
        if path
            .metadata()
            .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
        {
            let file = OpenOptions::new().write(true).open(path);
            return Ok(Self::Stream(BufWriter::new(
                file.with_context(|| cannot_write(path))?,
            )));
        }
        Ok(Self::File {
            temporary: BufWriter::new(whole_file(path)?),
            path: path.to_path_buf(),
        })
    }

    /// Replaces the first bytes of a file.
    pub fn overwrite_start(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { temporary, .. } => {
                temporary.rewind()?;
                temporary.write_all(bytes)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::NotSeekable,
                "this format needs a file, not a stream",
            )),
        }
    }

    /// Writes what is buffered and lets the file appear under its name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Self::File { temporary, path } = self {
            let temporary = temporary.into_inner().map_err(io::IntoInnerError::into_error);
            let persisted = temporary.and_then(|file| file.persist(&path).map_err(|error| error.error));
            persisted.with_context(|| cannot_write(&path))?;
        }
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::Stream(out) => out.write(bytes),
            Self::File { temporary, .. } => temporary.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::Stream(out) => out.flush(),
            Self::File { temporary, .. } => temporary.flush(),
        }
    }
}

/// A file without a name yet, in the folder of `path`.
fn whole_file(path: &Path) -> Result<NamedTempFile> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
    anyhow::ensure!(
        !path.is_dir(),
        "{}: is a folder, expected the name of a file",
        path.display()
    );
    builder.tempfile_in(folder).with_context(|| cannot_write(path))
}

fn cannot_write(path: &Path) -> String {
    format!("{}: cannot write", path.display())
}
