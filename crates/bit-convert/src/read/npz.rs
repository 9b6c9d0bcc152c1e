//! NumPy archives: a zip of arrays, stored or compressed.

use super::Source;
use super::npy::{self, NpyHeader};
use super::zipped::{Archive, Member};
use crate::elements::Elements;
use crate::error::{ConvertError, Result};
use crate::tensor::TensorInfo;

/// Largest compressed array that is unpacked. The largest tensor of the zoo, R152x4's head for 21,843 classes, has
/// 716 MB; a deflated megabyte of zeros could claim a thousand times its size.
pub(crate) const MAX_INFLATED_TENSOR: u64 = 1 << 30;

/// A NumPy archive whose arrays' headers have been read.
#[derive(Debug)]
pub(crate) struct NpzFile {
    archive: Archive,
    tensors: Vec<TensorInfo>,
    arrays: Vec<(Member, NpyHeader)>,
}

impl NpzFile {
    pub(crate) fn open(archive: Archive) -> Result<Self> {
        let mut tensors = Vec::new();
        let mut arrays = Vec::new();
        for member in archive.members() {
            let Some(name) = member.name.strip_suffix(".npy") else {
                continue;
            };
            let (info, header) = check(&archive, member, name)?;
            tensors.push(info);
            arrays.push((member.clone(), header));
        }
        Ok(Self {
            archive,
            tensors,
            arrays,
        })
    }
}

fn check(archive: &Archive, member: &Member, name: &str) -> Result<(TensorInfo, NpyHeader)> {
    let path = archive.file().path();
    let place = format!("tensor `{name}`");
    let head = archive.read(member, 0, member.size.min(npy::MAX_LEN as u64) as usize, &place)?;
    let header = NpyHeader::parse(&head).map_err(|reason| ConvertError::tensor(path, name, reason))?;
    let info = TensorInfo {
        name: name.to_owned(),
        dtype: header.dtype,
        shape: header.shape.clone(),
    };
    let expected = info.checked_byte_len(path)? as u64;
    let held = member.size - header.len as u64;
    if held != expected {
        let reason = format!(
            "has {held} bytes, expected {expected} for {:?} {}",
            info.shape, info.dtype
        );
        return Err(ConvertError::tensor(path, name, reason));
    }
    if member.stored_at.is_none() && member.size > MAX_INFLATED_TENSOR {
        let reason = format!(
            "would unpack to {} bytes, above the limit of {MAX_INFLATED_TENSOR} for compressed arrays",
            member.size
        );
        return Err(ConvertError::tensor(path, name, reason));
    }
    Ok((info, header))
}

impl Source for NpzFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn elements(&self, index: usize) -> Result<Elements<'static>> {
        let (info, (member, header)) = (&self.tensors[index], &self.arrays[index]);
        let place = format!("tensor `{}`", info.name);
        let mut bytes = self.archive.read(member, 0, member.size as usize, &place)?;
        bytes.drain(..header.len);
        if !header.fortran_order {
            return Ok(Elements::row_major(bytes, info.dtype, &info.shape));
        }
        let axes: Vec<_> = (0..info.shape.len()).rev().collect();
        let stored: Vec<_> = axes.iter().map(|&axis| info.shape[axis]).collect();
        Ok(Elements::row_major(bytes, info.dtype, &stored).permuted(&axes))
    }
}
