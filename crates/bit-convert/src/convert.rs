//! From any checkpoint to any format.

use crate::architecture::{EMBEDDED_CONFIG, EMBEDDED_PROCESSOR};
use crate::checkpoint::Checkpoint;
use crate::dialect::BitTensors;
use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::layout::Layout;
use crate::locate::refuse_shadowed;
use crate::names::{Dialect, Slot};
use crate::stage::{Staged, publish, stage_text};
use crate::target::Target;
use crate::tensor::{DType, TensorInfo};
use crate::write::burnpack::stage_burnpack;
use crate::write::folder::{Texts, timm_config, transformers_configs};
use crate::write::npz::stage_npz;
use crate::write::onnx::stage_onnx;
use crate::write::pytorch::stage_pytorch;
use crate::write::safetensors::{MAX_SHARD_BYTES, stage_safetensors, stage_shards};
use bit_config::{BitConfig, ImageProcessorConfig};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

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
    /// The files in the order in which they got their names: the weights, and `config.json` last.
    pub files: Vec<PathBuf>,
    /// The one of them that opens the weights: the only one, the index of shards, or the ONNX graph.
    pub weights: PathBuf,
    /// The configuration of the network.
    pub config: BitConfig,
    /// Tensors of the source that are no part of the network and were left out.
    pub unused: Vec<String>,
    /// The image processor, when it is known.
    pub processor: Option<ImageProcessorConfig>,
    /// Why nothing was written of the image processor, if so.
    pub no_processor: Option<ConvertError>,
}

/// Writes the BiT network of `source` to `destination`: a file when its extension is the format's own, otherwise a
/// folder with the usual file names and the configurations beside them. Holds one tensor in memory at a time.
///
/// All files get their names together when all of them are written; when that fails, the folder is as it was.
///
/// # Errors
///
/// When the source is no BiT network, disagrees with its configuration, or the target cannot hold it; when a folder
/// holds weights that would be read instead of the new ones, or an image processor that would be taken for theirs; and
/// when `options.progress` says to end.
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
    let (processor, mut no_processor) =
        match options.processor.clone().map_or_else(|| tensors.processor(), Ok) {
            Ok(processor) => (Some(processor), None),
            Err(why) => (None, Some(why)),
        };
    let total = tensors.tensors().iter().map(|info| info.byte_len() as u64).sum();
    let done = Cell::new(0);
    let entries = entries(&tensors, target, options, &done, total, destination)?;

    let mut staged;
    let mut beside = vec![];
    if target.is_file(destination) {
        staged = stage_file(destination, target, entries, &config, options, processor.as_ref())?;
    } else {
        fs::create_dir_all(destination).map_err(ConvertError::io(destination, "create"))?;
        // What timm cannot hold is refused before gigabytes are written.
        let (configs, unsaid) = match target {
            Target::Timm => timm_config(destination, &config, processor.as_ref())?,
            _ => (transformers_configs(&config, processor.as_ref()), None),
        };
        refuse_stale_processor(destination, &configs)?;
        no_processor = no_processor.or(unsaid);
        staged = stage_weights(destination, target, entries, &config, options, processor.as_ref())?;
        beside = configs;
    }
    let weights = staged.len();
    for (name, text) in beside {
        staged.push(stage_text(&destination.join(name), &text)?);
    }
    let files = publish(staged)?;
    Ok(Converted {
        weights: files[..weights]
            .last()
            .map_or(destination, PathBuf::as_path)
            .to_path_buf(),
        files,
        config,
        unused: tensors.unused().to_vec(),
        processor,
        no_processor,
    })
}

/// Refuses to write weights beside an image processor that belongs to others and would be taken for theirs.
fn refuse_stale_processor(folder: &Path, configs: &Texts) -> Result<()> {
    let path = folder.join(EMBEDDED_PROCESSOR);
    let is_replaced = configs.iter().any(|(name, _)| *name == EMBEDDED_PROCESSOR);
    match path.is_file() && !is_replaced {
        true => Err(ConvertError::StaleProcessor { path }),
        false => Ok(()),
    }
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
    let info = TensorInfo {
        name: format!("{prefix}{name}"),
        dtype: entry.info.dtype,
        shape: layout.stored_shape(&entry.info.shape, dialect),
    };
    Ok(entry.rearranged(info, layout.axes_to_stored()))
}

/// The weights under their usual name in a folder, and as shards where transformers has them. The file that opens them
/// is the last.
fn stage_weights(
    folder: &Path,
    target: Target,
    entries: Vec<Entry<'_>>,
    config: &BitConfig,
    options: &ConvertOptions<'_>,
    processor: Option<&ImageProcessorConfig>,
) -> Result<Vec<Staged>> {
    if target == Target::Transformers {
        let limit = options.max_shard_bytes.unwrap_or(MAX_SHARD_BYTES);
        return stage_shards(folder, entries, &pytorch_metadata(), limit);
    }
    // Nobody reads ONNX here.
    if target != Target::Onnx {
        refuse_shadowed(folder, target.file_name())?;
    }
    let path = folder.join(target.file_name());
    stage_file(&path, target, entries, config, options, processor)
}

fn stage_file(
    path: &Path,
    target: Target,
    entries: Vec<Entry<'_>>,
    config: &BitConfig,
    options: &ConvertOptions<'_>,
    processor: Option<&ImageProcessorConfig>,
) -> Result<Vec<Staged>> {
    let staged = match target {
        Target::Transformers | Target::Timm => stage_safetensors(path, entries, &pytorch_metadata())?,
        Target::Pytorch => stage_pytorch(path, entries)?,
        Target::Google => stage_npz(path, entries)?,
        Target::Burnpack => stage_burnpack(path, entries, &embedded(config, processor))?,
        Target::Onnx => {
            let limit = options.max_shard_bytes.unwrap_or(u64::MAX);
            let metadata = embedded(config, processor);
            return stage_onnx(path, entries, config, options.dtype, &metadata, limit);
        }
    };
    Ok(vec![staged])
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
