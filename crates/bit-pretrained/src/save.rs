//! Writing a folder that transformers reads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use bit_config::{BitConfig, ImageProcessorConfig};
use bit_convert::{DType as StoredDType, Entry, MAX_SHARD_BYTES, TensorInfo, write_safetensors_shards};
use bit_model::{NamedParameter, named_parameters};
use burn::tensor::DType;

use crate::architecture::PretrainedModel;
use crate::error::PretrainedError;

/// Writes `model.safetensors` (in shards above 5 GB), `preprocessor_config.json` and `config.json`.
///
/// Each file appears whole or not at all, and `config.json` last: a folder that has one is complete.
///
/// # Errors
///
/// When a file cannot be written.
pub fn save_pretrained<M: PretrainedModel>(
    model: &M,
    config: &BitConfig,
    processor: Option<&ImageProcessorConfig>,
    folder: &Path,
) -> Result<(), PretrainedError> {
    std::fs::create_dir_all(folder).map_err(|source| io(folder, "create", source))?;
    let parameters = named_parameters(model);
    let mut config = config.clone();
    config.dtype = parameters
        .first()
        .map(|parameter| stored_dtype(parameter.dtype).torch_name().to_owned());
    config
        .extra
        .insert("architectures".to_owned(), serde_json::json!([M::ARCHITECTURE]));
    let entries = parameters.into_iter().map(entry).collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    write_safetensors_shards(folder, entries, &metadata, MAX_SHARD_BYTES)?;
    if let Some(processor) = processor {
        write_text(&folder.join("preprocessor_config.json"), &processor.to_json())?;
    }
    write_text(&folder.join("config.json"), &config.to_json())
}

fn entry(parameter: NamedParameter) -> Entry<'static> {
    let info = TensorInfo {
        name: parameter.name.clone(),
        dtype: stored_dtype(parameter.dtype),
        shape: parameter.shape.clone(),
    };
    Entry::new(info, || {
        Ok(Cow::Owned(parameter.into_data().into_bytes().to_vec()))
    })
}

fn stored_dtype(dtype: DType) -> StoredDType {
    match dtype {
        DType::F64 => StoredDType::F64,
        DType::F16 => StoredDType::F16,
        DType::BF16 => StoredDType::BF16,
        _ => StoredDType::F32,
    }
}

/// Writes a file that appears whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), PretrainedError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as any new file
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|source| io(path, "write", source))
}

fn io(path: &Path, action: &'static str, source: std::io::Error) -> PretrainedError {
    PretrainedError::Io {
        path: path.to_path_buf(),
        action,
        source,
    }
}
