//! TensorBoard event files: records of protocol buffers, framed as TensorFlow's `TFRecord`.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::TransferError;

/// Writes scalars that TensorBoard draws.
pub(crate) struct EventWriter {
    file: BufWriter<File>,
    path: PathBuf,
}

impl EventWriter {
    /// Starts a file of its own in `folder`, whose readers forget what older files hold from `first_step` on.
    pub fn new(folder: &Path, first_step: usize) -> Result<Self, TransferError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("events.out.tfevents.{:010}.{}", now.as_secs(), std::process::id());
        let path = folder.join(name);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(&path);
        let mut writer = Self {
            file: BufWriter::new(file.map_err(TransferError::io(&path, "create"))?),
            path,
        };
        writer.write(&[(3, Field::Bytes(b"brain.Event:2"))], 0)?;
        // A session's start: SessionLog { status: START }.
        let mut session = Vec::new();
        Field::Integer(1).encode(1, &mut session);
        writer.write(&[(7, Field::Bytes(&session))], first_step)?;
        Ok(writer)
    }

    /// Adds the values of a step, each under its tag.
    pub fn scalars(&mut self, step: usize, values: &[(&str, f64)]) -> Result<(), TransferError> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            let mut entry = Vec::new();
            Field::Bytes(tag.as_bytes()).encode(1, &mut entry);
            Field::Float(*value as f32).encode(2, &mut entry);
            Field::Bytes(&entry).encode(1, &mut summary);
        }
        self.write(&[(5, Field::Bytes(&summary))], step)?;
        self.file.flush().map_err(TransferError::io(&self.path, "write"))
    }

    fn write(&mut self, fields: &[(u8, Field<'_>)], step: usize) -> Result<(), TransferError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = Vec::new();
        Field::Double(now.as_secs_f64()).encode(1, &mut event);
        Field::Integer(step as u64).encode(2, &mut event);
        for (number, field) in fields {
            field.encode(*number, &mut event);
        }
        self.file
            .write_all(&record(&event))
            .map_err(TransferError::io(&self.path, "write"))
    }
}

/// Length, checksum, content, checksum.
fn record(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked_checksum(&length),
        content,
        &masked_checksum(content),
    ]
    .concat()
}

/// TensorFlow rotates and shifts its CRC-32C, so that a checksum of data with checksums inside stays useful.
fn masked_checksum(bytes: &[u8]) -> [u8; 4] {
    let checksum = crc32c::crc32c(bytes);
    checksum.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A protocol buffer's value.
enum Field<'a> {
    Integer(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl Field<'_> {
    /// Appends the field with its number, which is below 16.
    fn encode(&self, number: u8, out: &mut Vec<u8>) {
        let (wire, bytes) = match self {
            Self::Integer(value) => (0, variable_length(*value)),
            Self::Double(value) => (1, value.to_le_bytes().to_vec()),
            Self::Bytes(bytes) => (2, [&variable_length(bytes.len() as u64), *bytes].concat()),
            Self::Float(value) => (5, value.to_le_bytes().to_vec()),
        };
        out.push(number << 3 | wire);
        out.extend(bytes);
    }
}

fn variable_length(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_is_framed_as_tensorflow_frames_it() {
        // The first record of every file, with wall time 0, as TensorFlow's RecordWriter writes it.
        let mut event = Vec::new();
        Field::Double(0.0).encode(1, &mut event);
        Field::Bytes(b"brain.Event:2").encode(3, &mut event);
        let framed = record(&event);
        assert_eq!(framed[..8], 24_u64.to_le_bytes());
        assert_eq!(framed.len(), 8 + 4 + 24 + 4);
        // The masked checksum of the length 24, from any file that TensorBoard wrote.
        assert_eq!(framed[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
    }

    #[test]
    fn numbers_of_any_size_are_encoded_in_groups_of_seven_bits() {
        assert_eq!(variable_length(0), [0]);
        assert_eq!(variable_length(300), [0xac, 0x02]);
        assert_eq!(variable_length(u64::MAX).len(), 10);
    }

    #[test]
    fn a_file_holds_its_version_its_start_and_its_scalars() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::new(folder.path(), 7).unwrap();
        writer
            .scalars(8, &[("train/loss", 0.5), ("train/rate", 0.25)])
            .unwrap();
        let path = std::fs::read_dir(folder.path())
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.as_slice();
        let mut contents = Vec::new();
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            contents.push(&rest[12..12 + length]);
            assert_eq!(
                rest[12 + length..16 + length],
                masked_checksum(contents.last().unwrap())
            );
            rest = &rest[16 + length..];
        }
        assert_eq!(contents.len(), 3);
        assert!(contents[0].ends_with(b"brain.Event:2"));
        assert!(contents[1].ends_with(&[7 << 3 | 2, 2, 8, 1]));
        assert!(contents[2].windows(10).any(|bytes| bytes == b"train/loss"));
        assert!(contents[2].ends_with(&0.25_f32.to_le_bytes()));
    }
}
