//! From any checkpoint to any format.

use crate::architecture::{EMBEDDED_CONFIG, EMBEDDED_PROCESSOR};
use crate::checkpoint::Checkpoint;
use crate::dialect::BitTensors;
use crate::error::{ConvertError, Result};
use crate::layout::Layout;
use crate::names::{Dialect, Slot};
use crate::tensor::{DType, Entry, TensorInfo};
use crate::write::burnpack::write_burnpack;
use crate::write::folder::{timm_config, transformers_configs};
use crate::write::npz::write_npz;
use crate::write::onnx::write_onnx_within;
use crate::write::pytorch::write_pytorch;
use crate::write::safetensors::{MAX_SHARD_BYTES, write_safetensors, write_safetensors_shards, write_text};
use bit_config::{BitConfig, ImageProcessorConfig};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// transformers' names in safetensors.
    Transformers,
    /// transformers' names in `pytorch_model.bin`.
    Pytorch,
    /// timm's names in safetensors.
    Timm,
    /// Google's names and layouts in `.npz`.
    Google,
    /// transformers' names in Burn's container.
    Burnpack,
    /// The network itself, ready to run, with standardized kernels.
    Onnx,
}

/// Name on the command line, usual file name, and extensions that mean that one file and no folder.
const TARGETS: &[(Target, &str, &str, &[&str])] = &[
    (Target::Transformers, "hf", "model.safetensors", &["safetensors"]),
    (
        Target::Pytorch,
        "pytorch",
        "pytorch_model.bin",
        &["bin", "pt", "pth"],
    ),
    (Target::Timm, "timm", "model.safetensors", &["safetensors"]),
    (Target::Google, "google", "model.npz", &["npz"]),
    (Target::Burnpack, "burnpack", "model.bpk", &["bpk"]),
    (Target::Onnx, "onnx", "model.onnx", &["onnx"]),
];

impl Target {
    fn row(self) -> &'static (Target, &'static str, &'static str, &'static [&'static str]) {
        TARGETS
            .iter()
            .find(|row| row.0 == self)
            .expect("invariant: the table has every target")
    }

    /// The dialect in which names are written.
    fn dialect(self) -> Dialect {
        match self {
            Self::Timm => Dialect::Timm,
            Self::Google => Dialect::GoogleNpz,
            _ => Dialect::Transformers,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let known: Vec<_> = TARGETS.iter().map(|row| row.1).collect();
        let found = TARGETS.iter().find(|row| row.1 == name).map(|row| row.0);
        found.ok_or_else(|| format!("`{name}` is no format to write; there are {}", known.join(", ")))
    }
}

/// Hears bytes done and bytes in all, and says whether to go on.
pub type Progress<'a> = dyn Fn(u64, u64) -> ControlFlow<()> + 'a;

/// How to write it.
#[derive(Default)]
pub struct ConvertOptions<'a> {
    /// Element type; `None` keeps each tensor's own.
    pub dtype: Option<DType>,
    /// The configuration, instead of [`BitTensors::config`].
    pub config: Option<BitConfig>,
    /// The image processor, instead of [`BitTensors::processor`].
    pub processor: Option<ImageProcessorConfig>,
    /// Most bytes of tensors in one file: above it a transformers folder has several and ONNX keeps them apart from
    /// its graph. `None` means [`MAX_SHARD_BYTES`], and for ONNX what protobuf can hold.
    pub max_shard_bytes: Option<u64>,
    /// Called with bytes done and bytes in all after each tensor; `Break` ends the conversion with
    /// [`ConvertError::Cancelled`].
    pub progress: Option<&'a Progress<'a>>,
}

/// What was written.
#[derive(Debug)]
pub struct Converted {
    /// The files, weights first.
    pub files: Vec<PathBuf>,
    /// The configuration of the network.
    pub config: BitConfig,
    /// Tensors of the source that are no part of the network and were left out.
    pub unused: Vec<String>,
    /// Why no image processor was written, if so.
    pub no_processor: Option<ConvertError>,
}

/// Writes the BiT network of `source` to `destination`: a file when its extension is the format's own, otherwise a
/// folder with the usual file names and the configurations beside them. Holds one tensor in memory at a time.
///
/// # Errors
///
/// When the source is no BiT network, disagrees with its configuration, or the target cannot hold it, and when
/// `options.progress` says to end.
pub fn convert(
    source: &Checkpoint,
    destination: &Path,
    target: Target,
    options: &ConvertOptions<'_>,
) -> Result<Converted> {
    let tensors = source.to_transformers()?;
    let mut config = options.config.clone().map_or_else(|| tensors.config(), Ok)?;
    tensors.check(&config)?;
    if let Some(dtype) = options.dtype {
        config.dtype = Some(dtype.torch_name().to_owned());
    }
    let (processor, no_processor) = match options.processor.clone().map_or_else(|| tensors.processor(), Ok) {
        Ok(processor) => (Some(processor), None),
        Err(why) => (None, Some(why)),
    };
    let total = tensors.tensors().iter().map(|info| info.byte_len() as u64).sum();
    let done = Cell::new(0);
    let entries = entries(&tensors, target, options, &done, total, destination)?;

    let (_, _, file_name, extensions) = *target.row();
    let single = destination
        .extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| extensions.contains(&e));
    let files = if single {
        write_file(destination, target, entries, &config, options, processor.as_ref())?
    } else {
        fs::create_dir_all(destination).map_err(ConvertError::io(destination, "create"))?;
        // Refuses what timm cannot hold before gigabytes are written.
        let configs = match target {
            Target::Timm => timm_config(destination, &config, processor.as_ref())?,
            _ => transformers_configs(&config, processor.as_ref()),
        };
        let mut files = if target == Target::Transformers {
            let limit = options.max_shard_bytes.unwrap_or(MAX_SHARD_BYTES);
            write_safetensors_shards(destination, entries, &pytorch_metadata(), limit)?
        } else {
            let path = destination.join(file_name);
            write_file(&path, target, entries, &config, options, processor.as_ref())?
        };
        for (name, text) in configs {
            files.push(destination.join(name));
            write_text(&destination.join(name), &text)?;
        }
        files
    };
    Ok(Converted {
        files,
        config,
        unused: tensors.unused().to_vec(),
        no_processor,
    })
}

/// The network's tensors as the target stores them.
fn entries<'a>(
    tensors: &'a BitTensors<'_>,
    target: Target,
    options: &'a ConvertOptions<'_>,
    done: &'a Cell<u64>,
    total: u64,
    destination: &'a Path,
) -> Result<Vec<Entry<'a>>> {
    let mut entries = Vec::new();
    for entry in tensors.entries() {
        if !entry.info.dtype.is_float() {
            let reason = format!("is of type {}, expected floating-point numbers", entry.info.dtype);
            return Err(ConvertError::tensor(
                tensors.checkpoint().path(),
                &entry.info.name,
                reason,
            ));
        }
        let entry = entry.observed(move |bytes| {
            done.set(done.get() + bytes as u64);
            match options.progress.map(|progress| progress(done.get(), total)) {
                Some(ControlFlow::Break(())) => Err(ConvertError::Cancelled {
                    path: destination.to_path_buf(),
                }),
                _ => Ok(()),
            }
        });
        // ONNX standardizes kernels before it rounds them.
        let dtype = options.dtype.filter(|_| target != Target::Onnx);
        let entry = dtype.into_iter().fold(entry, Entry::cast);
        entries.push(to_dialect(entry, target.dialect(), destination)?);
    }
    Ok(entries)
}

/// A tensor with transformers' name and layout under the name and in the layout of a dialect.
fn to_dialect<'a>(entry: Entry<'a>, dialect: Dialect, destination: &Path) -> Result<Entry<'a>> {
    if dialect == Dialect::Transformers {
        return Ok(entry);
    }
    let slot = Slot::parse(Dialect::Transformers, entry.info.name.trim_start_matches("bit."));
    let Some((slot, name)) = slot.and_then(|slot| Some((slot, slot.name(dialect)?))) else {
        return Err(ConvertError::Unwritable {
            path: destination.to_path_buf(),
            format: "Google's npz",
            reason: format!(
                "it has no name for `{}`, a parameter of the bottleneck variant",
                entry.info.name
            ),
        });
    };
    let prefix = if dialect == Dialect::GoogleNpz {
        "resnet/"
    } else {
        ""
    };
    let layout = Layout::of(slot, dialect);
    let (shape, size) = (entry.info.shape.clone(), entry.info.dtype.size());
    let info = TensorInfo {
        name: format!("{prefix}{name}"),
        dtype: entry.info.dtype,
        shape: layout.stored_shape(&shape, dialect),
    };
    Ok(entry.map(info, move |bytes| {
        Ok(layout.rearrange_to_stored(bytes, &shape, size))
    }))
}

fn write_file(
    path: &Path,
    target: Target,
    entries: Vec<Entry<'_>>,
    config: &BitConfig,
    options: &ConvertOptions<'_>,
    processor: Option<&ImageProcessorConfig>,
) -> Result<Vec<PathBuf>> {
    match target {
        Target::Transformers | Target::Timm => write_safetensors(path, entries, &pytorch_metadata())?,
        Target::Pytorch => write_pytorch(path, entries)?,
        Target::Google => write_npz(path, entries)?,
        Target::Burnpack => write_burnpack(path, entries, &embedded(config, processor))?,
        Target::Onnx => {
            let limit = options.max_shard_bytes.unwrap_or(u64::MAX);
            return write_onnx_within(
                path,
                entries,
                config,
                options.dtype,
                &embedded(config, processor),
                limit,
            );
        }
    }
    Ok(vec![path.to_path_buf()])
}

/// What transformers insists on finding in a safetensors file.
fn pytorch_metadata() -> BTreeMap<String, String> {
    BTreeMap::from([("format".to_owned(), "pt".to_owned())])
}

/// Both configurations as strings inside of a file that can stand alone.
fn embedded(config: &BitConfig, processor: Option<&ImageProcessorConfig>) -> BTreeMap<String, String> {
    let processor = processor.map(|processor| (EMBEDDED_PROCESSOR.to_owned(), processor.to_json()));
    std::iter::once((EMBEDDED_CONFIG.to_owned(), config.to_json()))
        .chain(processor)
        .collect()
}
