//! Zip archives of uncompressed members, as `torch.save` and `numpy.savez` write them.

use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use std::io::{Seek, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive being written. No time of day goes into it, so equal tensors make equal files.
pub(crate) struct ArchiveWriter<'a, W: Write + Seek> {
    path: &'a Path,
    zip: ZipWriter<W>,
}

impl<'a, W: Write + Seek> ArchiveWriter<'a, W> {
    pub(crate) fn new(path: &'a Path, writer: W) -> Self {
        Self {
            path,
            zip: ZipWriter::new(writer),
        }
    }

    /// Adds a member.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.start(name, bytes.len())?;
        self.zip.write_all(bytes).map_err(|e| self.failed(e))
    }

    /// Adds a member that is a tensor behind its header.
    pub(crate) fn add_tensor(&mut self, name: &str, header: &[u8], entry: Entry<'_>) -> Result<()> {
        self.start(name, header.len() + entry.info.byte_len())?;
        self.zip.write_all(header).map_err(|e| self.failed(e))?;
        entry.write_to(self.path, &mut self.zip)
    }

    /// Begins a member at a multiple of 64 bytes, where it can be mapped into memory.
    fn start(&mut self, name: &str, len: usize) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(len).is_err())
            .with_alignment(64);
        let started = self.zip.start_file(name, options);
        started.map_err(|e| self.failed(e.into()))
    }

    pub(crate) fn finish(self) -> Result<()> {
        let path = self.path;
        self.zip
            .finish()
            .map(drop)
            .map_err(|e| ConvertError::io(path, "write")(e.into()))
    }

    fn failed(&self, e: std::io::Error) -> ConvertError {
        ConvertError::io(self.path, "write")(e)
    }
}
