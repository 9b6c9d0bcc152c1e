//! Files as the readers use them: read at an offset.

use crate::error::{ConvertError, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// An open file that is only ever read at explicit offsets, so that threads can share it.
#[derive(Debug)]
pub(crate) struct DataFile {
    path: PathBuf,
    content: Content,
    len: u64,
}

/// Where a file's bytes are.
#[derive(Debug)]
enum Content {
    Disk(File),
    /// Inside the program, for models that are compiled in.
    Embedded(&'static [u8]),
}

impl DataFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        // Asked before it is opened: opening a pipe waits for somebody who writes.
        if !fs::metadata(path)
            .map_err(ConvertError::io(path, "open"))?
            .is_file()
        {
            return Err(ConvertError::UnknownFormat {
                path: path.to_path_buf(),
                found: "a folder, pipe or device".to_owned(),
            });
        }
        let file = File::open(path).map_err(ConvertError::io(path, "open"))?;
        let len = file.metadata().map_err(ConvertError::io(path, "open"))?.len();
        Ok(Self {
            path: path.to_path_buf(),
            content: Content::Disk(file),
            len,
        })
    }

    /// Bytes that are part of the program, under a name for messages.
    pub(crate) fn embedded(name: &str, bytes: &'static [u8]) -> Self {
        Self {
            path: PathBuf::from(name),
            content: Content::Embedded(bytes),
            len: bytes.len() as u64,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// A second handle to the same open file, with a cursor of its own use.
    pub(crate) fn handle(&self) -> Result<File> {
        let handle = match &self.content {
            Content::Disk(file) => file.try_clone(),
            Content::Embedded(_) => Err(io::Error::other("embedded models are safetensors")),
        };
        handle.map_err(ConvertError::io(&self.path, "open"))
    }

    /// The bytes of a range that a file's own header claims. Nothing is allocated for a range outside the file.
    pub(crate) fn read(&self, offset: u64, len: usize, place: &str) -> Result<Vec<u8>> {
        self.check_range(offset, len, place)?;
        let mut bytes = vec![0; len];
        self.read_into(offset, &mut bytes, place)?;
        Ok(bytes)
    }

    /// As [`read`](Self::read), into memory that is there already.
    pub(crate) fn read_into(&self, offset: u64, out: &mut [u8], place: &str) -> Result<()> {
        self.check_range(offset, out.len(), place)?;
        match &self.content {
            Content::Disk(file) => {
                read_exact_at(file, out, offset).map_err(ConvertError::io(&self.path, "read"))?;
            }
            Content::Embedded(bytes) => out.copy_from_slice(&bytes[offset as usize..][..out.len()]),
        }
        Ok(())
    }

    fn check_range(&self, offset: u64, len: usize, place: &str) -> Result<()> {
        let end = offset.checked_add(len as u64).filter(|&end| end <= self.len);
        if end.is_some() {
            return Ok(());
        }
        let reason = format!(
            "claims {len} bytes at offset {offset}, but the file has {} bytes",
            self.len
        );
        Err(ConvertError::malformed(&self.path, place, reason))
    }

    /// The first bytes, fewer when the file is shorter.
    pub(crate) fn head(&self, len: usize) -> Result<Vec<u8>> {
        self.read(0, len.min(usize::try_from(self.len).unwrap_or(len)), "header")
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buffer = &mut buffer[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_range_past_the_end_is_an_error_before_any_allocation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short");
        std::fs::write(&path, b"abc").unwrap();
        let file = DataFile::open(&path).unwrap();
        let message = file
            .read(1, usize::MAX / 2, "tensor `w`")
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("tensor `w`") && message.contains("the file has 3 bytes"),
            "{message}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for path in [&path, folder.path()] {
            let message = DataFile::open(path).unwrap_err().to_string();
            assert!(message.contains("a folder, pipe or device"), "{message}");
        }
    }
}
