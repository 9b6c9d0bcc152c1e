//! Writing Burnpack files.

use super::safetensors::reject_duplicates;
use crate::burnpack::{ALIGNMENT, HEADER_LEN, MAGIC, PackType, Record, Table, VERSION};
use crate::distinct::Distinct;
use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::stage::{Staged, publish, stage};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Writes a Burnpack file, with strings in its metadata.
///
/// # Errors
///
/// As [`write_safetensors`](crate::write_safetensors), and when the format lacks a tensor's element type.
pub fn write_burnpack(
    path: &Path,
    entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    publish(vec![stage_burnpack(path, entries, metadata)?]).map(drop)
}

/// The file before it has its name.
pub(crate) fn stage_burnpack(
    path: &Path,
    entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<Staged> {
    reject_duplicates(path, &entries)?;
    let mut table = Table {
        tensors: Distinct::default(),
        metadata: Distinct(metadata.clone()),
    };
    let mut end = 0u64;
    for Entry { info, .. } in &entries {
        let Some(dtype) = PackType::of(info.dtype) else {
            return Err(ConvertError::tensor(
                path,
                &info.name,
                format!("Burnpack has no {}", info.dtype),
            ));
        };
        let start = end.next_multiple_of(ALIGNMENT);
        end = start + info.byte_len() as u64;
        let shape = info.shape.iter().map(|&dim| dim as u64).collect();
        table.tensors.0.insert(
            info.name.clone(),
            Record {
                dtype,
                shape,
                data_offsets: (start, end),
            },
        );
    }
    let mut cbor = Vec::new();
    ciborium::into_writer(&table, &mut cbor)
        .map_err(|e| ConvertError::malformed(path, "table", e.to_string()))?;

    stage(path, |writer| {
        let failed = |e| ConvertError::io(path, "write")(e);
        let mut position = HEADER_LEN + cbor.len() as u64;
        writer.write_all(&MAGIC).map_err(failed)?;
        writer.write_all(&VERSION.to_le_bytes()).map_err(failed)?;
        writer
            .write_all(&(cbor.len() as u32).to_le_bytes())
            .map_err(failed)?;
        writer.write_all(&cbor).map_err(failed)?;
        for entry in entries {
            let padding = position.next_multiple_of(ALIGNMENT) - position;
            writer
                .write_all(&[0; ALIGNMENT as usize][..padding as usize])
                .map_err(failed)?;
            position += padding + entry.info.byte_len() as u64;
            entry.write_to(path, writer)?;
        }
        Ok(())
    })
}
