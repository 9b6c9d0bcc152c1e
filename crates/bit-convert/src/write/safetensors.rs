//! Writing safetensors, byte for byte as the Python library does, in one file or in shards.

use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::locate::refuse_shadowed;
use crate::stage::{Staged, publish, stage};
use crate::tensor::{DType, TensorInfo};
use safetensors::tensor::{Dtype, Metadata, TensorInfo as Record};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of tensors above which `save_pretrained` used to split a model by default: 5 GB.
pub const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// Writes one safetensors file.
///
/// Tensors are ordered as the Python library orders them: wide element types first, then by name. `metadata` is
/// usually `{"format": "pt"}`, which transformers insists on.
///
/// # Errors
///
/// When two tensors have the same name, a tensor's bytes cannot be read, or the file cannot be written; nothing is
/// left behind then.
pub fn write_safetensors(
    path: &Path,
    entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    publish(vec![stage_safetensors(path, entries, metadata)?]).map(drop)
}

/// The file before it has its name.
pub(crate) fn stage_safetensors(
    path: &Path,
    mut entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
) -> Result<Staged> {
    reject_duplicates(path, &entries)?;
    let rank = |info: &TensorInfo| std::cmp::Reverse(dtype(info.dtype));
    entries.sort_by(|a, b| (rank(&a.info), &a.info.name).cmp(&(rank(&b.info), &b.info.name)));
    let header = header(path, &entries, metadata)?;
    stage(path, |writer| {
        let failed = |e| ConvertError::io(path, "write")(e);
        writer
            .write_all(&(header.len() as u64).to_le_bytes())
            .map_err(failed)?;
        writer.write_all(&header).map_err(failed)?;
        for entry in entries {
            entry.write_to(path, writer)?;
        }
        Ok(())
    })
}

/// Writes `model.safetensors` into a folder, or, above `max_shard_bytes`, `model-00001-of-0000N.safetensors` and
/// `model.safetensors.index.json` as transformers does. Returns the files written, the index last.
///
/// The files get their names when all of them are written, the index last.
///
/// # Errors
///
/// As [`write_safetensors`]; when there are shards and the folder holds a `model.safetensors`, which would be read
/// instead of them.
pub fn write_safetensors_shards(
    folder: &Path,
    entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
    max_shard_bytes: u64,
) -> Result<Vec<PathBuf>> {
    publish(stage_shards(folder, entries, metadata, max_shard_bytes)?)
}

/// The files before they have their names, the index last.
pub(crate) fn stage_shards(
    folder: &Path,
    entries: Vec<Entry<'_>>,
    metadata: &BTreeMap<String, String>,
    max_shard_bytes: u64,
) -> Result<Vec<Staged>> {
    const INDEX: &str = "model.safetensors.index.json";
    reject_duplicates(folder, &entries)?;
    let total_size: u64 = entries.iter().map(|entry| entry.info.byte_len() as u64).sum();
    let total_parameters: u64 = entries.iter().map(|entry| entry.info.elements() as u64).sum();
    let mut shards = split(entries, max_shard_bytes);
    if shards.len() <= 1 {
        let path = folder.join("model.safetensors");
        let entries = shards.pop().unwrap_or_default();
        return Ok(vec![stage_safetensors(&path, entries, metadata)?]);
    }
    refuse_shadowed(folder, INDEX)?;
    let count = shards.len();
    let mut weight_map = BTreeMap::new();
    let mut files = Vec::new();
    for (i, shard) in shards.into_iter().enumerate() {
        let name = format!("model-{:05}-of-{count:05}.safetensors", i + 1);
        weight_map.extend(shard.iter().map(|entry| (entry.info.name.clone(), name.clone())));
        files.push(stage_safetensors(&folder.join(name), shard, metadata)?);
    }
    let index = json!({
        "metadata": {"total_parameters": total_parameters, "total_size": total_size},
        "weight_map": weight_map,
    });
    let path = folder.join(INDEX);
    files.push(stage(&path, |writer| {
        writeln!(writer, "{index:#}").map_err(ConvertError::io(&path, "write"))
    })?);
    Ok(files)
}

/// Groups of tensors in their order, each within the limit, as `split_torch_state_dict_into_shards` of huggingface_hub
/// makes them: a tensor above the limit is a group of its own, and what follows joins the group from before it.
fn split(entries: Vec<Entry<'_>>, max_bytes: u64) -> Vec<Vec<Entry<'_>>> {
    let mut shards = Vec::new();
    let (mut shard, mut filled) = (Vec::new(), 0u64);
    for entry in entries {
        let size = entry.info.byte_len() as u64;
        if size > max_bytes {
            shards.push(vec![entry]);
            continue;
        }
        if filled.saturating_add(size) > max_bytes {
            shards.push(std::mem::take(&mut shard));
            filled = 0;
        }
        shard.push(entry);
        filled += size;
    }
    if !shard.is_empty() {
        shards.push(shard);
    }
    shards
}

pub(crate) fn reject_duplicates(path: &Path, entries: &[Entry<'_>]) -> Result<()> {
    let mut seen = BTreeSet::new();
    match entries.iter().find(|entry| !seen.insert(&entry.info.name)) {
        Some(twice) => Err(ConvertError::tensor(path, &twice.info.name, "was given twice")),
        None => Ok(()),
    }
}

/// The JSON table, padded with spaces to a multiple of eight bytes.
fn header(path: &Path, entries: &[Entry<'_>], metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
    let mut start = 0;
    let records = entries.iter().map(|entry| {
        let (info, end) = (&entry.info, start + entry.info.byte_len());
        let record = Record {
            dtype: dtype(info.dtype),
            shape: info.shape.clone(),
            data_offsets: (start, end),
        };
        start = end;
        (info.name.clone(), record)
    });
    let unordered = (!metadata.is_empty()).then(|| metadata.clone().into_iter().collect());
    let fail = |reason: String| ConvertError::malformed(path, "header", reason);
    let table = Metadata::new(unordered, records.collect()).map_err(|e| fail(e.to_string()))?;
    let mut table = serde_json::to_value(&table).map_err(|e| fail(e.to_string()))?;
    // The library keeps it in a hash map, and the same tensors should be the same file each time.
    if let Some(unordered) = table.get_mut("__metadata__") {
        *unordered = json!(metadata);
    }
    let mut json = serde_json::to_vec(&table).map_err(|e| fail(e.to_string()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}

fn dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Checkpoint;

    fn entries() -> Vec<Entry<'static>> {
        vec![
            Entry::from_bytes("b", DType::F32, &[2], vec![1; 8]),
            Entry::from_bytes("a", DType::F32, &[], vec![2; 4]),
            Entry::from_bytes("h", DType::F16, &[3], vec![3; 6]),
            Entry::from_bytes("n", DType::I64, &[1], vec![4; 8]),
        ]
    }

    fn metadata() -> BTreeMap<String, String> {
        BTreeMap::from([("format".to_owned(), "pt".to_owned())])
    }

    #[test]
    fn the_same_tensors_and_metadata_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let metadata: BTreeMap<_, _> = (0..9).map(|i| (format!("key {i}"), i.to_string())).collect();
        let write = |name: &str| {
            let path = folder.path().join(name);
            write_safetensors(&path, entries(), &metadata).unwrap();
            std::fs::read(path).unwrap()
        };
        assert_eq!(write("a.safetensors"), write("b.safetensors"));
    }

    #[test]
    fn what_is_written_is_what_the_library_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        write_safetensors(&path, entries(), &metadata()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(file.tensor("h").unwrap().data(), [3; 6]);
        let opened = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(opened.read("b").unwrap().bytes, [1; 8]);
        assert_eq!(opened.metadata(), &metadata());
    }

    #[test]
    fn shards_stay_under_the_limit_and_open_as_one_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let files = write_safetensors_shards(folder.path(), entries(), &metadata(), 13).unwrap();
        assert_eq!(files.len(), 4);
        assert!(files[0].ends_with("model-00001-of-00003.safetensors"));
        let opened = Checkpoint::open(folder.path()).unwrap();
        assert_eq!(opened.files().len(), 3);
        for entry in entries() {
            let name = entry.info.name.clone();
            assert_eq!(
                opened.read(&name).unwrap().bytes,
                entry.into_bytes(Path::new("")).unwrap().as_ref()
            );
        }
    }

    #[test]
    fn a_tensor_above_the_limit_does_not_close_the_shard_before_it() {
        let entry = |name: &str, len: usize| Entry::from_bytes(name, DType::U8, &[len], vec![0; len]);
        let names = |limit| -> Vec<Vec<String>> {
            let entries = [("a", 4), ("b", 4), ("large", 11), ("c", 2), ("d", 8), ("e", 10)];
            let shards = split(entries.map(|(name, len)| entry(name, len)).into(), limit);
            let name = |entry: Entry<'_>| entry.info.name;
            shards
                .into_iter()
                .map(|shard| shard.into_iter().map(name).collect())
                .collect()
        };
        // What split_torch_state_dict_into_shards gives for the same lengths.
        assert_eq!(names(10), [&["large"][..], &["a", "b", "c"], &["d"], &["e"]]);
        assert_eq!(names(11), [&["a", "b"][..], &["large"], &["c", "d"], &["e"]]);
        assert_eq!(names(100), [["a", "b", "large", "c", "d", "e"]]);
    }

    #[test]
    fn shards_are_not_written_beside_a_file_that_would_be_read_instead() {
        let folder = tempfile::tempdir().unwrap();
        write_safetensors_shards(folder.path(), entries(), &metadata(), u64::MAX).unwrap();
        let refused = write_safetensors_shards(folder.path(), entries(), &metadata(), 13).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("model.safetensors: is there already"),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_shard_that_fails_leaves_the_shards_that_were_there() {
        let folder = tempfile::tempdir().unwrap();
        write_safetensors_shards(folder.path(), entries(), &metadata(), 13).unwrap();
        let mut failing = entries();
        failing.pop();
        let info = TensorInfo {
            name: "n".to_owned(),
            dtype: DType::I64,
            shape: vec![1],
        };
        let gone = |info: &TensorInfo| Err(ConvertError::tensor(Path::new("source"), &info.name, "gone"));
        failing.push(Entry::new(info.clone(), move || gone(&info)));
        assert!(write_safetensors_shards(folder.path(), failing, &metadata(), 13).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
        assert_eq!(
            Checkpoint::open(folder.path()).unwrap().read("b").unwrap().bytes,
            [1; 8]
        );
    }

    #[test]
    fn a_missing_shard_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = write_safetensors_shards(folder.path(), entries(), &metadata(), 13).unwrap();
        std::fs::remove_file(&files[1]).unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("model-00002-of-00003.safetensors"), "{message}");
    }

    #[test]
    fn an_index_cannot_lead_out_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let index = r#"{"metadata":{},"weight_map":{"a":"../../etc/passwd"}}"#;
        std::fs::write(folder.path().join("model.safetensors.index.json"), index).unwrap();
        let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
        assert!(message.contains("`../../etc/passwd`"), "{message}");
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let twice = entries().into_iter().chain(entries()).collect();
        let message = write_safetensors(&folder.path().join("m"), twice, &metadata())
            .unwrap_err()
            .to_string();
        assert!(message.contains("tensor `b`: was given twice"), "{message}");
    }
}
