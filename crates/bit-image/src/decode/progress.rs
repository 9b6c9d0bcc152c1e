//! Bytes of a file that remember how far a decoder has read them.

use std::cell::Cell;
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

use crate::ImageError;

/// How far a file has been read.
#[derive(Debug, Default)]
pub(super) struct Progress(Cell<u64>);

impl Progress {
    /// A reader of a file's bytes that reports here.
    pub(super) fn reader<'a>(&'a self, bytes: &'a [u8]) -> Tracked<'a> {
        Tracked {
            bytes: Cursor::new(bytes),
            progress: self,
        }
    }

    /// A decoder's error, with the byte that it had reached.
    pub(super) fn error(&self, format: &'static str, error: impl ToString) -> ImageError {
        ImageError::Decode {
            format,
            message: error.to_string(),
            offset: Some(self.0.get()),
        }
    }
}

/// See [`Progress::reader`].
#[derive(Debug)]
pub(super) struct Tracked<'a> {
    bytes: Cursor<&'a [u8]>,
    progress: &'a Progress,
}

impl Tracked<'_> {
    /// The byte that is read next.
    pub(super) fn position(&self) -> u64 {
        self.bytes.position()
    }

    fn report(&self) {
        // A seek may lead beyond the end.
        let end = self.bytes.get_ref().len() as u64;
        self.progress.0.set(self.position().min(end));
    }
}

impl Read for Tracked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(out);
        self.report();
        read
    }
}

impl BufRead for Tracked<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.bytes.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.bytes.consume(amount);
        self.report();
    }
}

impl Seek for Tracked<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = self.bytes.seek(to);
        self.report();
        position
    }
}
