//! What a file is, told by its first bytes.

use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use crate::read::npz::NpzFile;
use crate::read::pytorch::{self, PytorchFile};
use crate::read::zipped::Archive;
use crate::read::{Source, burnpack, safetensors};
use std::fmt;
use std::path::Path;

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

/// Opens a file with the reader of its format.
pub(crate) fn open_file(file: DataFile) -> Result<(Format, Box<dyn Source>)> {
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
        return Ok((Format::Burnpack, Box::new(burnpack::open(file)?)));
    }
    if pytorch::recognises_legacy(&head) {
        return Ok((Format::PytorchLegacy, Box::new(PytorchFile::open_legacy(file)?)));
    }
    if safetensors::recognises(&head, file.len()) {
        return Ok((Format::Safetensors, Box::new(safetensors::open(file)?)));
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
