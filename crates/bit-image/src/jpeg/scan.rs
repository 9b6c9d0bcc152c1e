//! The coded bytes of a scan: without stuffing, and in one piece between two restart markers.

use super::huffman::Reader;

/// Bytes that are copied at a time while none of them is `FF`.
const CHUNK: usize = 32;

/// The bytes of a scan.
#[derive(Debug, Default)]
pub(super) struct Scan {
    data: Vec<u8>,
    /// Where each restart interval ends in `data`.
    ends: Vec<usize>,
}

impl Scan {
    /// Takes the bytes up to the end of the picture; `None` when another marker than the expected ones comes first.
    pub(super) fn read(&mut self, mut rest: &[u8]) -> Option<()> {
        self.data.clear();
        self.ends.clear();
        self.data.reserve(rest.len() + Reader::SLACK);
        loop {
            while let Some((chunk, tail)) = rest.split_first_chunk::<CHUNK>() {
                // No early exit, so that the comparison is one of vectors.
                if chunk.iter().fold(false, |found, &byte| found | (byte == 0xFF)) {
                    break;
                }
                self.data.extend_from_slice(chunk);
                rest = tail;
            }
            let at = rest.iter().position(|&byte| byte == 0xFF)?;
            self.data.extend_from_slice(&rest[..at]);
            match *rest.get(at + 1)? {
                0 => self.data.push(0xFF),
                marker @ 0xD0..=0xD7 if usize::from(marker & 7) == self.ends.len() % 8 => {
                    self.ends.push(self.data.len());
                }
                0xD9 => break,
                _ => return None,
            }
            rest = &rest[at + 2..];
        }
        self.ends.push(self.data.len());
        self.data.resize(self.data.len() + Reader::SLACK, 0);
        Some(())
    }

    /// A reader of the first restart interval.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(&self.data, 0)
    }

    /// A reader of the interval after `done` others, of which `reader` has read the last one: exactly all of it.
    pub(super) fn after(&self, done: usize, reader: &Reader<'_>) -> Option<Reader<'_>> {
        let end = *self.ends.get(done.checked_sub(1)?)?;
        (reader.end() == end).then(|| Reader::new(&self.data, end))
    }

    /// True when `reader` has read exactly the last of `intervals` intervals.
    pub(super) fn is_read(&self, intervals: usize, reader: &Reader<'_>) -> bool {
        self.ends.len() == intervals && self.ends.last() == Some(&reader.end())
    }
}
