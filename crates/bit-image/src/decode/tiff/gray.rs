//! A file whose picture is called gray.

use std::io::{self, Read, Seek, SeekFrom};

use ::tiff::tags::Tag;

use super::super::directory::Directory;
use super::super::progress::Tracked;

/// `PhotometricInterpretation` for grays that start at black: the decoder hands out their values as they are.
const BLACK_IS_ZERO: u8 = 1;

/// Reads a file as it is, except for the byte that says what its samples mean.
pub(super) struct CalledGray<'a> {
    file: Tracked<'a>,
    place: Option<u64>,
}

impl<'a> CalledGray<'a> {
    pub(super) fn new(file: Tracked<'a>, directory: &Directory<'_>) -> Self {
        let field = directory.field(Tag::PhotometricInterpretation.to_u16());
        Self {
            file,
            place: field.map(|field| field.low_byte() as u64),
        }
    }
}

impl Read for CalledGray<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let start = self.file.position();
        let read = self.file.read(out)?;
        let place = self.place.and_then(|place| place.checked_sub(start));
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| out[..read].get_mut(place)) {
            *byte = BLACK_IS_ZERO;
        }
        Ok(read)
    }
}

impl Seek for CalledGray<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
