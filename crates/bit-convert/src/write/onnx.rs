//! Writing ONNX: the whole network, with standardized kernels, for any batch and image size.
//!
//! The file is a few protocol-buffer messages, small ones in memory and the tensors streamed into their places. Files
//! above protobuf's limit of 2 GB keep their tensors in a second file, as the format provides for.

mod activation;
mod graph;
mod network;
mod proto;

use super::safetensors::reject_duplicates;
use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::stage::{Staged, publish, stage};
use crate::tensor::{DType, TensorInfo};
use bit_config::BitConfig;
use graph::{Graph, onnx_type};
use proto::Message;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The operator set the graph is written in.
pub const ONNX_OPSET: u64 = 17;
/// The ONNX release of that operator set: IR version 8.
const IR_VERSION: u64 = 8;
/// Above this the tensors go into a file of their own; protobuf stops at 2^31 bytes.
const MAX_INLINE_BYTES: u64 = 1_900_000_000;

/// Writes `pixel_values [batch, channels, height, width] -> logits [batch, classes]` (and `pooler_output`, which is
/// the only output of a network without classifier), all axes of the input but the channels free.
///
/// `entries` are transformers' parameters of `config`. Kernels are standardized in f64 on the way, so the graph holds
/// plain convolutions. Tensors are stored as `dtype` (or as they are) and computed with in f32. `metadata` becomes
/// `metadata_props`. More than 1.9 GB of tensors go to `FILE.data` beside the file. Returns the files written, the graph
/// last.
///
/// # Errors
///
/// As [`write_safetensors`](crate::write_safetensors), and when an activation has no ONNX form here.
pub fn write_onnx(
    path: &Path,
    entries: Vec<Entry<'_>>,
    config: &BitConfig,
    dtype: Option<DType>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<PathBuf>> {
    publish(stage_onnx(
        path,
        entries,
        config,
        dtype,
        metadata,
        MAX_INLINE_BYTES,
    )?)
}

/// The files before they have their names, the graph last, and tensors of more than `max_bytes` (and 1.9 GB at most) in
/// one of their own.
pub(crate) fn stage_onnx(
    path: &Path,
    entries: Vec<Entry<'_>>,
    config: &BitConfig,
    dtype: Option<DType>,
    metadata: &BTreeMap<String, String>,
    max_bytes: u64,
) -> Result<Vec<Staged>> {
    reject_duplicates(path, &entries)?;
    let entries: Vec<_> = entries.into_iter().map(|entry| prepare(entry, dtype)).collect();
    let total: u64 = entries.iter().map(|entry| entry.info.byte_len() as u64).sum();
    let graph = network::build(config, entries.iter().map(|entry| &entry.info)).map_err(|reason| {
        ConvertError::Unwritable {
            path: path.to_path_buf(),
            format: "ONNX",
            reason,
        }
    })?;
    if total > max_bytes.min(MAX_INLINE_BYTES) {
        return write_external(path, entries, graph, metadata);
    }
    let headers: Vec<_> = entries.iter().map(|entry| inline_header(&entry.info)).collect();
    let records: u64 = entries
        .iter()
        .zip(&headers)
        .map(|(e, header)| record_len(header, &e.info))
        .sum();
    let model = stage(path, |writer| {
        let failed = |e| ConvertError::io(path, "write")(e);
        writer.write_all(&model_head(metadata)).map_err(failed)?;
        let graph = graph.into_bytes();
        writer
            .write_all(&proto::length_prefix(7, graph.len() as u64 + records))
            .map_err(failed)?;
        writer.write_all(&graph).map_err(failed)?;
        for (entry, header) in entries.into_iter().zip(headers) {
            let len = header.len() + entry.info.byte_len();
            writer
                .write_all(&proto::length_prefix(5, len as u64))
                .map_err(failed)?;
            writer.write_all(&header).map_err(failed)?;
            entry.write_to(path, writer)?;
        }
        Ok(())
    })?;
    Ok(vec![model])
}

/// Folds the standardization into kernels and gives every tensor its shape and type in the graph.
fn prepare(entry: Entry<'_>, dtype: Option<DType>) -> Entry<'_> {
    let stored = match dtype.unwrap_or(entry.info.dtype) {
        DType::F64 => DType::F32,
        dtype => dtype,
    };
    let entry = match entry.info.shape.len() {
        4 => entry.standardized(),
        1 if entry.info.name.contains("norm") => {
            let shape = vec![entry.info.shape[0], 1, 1]; // broadcasts over height and width
            let info = TensorInfo {
                shape,
                ..entry.info.clone()
            };
            entry.rearranged(info, None)
        }
        _ => entry,
    };
    entry.cast(stored)
}

/// `ModelProto` up to its graph.
fn model_head(metadata: &BTreeMap<String, String>) -> Vec<u8> {
    let mut opset = Message::default();
    opset.text(1, "").int(2, ONNX_OPSET);
    let mut model = Message::default();
    model
        .int(1, IR_VERSION)
        .text(2, "bit-burn")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(8, &opset);
    for (key, value) in metadata {
        model.message(14, &entry_message(key, value));
    }
    model.into_bytes()
}

/// `StringStringEntryProto`.
fn entry_message(key: &str, value: &str) -> Message {
    let mut entry = Message::default();
    entry.text(1, key).text(2, value);
    entry
}

/// `TensorProto` without its data.
fn tensor_head(info: &TensorInfo) -> Message {
    let mut tensor = Message::default();
    for &dim in &info.shape {
        tensor.int(1, dim as u64);
    }
    tensor.int(2, onnx_type(info.dtype)).text(8, &info.name);
    tensor
}

/// `TensorProto` up to the bytes of its `raw_data`.
fn inline_header(info: &TensorInfo) -> Vec<u8> {
    let mut bytes = tensor_head(info).into_bytes();
    bytes.extend_from_slice(&proto::length_prefix(9, info.byte_len() as u64));
    bytes
}

/// Bytes of a whole `TensorProto` as a field of the graph.
fn record_len(header: &[u8], info: &TensorInfo) -> u64 {
    let len = (header.len() + info.byte_len()) as u64;
    proto::length_prefix(5, len).len() as u64 + len
}

/// `FILE.data` with the tensors and `FILE` with references to it.
fn write_external(
    path: &Path,
    entries: Vec<Entry<'_>>,
    mut graph: Graph,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<Staged>> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("model.onnx");
    let data_name = format!("{name}.data");
    let data_path = path.with_file_name(&data_name);
    let mut offset = 0;
    for entry in &entries {
        let len = entry.info.byte_len();
        let mut tensor = tensor_head(&entry.info);
        for (key, value) in [
            ("location", data_name.clone()),
            ("offset", offset.to_string()),
            ("length", len.to_string()),
        ] {
            tensor.message(13, &entry_message(key, &value));
        }
        tensor.int(14, 1); // EXTERNAL
        graph.initializer(&tensor);
        offset += len;
    }
    let data = stage(&data_path, |writer| {
        for entry in entries {
            entry.write_to(&data_path, writer)?;
        }
        Ok(())
    })?;
    let model = stage(path, |writer| {
        let graph = graph.into_bytes();
        for bytes in [
            model_head(metadata),
            proto::length_prefix(7, graph.len() as u64),
            graph,
        ] {
            writer
                .write_all(&bytes)
                .map_err(ConvertError::io(path, "write"))?;
        }
        Ok(())
    })?;
    Ok(vec![data, model])
}
