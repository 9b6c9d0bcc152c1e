//! Writing a folder that transformers reads.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use bit_config::{BitConfig, ImageProcessorConfig};
use bit_convert::{
    DType as StoredDType, Entry, MAX_SHARD_BYTES, TensorInfo, write_safetensors_shards, write_text,
};
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
/// When a file cannot be written, or the model needs shards and the folder holds a `model.safetensors`, which would be
/// read instead of them.
pub fn save_pretrained<M: PretrainedModel>(
    model: &M,
    config: &BitConfig,
    processor: Option<&ImageProcessorConfig>,
    folder: &Path,
) -> Result<(), PretrainedError> {
    std::fs::create_dir_all(folder).map_err(|source| PretrainedError::Io {
        path: folder.to_path_buf(),
        action: "create",
        source,
    })?;
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
    Ok(write_text(&folder.join("config.json"), &config.to_json())?)
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
