//! A temporary file without a name, for pictures that are not kept in memory.

use std::fs::File;
use std::io;

/// A temporary file that many threads read at once, each at its own place.
#[derive(Debug)]
pub(super) struct Spill {
    file: File,
    /// Where the system can only move a file's one place.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl Spill {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile()?,
            #[cfg(not(unix))]
            turn: std::sync::Mutex::new(()),
        })
    }
}

#[cfg(unix)]
impl Spill {
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }
}

#[cfg(not(unix))]
impl Spill {
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.at(offset, |mut file| io::Read::read_exact(&mut file, bytes))
    }

    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.at(offset, |mut file| io::Write::write_all(&mut file, bytes))
    }

    fn at(&self, offset: u64, work: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let _turn = self
            .turn
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        io::Seek::seek(&mut &self.file, io::SeekFrom::Start(offset))?;
        work(&self.file)
    }
}
