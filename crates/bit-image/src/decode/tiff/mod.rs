//! TIFF: its first page in Pillow's modes, turned upright as Pillow does when it loads one.
//!
//! | file | holds |
//! |---|---|
//! | `form.rs` | what stored samples mean, and the samples of Pillow's mode |
//! | `gray.rs` | the file with its picture called gray |
//!
//! The `tiff` crate is told that every picture is gray, so that it hands out the stored values and nothing else: what
//! they mean is decided here, as in Pillow's table `OPEN_INFO`. Modes "I" and "F" of Pillow are clipped to bytes at
//! once, which shows only when nothing is converted to RGB.

mod form;
mod gray;

use std::borrow::Cow;

use ::tiff::TiffError;
use ::tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use ::tiff::tags::Tag;
use image::metadata::Orientation;

use self::form::{Form, Stored};
use self::gray::CalledGray;
use super::directory::Directory;
use super::exif::Metadata;
use super::progress::Progress;
use super::{Limits, Turns};
use crate::orient::Turn;
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture, ProcessorKind};

/// No side of a tile may be longer: a row of one is kept in memory, whatever the picture's size.
const MAX_TILE_SIDE: u64 = 1 << 16;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let directory = Directory::first(bytes).ok_or_else(|| ends(bytes))?;
    let side = |tag| number(&directory, tag).ok_or_else(|| error(format!("the page has no {tag:?}")));
    let size = limits.check(side(Tag::ImageWidth)?, side(Tag::ImageLength)?)?;
    let tile = [Tag::TileWidth, Tag::TileLength].map(|tag| number(&directory, tag));
    if tile.into_iter().flatten().any(|side| side > MAX_TILE_SIDE) {
        return Err(error(format!("a side of a tile is longer than {MAX_TILE_SIDE}")));
    }
    let form = Stored::new(&directory).form().map_err(error)?;
    let values = read(bytes, &directory, size, &form)?;
    let samples = form.samples(size, values).map_err(error)?;
    let mut picture = upright(size, form.mode, samples, bytes, &directory);
    if form.mode == Mode::P {
        picture.palette = palette(&directory).ok_or_else(|| error("the page has no ColorMap"))?;
    }
    Ok(picture)
}

/// A file whose first directory lies outside of it.
fn ends(bytes: &[u8]) -> ImageError {
    ImageError::Decode {
        format: "TIFF",
        message: "the file ends before its first directory".into(),
        offset: Some(bytes.len() as u64),
    }
}

/// The stored values of all pixels; where each band has its own plane, plane after plane.
fn read(
    bytes: &[u8],
    directory: &Directory<'_>,
    (width, height): (usize, usize),
    form: &Form,
) -> Result<DecodingResult, ImageError> {
    let progress = Progress::default();
    let error = |error| match error {
        TiffError::UnsupportedError(kind) => self::error(kind),
        error => progress.error("TIFF", error),
    };
    let reader = CalledGray::new(progress.reader(bytes), directory);
    // Tags are read below the decoder's own limits, pixels below what the picture needs.
    let mut decoder = Decoder::new(reader).map_err(error)?;
    let right = (width as u32, height as u32);
    if decoder.dimensions().map_err(error)? != right {
        return Err(ImageError::decode("TIFF", "the page has two sizes"));
    }
    let mut limits = TiffLimits::default();
    limits.decoding_buffer_size = form.row_bytes(width).saturating_mul(height);
    limits.intermediate_buffer_size = limits.intermediate_buffer_size.max(bytes.len());
    let mut values = DecodingResult::U8(Vec::new());
    let mut decoder = decoder.with_limits(limits);
    decoder.read_image_to_buffer(&mut values).map_err(error)?;
    Ok(values)
}

/// Turned as Pillow turns a page when it is loaded: by its own directory, or by XMP where that says nothing.
fn upright(
    (width, height): (usize, usize),
    mode: Mode,
    samples: Samples,
    bytes: &[u8],
    directory: &Directory<'_>,
) -> Picture {
    const XMP: u16 = 700;
    let turns = Turns::new(&Metadata {
        exif: Some(Cow::Borrowed(bytes)),
        xmp: directory.field(XMP).map(|field| Cow::Borrowed(field.value)),
        for_torchvision: None,
    });
    let orientation = turns.of_kind(ProcessorKind::Pil);
    if orientation == Orientation::NoTransforms {
        return Picture::new(width, height, mode, samples);
    }
    let turn = Turn::new(orientation, height, width, mode.channels());
    let samples = match samples {
        Samples::Bytes(bytes) => Samples::Bytes(turn.apply(&bytes)),
        Samples::Words(words) => Samples::Words(turn.apply(&words)),
    };
    let (height, width) = turn.size();
    Picture::new(width, height, mode, samples)
}

/// All reds, all greens, all blues, of which Pillow keeps the high bytes.
fn palette(directory: &Directory<'_>) -> Option<Vec<[u8; 4]>> {
    let high = |value: u64| (value >> 8) as u8;
    let colours: Vec<u8> = directory.numbers(Tag::ColorMap.to_u16()).map(high).collect();
    let third = colours.len() / 3;
    let [reds, greens, blues] = [0, 1, 2].map(|c| &colours[c * third..][..third]);
    let colours = reds.iter().zip(greens).zip(blues);
    (third > 0).then(|| colours.map(|((&r, &g), &b)| [r, g, b, 255]).collect())
}

fn number(directory: &Directory<'_>, tag: Tag) -> Option<u64> {
    directory.number(tag.to_u16())
}

fn error(error: impl ToString) -> ImageError {
    ImageError::decode("TIFF", error)
}
