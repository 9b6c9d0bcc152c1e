//! PyTorch files: the zip archive of PyTorch 1.6 and later, and the run of pickles before that.
//!
//! Both are a pickle that describes tensors as views of storages, and the storages' bytes. Only the description is
//! read at first. Dictionaries nested in dictionaries (`state_dict`, `model`, …) give dotted names.

mod extract;
mod storage;

use self::extract::{View, tensors};
use self::storage::Storage;
use super::Source;
use super::pickle::{MAX_PICKLE, Pickle, Value};
use super::zipped::Archive;
use crate::elements::Elements;
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::tensor::TensorInfo;
use std::collections::HashMap;
use std::io::{BufReader, Seek};
use std::path::Path;

/// The legacy format's first pickle, 0x1950a86a20f9469cfc6c, as protocol 2 and later write it.
const LEGACY_MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// A PyTorch file whose pickle has been read.
#[derive(Debug)]
pub(crate) struct PytorchFile {
    storages: Storages,
    tensors: Vec<TensorInfo>,
    views: Vec<View>,
}

/// Where storages' bytes are.
#[derive(Debug)]
enum Storages {
    /// In members `{root}data/{key}`.
    Zip { archive: Archive, root: String },
    /// At these offsets.
    Legacy {
        file: DataFile,
        offsets: HashMap<String, u64>,
    },
}

/// Whether a file's first bytes are the magic number of the legacy format.
pub(crate) fn recognises_legacy(head: &[u8]) -> bool {
    head.get(..64.min(head.len()))
        .is_some_and(|head| head.windows(10).any(|bytes| bytes == LEGACY_MAGIC))
}

impl PytorchFile {
    /// Opens the zip format.
    pub(crate) fn open_zip(archive: Archive) -> Result<Self> {
        let path = archive.file().path().to_path_buf();
        let pickles: Vec<_> = archive
            .members()
            .iter()
            .filter(|m| m.name.ends_with("data.pkl"))
            .collect();
        let [member] = pickles[..] else {
            let reason = format!("expected one member data.pkl, found {}", pickles.len());
            return Err(ConvertError::malformed(&path, "zip directory", reason));
        };
        let root = member.name.trim_end_matches("data.pkl").to_owned();
        if let Some(order) = archive.member(&format!("{root}byteorder")) {
            let order = archive.read(order, 0, order.size.min(16) as usize, "byteorder")?;
            expect_little_endian(&path, order == b"little")?;
        }
        if let Some(packed) = archive.members().iter().find(|m| m.stored_at.is_none()) {
            let reason = format!(
                "member `{}` is compressed, which torch.save never does",
                packed.name
            );
            return Err(ConvertError::malformed(&path, "zip directory", reason));
        }
        if member.size > MAX_PICKLE {
            let reason = format!("is {} bytes long, more than {MAX_PICKLE}", member.size);
            return Err(ConvertError::malformed(&path, "data.pkl", reason));
        }
        let bytes = archive.read(member, 0, member.size as usize, "data.pkl")?;
        let pickle = Pickle::read(&mut &bytes[..], &path)?;
        let (tensors, views) = tensors(&pickle, &path)?;
        let file = Self {
            storages: Storages::Zip { archive, root },
            tensors,
            views,
        };
        file.check_storages(&path)?;
        Ok(file)
    }

    /// Opens the legacy format.
    pub(crate) fn open_legacy(file: DataFile) -> Result<Self> {
        let path = file.path().to_path_buf();
        let mut reader = BufReader::new(file.handle()?);
        reader.rewind().map_err(ConvertError::io(&path, "read"))?;
        Pickle::read(&mut reader, &path)?; // the magic number
        Pickle::read(&mut reader, &path)?; // the protocol version
        let system = Pickle::read(&mut reader, &path)?;
        expect_little_endian(&path, says_little_endian(&system))?;
        let pickle = Pickle::read(&mut reader, &path)?;
        let (tensors, views) = tensors(&pickle, &path)?;
        let keys = Pickle::read(&mut reader, &path)?;
        let start = reader
            .stream_position()
            .map_err(ConvertError::io(&path, "read"))?;
        let sizes = storage_sizes(&pickle, &path)?;
        let offsets = legacy_offsets(&file, &keys, &sizes, start)?;
        let file = Self {
            storages: Storages::Legacy { file, offsets },
            tensors,
            views,
        };
        file.check_storages(&path)?;
        Ok(file)
    }

    /// Every tensor's storage must be there and as long as the pickle says, since views were checked against that.
    fn check_storages(&self, path: &Path) -> Result<()> {
        for (info, view) in self.tensors.iter().zip(&self.views) {
            let needed = view.storage_bytes as u64;
            let held = match &self.storages {
                Storages::Zip { archive, root } => archive
                    .member(&format!("{root}data/{}", view.storage))
                    .map(|member| member.size),
                // `legacy_offsets` has checked that the declared storages are in the file, in their declared length.
                Storages::Legacy { offsets, .. } => offsets.get(&view.storage).map(|_| u64::MAX),
            };
            match held {
                None => {
                    let reason = format!("its storage `{}` is not in the file", view.storage);
                    return Err(ConvertError::tensor(path, &info.name, reason));
                }
                Some(held) if held < needed => {
                    let reason = format!(
                        "needs {needed} bytes of storage `{}`, which has {held}",
                        view.storage
                    );
                    return Err(ConvertError::tensor(path, &info.name, reason));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn read_window(&self, info: &TensorInfo, view: &View) -> Result<Vec<u8>> {
        let place = format!("tensor `{}`", info.name);
        let start = (view.offset * info.dtype.size()) as u64;
        let len = view.extent * info.dtype.size();
        match &self.storages {
            Storages::Zip { archive, root } => {
                let name = format!("{root}data/{}", view.storage);
                let member = archive
                    .member(&name)
                    .expect("invariant: check_storages found every storage");
                archive.read(member, start, len, &place)
            }
            Storages::Legacy { file, offsets } => {
                let storage = offsets
                    .get(&view.storage)
                    .expect("invariant: check_storages found every storage");
                file.read(storage.saturating_add(start), len, &place)
            }
        }
    }
}

impl Source for PytorchFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn elements(&self, index: usize) -> Result<Elements<'static>> {
        let (info, view) = (&self.tensors[index], &self.views[index]);
        let window = self.read_window(info, view)?;
        Ok(Elements::strided(window, info.dtype, &info.shape, &view.stride))
    }
}

fn expect_little_endian(path: &Path, little: bool) -> Result<()> {
    if little {
        return Ok(());
    }
    Err(ConvertError::malformed(
        path,
        "byte order",
        "expected a file saved on a little-endian machine",
    ))
}

fn says_little_endian(system: &Pickle) -> bool {
    let Value::Dict(pairs) = system.get(system.root()) else {
        return false;
    };
    let is_key = |id| matches!(system.get(id), Value::Str(key) if key == "little_endian");
    pairs
        .iter()
        .any(|&(key, value)| is_key(key) && system.get(value) == &Value::Bool(true))
}

/// The storages that the pickle declares, also those of tensors that no dictionary names: all of them follow it.
fn storage_sizes<'a>(pickle: &'a Pickle, path: &Path) -> Result<HashMap<&'a str, Storage<'a>>> {
    let mut sizes = HashMap::new();
    for value in pickle.values() {
        let Value::Persistent(id) = value else { continue };
        // What is no storage fails where it is used.
        let Ok(storage) = Storage::parse(pickle, *id) else {
            continue;
        };
        let first = *sizes.entry(storage.key).or_insert(storage);
        if first != storage {
            let reason = format!("storage `{}` is declared twice and differently", storage.key);
            return Err(ConvertError::malformed(path, "pickle", reason));
        }
    }
    Ok(sizes)
}

/// Walks the storages behind the pickles: for each key of the list, an element count and the elements.
fn legacy_offsets(
    file: &DataFile,
    keys: &Pickle,
    sizes: &HashMap<&str, Storage<'_>>,
    mut position: u64,
) -> Result<HashMap<String, u64>> {
    let mut offsets = HashMap::new();
    for key in keys.items(keys.root()) {
        let fail = |reason: String| Err(ConvertError::malformed(file.path(), "storage list", reason));
        let Value::Str(key) = key else {
            return fail(format!("expected names, found {}", key.kind()));
        };
        let Some(storage) = sizes.get(key.as_str()) else {
            return fail(format!(
                "storage `{key}` belongs to no tensor, so its length is unknown"
            ));
        };
        let place = format!("storage `{key}`");
        let count = file.read(position, 8, &place)?;
        let count = count
            .first_chunk::<8>()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        if count != storage.elements as u64 {
            let elements = storage.elements;
            return fail(format!(
                "storage `{key}` has {count} elements, its tensors expect {elements}"
            ));
        }
        let end = (storage.bytes() as u64).checked_add(position + 8);
        let Some(end) = end.filter(|&end| end <= file.len()) else {
            return fail(format!(
                "storage `{key}` of {count} elements reaches past the end of the file"
            ));
        };
        offsets.insert(key.clone(), position + 8);
        position = end;
    }
    Ok(offsets)
}
