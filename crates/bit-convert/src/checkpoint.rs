//! Opening a checkpoint, whatever it is: one file, a sharded one, or the folder around it.

use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::read::Source;
use crate::read::burnpack::BurnpackFile;
use crate::read::npz::NpzFile;
use crate::read::pytorch::{self, PytorchFile};
use crate::read::safetensors::{self, SafetensorsFile};
use crate::read::zipped::Archive;
use crate::tensor::{Entry, Tensor, TensorInfo};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Largest JSON file read whole: configurations and indices of shards.
const MAX_JSON: u64 = 64 << 20;

/// What a folder is searched for, the best first: safetensors cannot do anything but hold tensors.
const NAMES: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.bpk",
];

/// A file format, told by a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// `torch.save` of PyTorch 1.6 and later: a zip.
    PytorchZip,
    /// `torch.save` before that.
    PytorchLegacy,
    /// A NumPy archive.
    Npz,
    /// Burn's own container.
    Burnpack,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::PytorchZip => "PyTorch (zip)",
            Self::PytorchLegacy => "PyTorch (legacy)",
            Self::Npz => "NumPy npz",
            Self::Burnpack => "burnpack",
        })
    }
}

/// An open checkpoint: its tensors are known, their bytes are read on demand and from any thread.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    files: Vec<PathBuf>,
    sources: Vec<Box<dyn Source>>,
    tensors: Vec<TensorInfo>,
    /// For each tensor, its source and its position there.
    places: Vec<(usize, usize)>,
    by_name: HashMap<String, usize>,
    metadata: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a file, or a folder that holds `model.safetensors` or `pytorch_model.bin` (whole or sharded) or
    /// `model.bpk`, or exactly one file of a known format. Formats are told by content, never by extension.
    ///
    /// # Errors
    ///
    /// When nothing is there, when the content is of no known format, or when it contradicts itself.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = fs::metadata(path).map_err(ConvertError::io(path, "open"))?;
        let file = if metadata.is_dir() {
            find_in_folder(path)?
        } else {
            path.to_path_buf()
        };
        let index = is_json(&file)?;
        let files = if index { shards(&file)? } else { vec![file] };

        let mut opened = Self::empty(path);
        for file in files {
            let (format, source) = open_file(DataFile::open(&file)?)?;
            opened.format = format;
            opened.add(file, source)?;
        }
        Ok(opened)
    }

    /// Opens a safetensors file that is compiled into the program. `name` stands for its path in messages.
    ///
    /// # Errors
    ///
    /// When the content is not safetensors or contradicts itself.
    pub fn embedded(name: &str, bytes: &'static [u8]) -> Result<Self> {
        let mut opened = Self::empty(Path::new(name));
        let source = SafetensorsFile::open(DataFile::embedded(name, bytes))?;
        opened.add(PathBuf::from(name), Box::new(source))?;
        Ok(opened)
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            format: Format::Safetensors,
            files: vec![],
            sources: vec![],
            tensors: vec![],
            places: vec![],
            by_name: HashMap::new(),
            metadata: BTreeMap::new(),
        }
    }

    fn add(&mut self, file: PathBuf, source: Box<dyn Source>) -> Result<()> {
        for (position, info) in source.tensors().iter().enumerate() {
            if self
                .by_name
                .insert(info.name.clone(), self.tensors.len())
                .is_some()
            {
                return Err(ConvertError::tensor(
                    &file,
                    &info.name,
                    "occurs twice in the checkpoint",
                ));
            }
            self.tensors.push(info.clone());
            self.places.push((self.sources.len(), position));
        }
        self.metadata.extend(source.metadata());
        self.sources.push(source);
        self.files.push(file);
        Ok(())
    }

    /// What was opened: the file or folder given to [`open`](Self::open).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that holds the weights, where a `config.json` would be.
    pub fn folder(&self) -> &Path {
        if self.files.first() == Some(&self.path) {
            self.path.parent().unwrap_or(&self.path)
        } else {
            &self.path
        }
    }

    /// The files that hold tensors: one, or the shards.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The format of those files.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The tensors under the names they are stored with, in the files' order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// One tensor's description.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }

    /// Strings kept beside the tensors, such as safetensors' `format: pt`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Reads one tensor by its stored name.
    ///
    /// # Errors
    ///
    /// When there is no such tensor, or its bytes cannot be read or do not match their checksum.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let Some(&index) = self.by_name.get(name) else {
            return Err(ConvertError::MissingTensor {
                path: self.path.clone(),
                name: name.to_owned(),
            });
        };
        let TensorInfo { dtype, shape, .. } = self.tensors[index].clone();
        Ok(Tensor {
            dtype,
            shape,
            bytes: self.read_index(index)?,
        })
    }

    pub(crate) fn read_index(&self, index: usize) -> Result<Vec<u8>> {
        let (source, position) = self.places[index];
        self.sources[source].read(position)
    }

    /// All tensors as a writer takes them, under their stored names.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        (0..self.tensors.len()).map(|index| self.entry(index)).collect()
    }

    pub(crate) fn entry(&self, index: usize) -> Entry<'_> {
        Entry::new(self.tensors[index].clone(), move || {
            self.read_index(index).map(Cow::Owned)
        })
    }

    /// The text of a file beside the weights, such as `config.json`, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// When the file is there but cannot be read, is not text, or is larger than 64 MiB.
    pub fn sibling(&self, name: &str) -> Result<Option<String>> {
        let path = self.folder().join(name);
        if path.is_file() {
            read_text(&path).map(Some)
        } else {
            Ok(None)
        }
    }
}

fn open_file(file: DataFile) -> Result<(Format, Box<dyn Source>)> {
    let head = file.head(512)?;
    if head.starts_with(b"PK\x03\x04") {
        let archive = Archive::open(file)?;
        if archive
            .members()
            .iter()
            .any(|member| member.name.ends_with("data.pkl"))
        {
            return Ok((Format::PytorchZip, Box::new(PytorchFile::open_zip(archive)?)));
        }
        if archive
            .members()
            .iter()
            .any(|member| member.name.ends_with(".npy"))
        {
            return Ok((Format::Npz, Box::new(NpzFile::open(archive)?)));
        }
        return Err(unknown(
            archive.file().path(),
            "a zip archive without data.pkl or .npy members",
        ));
    }
    if head.starts_with(&crate::burnpack::MAGIC) {
        return Ok((Format::Burnpack, Box::new(BurnpackFile::open(file)?)));
    }
    if pytorch::recognises_legacy(&head) {
        return Ok((Format::PytorchLegacy, Box::new(PytorchFile::open_legacy(file)?)));
    }
    if safetensors::recognises(&head, file.len()) {
        return Ok((Format::Safetensors, Box::new(SafetensorsFile::open(file)?)));
    }
    Err(unknown(file.path(), &describe(&head, file.len())))
}

fn unknown(path: &Path, found: &str) -> ConvertError {
    ConvertError::UnknownFormat {
        path: path.to_path_buf(),
        found: found.to_owned(),
    }
}

/// What a person should know about a file that is no checkpoint.
fn describe(head: &[u8], len: u64) -> String {
    const KNOWN: &[(&[u8], &str)] = &[
        (
            b"version https://git-lfs",
            "a Git LFS pointer; run `git lfs pull` to fetch the real file",
        ),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a single NumPy array"),
        (b"<", "an HTML or XML page, perhaps a failed download"),
        (b"{", "JSON"),
        (b"\x08", "perhaps an ONNX model"),
        (b"\x80", "a Python pickle that torch.save did not write"),
    ];
    if head.is_empty() {
        return "an empty file".to_owned();
    }
    if head.get(257..262) == Some(b"ustar") {
        return "a tar archive, as PyTorch wrote before 0.1.10".to_owned();
    }
    match KNOWN.iter().find(|(start, _)| head.starts_with(start)) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("{len} bytes that start with {:02x?}", &head[..head.len().min(8)]),
    }
}

fn find_in_folder(folder: &Path) -> Result<PathBuf> {
    if let Some(found) = NAMES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
    {
        return Ok(found);
    }
    let mut candidates = Vec::new();
    for entry in fs::read_dir(folder).map_err(ConvertError::io(folder, "open"))? {
        let path = entry.map_err(ConvertError::io(folder, "read"))?.path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        if path.is_file() && ["safetensors", "bin", "pt", "pth", "tar", "npz", "bpk"].contains(&extension) {
            candidates.push(path);
        }
    }
    match &candidates[..] {
        [one] => Ok(one.clone()),
        [] => Err(not_found(folder, format!("looked for {}", NAMES.join(", ")))),
        many => Err(not_found(
            folder,
            format!("{} files could be it; name one of them", many.len()),
        )),
    }
}

fn not_found(path: &Path, reason: String) -> ConvertError {
    ConvertError::NotFound {
        path: path.to_path_buf(),
        reason,
    }
}

/// Whether a file is JSON, which among checkpoints is an index of shards.
fn is_json(path: &Path) -> Result<bool> {
    let head = DataFile::open(path)?.head(64)?;
    Ok(head.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{'))
}

/// The files that an index names, each once and in order.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let parsed: Index = serde_json::from_str(&read_text(index)?)
        .map_err(|e| ConvertError::malformed(index, "index of shards", e.to_string()))?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut names: Vec<_> = parsed.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    if let Some(outside) = names
        .iter()
        .find(|name| Path::new(name).file_name() != Some(name.as_ref()))
    {
        let reason = format!("names the shard `{outside}`, expected a file in the same folder");
        return Err(ConvertError::malformed(index, "index of shards", reason));
    }
    let files: Vec<_> = names.iter().map(|name| folder.join(name)).collect();
    if let Some(absent) = files.iter().find(|file| !file.is_file()) {
        return Err(not_found(
            absent,
            format!("the index {} names this shard", index.display()),
        ));
    }
    Ok(files)
}

fn read_text(path: &Path) -> Result<String> {
    let file = DataFile::open(path)?;
    if file.len() > MAX_JSON {
        let reason = format!(
            "has {} bytes, expected a JSON file of at most {MAX_JSON}",
            file.len()
        );
        return Err(ConvertError::malformed(path, "size", reason));
    }
    let bytes = file.read(0, file.len() as usize, "text")?;
    String::from_utf8(bytes).map_err(|e| ConvertError::malformed(path, "text", e.to_string()))
}
