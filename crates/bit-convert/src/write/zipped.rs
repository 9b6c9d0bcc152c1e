//! Zip archives of uncompressed members, as `torch.save` and `numpy.savez` write them.

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

    /// Adds a member of some parts, at a multiple of 64 bytes, where it can be mapped into memory.
    pub(crate) fn add(&mut self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(u32::try_from(len).is_err())
            .with_alignment(64);
        self.zip
            .start_file(name, options)
            .map_err(|e| self.failed(e.into()))?;
        for part in parts {
            self.zip.write_all(part).map_err(|e| self.failed(e))?;
        }
        Ok(())
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
