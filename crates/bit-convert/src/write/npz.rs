//! Writing NumPy archives.

use super::safetensors::reject_duplicates;
use super::zipped::ArchiveWriter;
use crate::entry::Entry;
use crate::error::Result;
use crate::read::npy::NpyHeader;
use crate::stage::{Staged, publish, stage};
use std::path::Path;

/// Writes an uncompressed `.npz` that `numpy.load` reads. NumPy has no bfloat16: such tensors become arrays of two
/// opaque bytes (`|V2`), as JAX saves them.
///
/// # Errors
///
/// As [`write_safetensors`](crate::write_safetensors).
pub fn write_npz(path: &Path, entries: Vec<Entry<'_>>) -> Result<()> {
    publish(vec![stage_npz(path, entries)?]).map(drop)
}

/// The file before it has its name.
pub(crate) fn stage_npz(path: &Path, entries: Vec<Entry<'_>>) -> Result<Staged> {
    reject_duplicates(path, &entries)?;
    stage(path, |writer| {
        let mut archive = ArchiveWriter::new(path, writer);
        for entry in entries {
            let header = NpyHeader::write(entry.info.dtype, &entry.info.shape);
            let name = format!("{}.npy", entry.info.name);
            archive.add_tensor(&name, &header, entry)?;
        }
        archive.finish()
    })
}
