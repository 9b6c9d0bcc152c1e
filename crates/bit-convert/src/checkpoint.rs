//! Opening a checkpoint, whatever it is: one file, a sharded one, or the folder around it.

use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::format::{Format, open_file};
use crate::locate::{read_text, weight_files};
use crate::read::{Source, safetensors};
use crate::tensor::{Tensor, TensorInfo};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

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
        let mut opened = Self::empty(path);
        for file in weight_files(path)? {
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
        let source = safetensors::open(DataFile::embedded(name, bytes))?;
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
        // Shards lie beside their index, whichever of the folder and the index was named.
        let beside = self.files.first().and_then(|file| file.parent());
        beside.unwrap_or(&self.path)
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
            bytes: self.entry(index).into_bytes(&self.path)?.into_owned(),
        })
    }

    /// The elements of an f32 tensor, read to where they stay: as bytes they would have to be copied once more, because
    /// bytes need not lie where numbers may.
    pub(crate) fn read_index_f32(&self, index: usize) -> Result<Vec<f32>> {
        let (source, position) = self.places[index];
        let mut values = vec![0f32; self.tensors[index].elements()];
        self.sources[source].read_into(position, bytemuck::cast_slice_mut(&mut values))?;
        // Files are little-endian. Does nothing where the machine is, too.
        values
            .iter_mut()
            .for_each(|value| *value = f32::from_le_bytes(value.to_ne_bytes()));
        Ok(values)
    }

    /// All tensors as a writer takes them, under their stored names.
    pub fn entries(&self) -> Vec<Entry<'_>> {
        (0..self.tensors.len()).map(|index| self.entry(index)).collect()
    }

    pub(crate) fn entry(&self, index: usize) -> Entry<'_> {
        let (source, position) = self.places[index];
        Entry::of_elements(self.tensors[index].clone(), move || {
            self.sources[source].elements(position)
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
