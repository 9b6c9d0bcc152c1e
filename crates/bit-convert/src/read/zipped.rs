//! Zip archives as tensors come in: members found by name, stored ones read at their offset.

use crate::error::{ConvertError, Result};
use crate::file::DataFile;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::{Mutex, PoisonError};
use zip::{CompressionMethod, ZipArchive, ZipReadOptions};

/// Most members of an archive; R152x4 has 459 tensors.
const MAX_MEMBERS: usize = 1 << 16;

/// What is allocated for a compressed member before its first byte is there.
const FIRST_CHUNK: usize = 4 << 20;

/// A member of the archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    /// Bytes once unpacked, as the archive claims.
    pub(crate) size: u64,
    /// Where the bytes are, when they are stored and not compressed.
    pub(crate) stored_at: Option<u64>,
    crc32: u32,
    index: usize,
}

/// An archive whose table of contents has been checked: no name twice, no two members over the same bytes.
#[derive(Debug)]
pub(crate) struct Archive {
    file: DataFile,
    members: Vec<Member>,
    by_name: HashMap<String, usize>,
    archive: Mutex<ZipArchive<BufReader<File>>>,
}

impl Archive {
    pub(crate) fn open(file: DataFile) -> Result<Self> {
        let broken =
            |e: zip::result::ZipError| ConvertError::malformed(file.path(), "zip directory", e.to_string());
        let mut archive = ZipArchive::new(BufReader::new(file.handle()?)).map_err(broken)?;
        if archive.has_overlapping_entries().map_err(broken)? {
            return Err(ConvertError::malformed(
                file.path(),
                "zip directory",
                "two members share the same bytes",
            ));
        }
        if archive.len() > MAX_MEMBERS {
            let reason = format!("has {} members, expected at most {MAX_MEMBERS}", archive.len());
            return Err(ConvertError::malformed(file.path(), "zip directory", reason));
        }
        let mut members = Vec::with_capacity(archive.len());
        for index in 0..archive.len() {
            // Refuses an archive in which a name occurs twice or local and central headers differ.
            let strict = ZipReadOptions::new().enforce_header_consistency(true);
            let entry = archive.by_index_with_options(index, strict).map_err(broken)?;
            let stored =
                entry.compression() == CompressionMethod::Stored && entry.compressed_size() == entry.size();
            members.push(Member {
                name: String::from_utf8_lossy(entry.name_raw()).into_owned(),
                size: entry.size(),
                stored_at: entry.data_start().filter(|_| stored),
                crc32: entry.crc32(),
                index,
            });
        }
        let by_name = members
            .iter()
            .enumerate()
            .map(|(index, member)| (member.name.clone(), index))
            .collect();
        Ok(Self {
            file,
            members,
            by_name,
            archive: Mutex::new(archive),
        })
    }

    pub(crate) fn file(&self) -> &DataFile {
        &self.file
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.by_name.get(name).map(|&index| &self.members[index])
    }

    /// Bytes `start..start + len` of a member. A whole stored member is checked against its checksum, unless that
    /// is 0, which `torch.save` writes when it was told not to compute one.
    pub(crate) fn read(&self, member: &Member, start: u64, len: usize, place: &str) -> Result<Vec<u8>> {
        let fits = start
            .checked_add(len as u64)
            .is_some_and(|end| end <= member.size);
        if !fits {
            let reason = format!(
                "needs bytes {start} to {} of member `{}`, which has {}",
                start.saturating_add(len as u64),
                member.name,
                member.size
            );
            return Err(ConvertError::malformed(self.file.path(), place, reason));
        }
        let Some(offset) = member.stored_at else {
            return self.inflate(member, start, len, place);
        };
        let bytes = self.file.read(offset.saturating_add(start), len, place)?;
        let checkable = len as u64 == member.size && member.crc32 != 0;
        if checkable && crc32fast::hash(&bytes) != member.crc32 {
            return Err(ConvertError::malformed(
                self.file.path(),
                place,
                "the bytes do not match their checksum",
            ));
        }
        Ok(bytes)
    }

    /// Unpacks a compressed member up to the end of the range; the buffer grows with the bytes that arrive.
    fn inflate(&self, member: &Member, start: u64, len: usize, place: &str) -> Result<Vec<u8>> {
        let broken =
            |e: &dyn std::fmt::Display| ConvertError::malformed(self.file.path(), place, e.to_string());
        let mut archive = self.archive.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entry = archive.by_index(member.index).map_err(|e| broken(&e))?;
        std::io::copy(&mut entry.by_ref().take(start), &mut std::io::sink()).map_err(|e| broken(&e))?;
        let mut bytes = Vec::with_capacity(len.min(FIRST_CHUNK));
        entry
            .by_ref()
            .take(len as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| broken(&e))?;
        // One read past the end makes the zip crate verify the checksum.
        let ends = start + len as u64 != member.size || entry.read(&mut [0]).map_err(|e| broken(&e))? == 0;
        if bytes.len() != len || !ends {
            return Err(broken(&format!(
                "member `{}` does not unpack to the {} bytes it claims",
                member.name, member.size
            )));
        }
        Ok(bytes)
    }
}
