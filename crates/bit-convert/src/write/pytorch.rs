//! Writing PyTorch's zip format, so that `torch.load(…, weights_only=True)` reads it.

use super::safetensors::reject_duplicates;
use super::zipped::ArchiveWriter;
use crate::entry::Entry;
use crate::error::{ConvertError, Result};
use crate::permute::row_major;
use crate::stage::{Staged, publish, stage};
use crate::tensor::{DType, TensorInfo};
use std::path::Path;

/// Writes a state dict as `torch.save` does.
///
/// # Errors
///
/// As [`write_safetensors`](crate::write_safetensors), and when a tensor's element type has no PyTorch storage.
pub fn write_pytorch(path: &Path, entries: Vec<Entry<'_>>) -> Result<()> {
    publish(vec![stage_pytorch(path, entries)?]).map(drop)
}

/// The file before it has its name.
pub(crate) fn stage_pytorch(path: &Path, entries: Vec<Entry<'_>>) -> Result<Staged> {
    reject_duplicates(path, &entries)?;
    let pickle = pickle(path, entries.iter().map(|entry| &entry.info))?;
    stage(path, |writer| {
        let mut archive = ArchiveWriter::new(path, writer);
        archive.add("archive/data.pkl", &pickle)?;
        archive.add("archive/byteorder", b"little")?;
        for (key, entry) in entries.into_iter().enumerate() {
            archive.add_tensor(&format!("archive/data/{key}"), &[], entry)?;
        }
        archive.add("archive/version", b"3\n")?;
        archive.finish()
    })
}

/// `OrderedDict` of `_rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())`, storages numbered in order.
fn pickle<'a>(path: &Path, tensors: impl Iterator<Item = &'a TensorInfo>) -> Result<Vec<u8>> {
    const EMPTY_ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = b"\x80\x02".to_vec();
    out.extend_from_slice(EMPTY_ORDERED_DICT);
    out.push(b'(');
    for (key, info) in tensors.enumerate() {
        let Some(storage) = storage(info.dtype) else {
            let reason = format!("element type {} has no PyTorch storage", info.dtype);
            return Err(ConvertError::tensor(path, &info.name, reason));
        };
        text(&mut out, &info.name);
        out.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend_from_slice(format!("ctorch\n{storage}\n").as_bytes());
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        int(&mut out, info.elements());
        out.extend_from_slice(b"tQ");
        int(&mut out, 0);
        tuple(&mut out, &info.shape);
        tuple(&mut out, &row_major(&info.shape));
        out.push(0x89); // requires_grad = False
        out.extend_from_slice(EMPTY_ORDERED_DICT);
        out.extend_from_slice(b"tR");
    }
    out.extend_from_slice(b"u.");
    Ok(out)
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn int(out: &mut Vec<u8>, value: usize) {
    match i32::try_from(value) {
        Ok(value) => {
            out.push(b'J');
            out.extend_from_slice(&value.to_le_bytes());
        }
        Err(_) => {
            out.extend_from_slice(&[0x8a, 8]); // LONG1 of eight bytes
            out.extend_from_slice(&(value as u64).to_le_bytes());
        }
    }
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    values.iter().for_each(|&value| int(out, value));
    out.push(b't');
}

fn storage(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F64 => "DoubleStorage",
        DType::F32 => "FloatStorage",
        DType::F16 => "HalfStorage",
        DType::BF16 => "BFloat16Storage",
        DType::I64 => "LongStorage",
        DType::I32 => "IntStorage",
        DType::I16 => "ShortStorage",
        DType::I8 => "CharStorage",
        DType::U8 => "ByteStorage",
        DType::Bool => "BoolStorage",
        DType::U64 | DType::U32 | DType::U16 => return None,
    })
}
