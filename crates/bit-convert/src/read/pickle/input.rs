//! The bytes of a pickle, never more than [`MAX_PICKLE`].

use super::MAX_PICKLE;
use crate::error::{ConvertError, Result};
use std::io::{BufRead, ErrorKind, Read};
use std::path::Path;

/// The rest of it, and how much has been read.
pub(super) struct Input<'a, R> {
    pub(super) reader: &'a mut R,
    pub(super) position: u64,
    pub(super) path: &'a Path,
}

impl<R: BufRead> Input<'_, R> {
    pub(super) fn fail(&self, reason: impl Into<String>) -> ConvertError {
        ConvertError::malformed(self.path, format!("pickle at byte {}", self.position), reason)
    }

    pub(super) fn bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        if len > MAX_PICKLE - self.position {
            return Err(self.too_long());
        }
        // Grows with the bytes that are there, not with the length that is claimed.
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(len).read_to_end(&mut bytes);
        read.map_err(ConvertError::io(self.path, "read"))?;
        if bytes.len() as u64 != len {
            return Err(self.fail(format!("ends {} bytes too early", len - bytes.len() as u64)));
        }
        self.position += len;
        Ok(bytes)
    }

    /// As [`bytes`](Self::bytes), for the few that an opcode has: nothing is allocated.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.position += N as u64;
        if self.position > MAX_PICKLE {
            return Err(self.too_long());
        }
        let mut array = [0; N];
        match self.reader.read_exact(&mut array) {
            Ok(()) => Ok(array),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(self.fail("ends too early")),
            Err(error) => Err(ConvertError::io(self.path, "read")(error)),
        }
    }

    fn too_long(&self) -> ConvertError {
        self.fail(format!(
            "is longer than {MAX_PICKLE} bytes, more than any state dict needs"
        ))
    }

    pub(super) fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        loop {
            match self.array::<1>()? {
                [b'\n'] => return self.text(line),
                [byte] => line.push(byte),
            }
        }
    }

    pub(super) fn text(&self, bytes: Vec<u8>) -> Result<String> {
        String::from_utf8(bytes).map_err(|_| self.fail("a string is not UTF-8"))
    }
}
