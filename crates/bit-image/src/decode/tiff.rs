//! TIFF: its first page, turned upright as Pillow does when it loads one.
//!
//! Whole numbers and floats of more than 16 bits, modes "I" and "F" of Pillow, are clipped to bytes at once, which shows
//! only when nothing is converted to RGB.

use std::io::Cursor;

use ::tiff::ColorType;
use ::tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use ::tiff::tags::Tag;
use image::codecs::tiff::TiffDecoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder};

use super::Limits;
use crate::orient::Turn;
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture};

/// The values of `PhotometricInterpretation` for grays and for indices of a palette.
const GRAY: u16 = 1;
const PALETTE: u16 = 3;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    if let Some(indices) = as_gray(bytes) {
        return palette(bytes, &indices, limits);
    }
    match unusual(bytes, limits)? {
        Some(picture) => Ok(picture),
        None => usual(bytes, limits),
    }
}

/// What the `image` crate decodes as Pillow does.
fn usual(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let mut decoder = TiffDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let orientation = decoder.orientation().map_err(error)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
    image.apply_orientation(orientation);
    Ok(Picture::from(image))
}

/// Inks, which the `image` crate would turn into RGB by another rule than Pillow's, and what it does not know.
fn unusual(bytes: &[u8], limits: &Limits) -> Result<Option<Picture>, ImageError> {
    let mut decoder = decoder(bytes)?;
    let mode = match decoder.colortype() {
        Ok(ColorType::CMYK(8)) => Mode::Cmyk,
        Ok(ColorType::Multiband {
            bit_depth: 8,
            num_samples: 2,
        }) => Mode::La,
        Ok(ColorType::Gray(32)) => Mode::L,
        _ => return Ok(None),
    };
    let (width, height) = decoder.dimensions().map_err(error)?;
    let (width, height) = limits.check(width.into(), height.into())?;
    let orientation = orientation(&mut decoder);
    let samples = match decoder.read_image().map_err(error)? {
        DecodingResult::U8(bytes) => bytes,
        DecodingResult::I32(values) => values
            .into_iter()
            .map(|value| value.clamp(0, 255) as u8)
            .collect(),
        // A cast of a float cuts off and clips.
        DecodingResult::F32(values) => values.into_iter().map(|value| value as u8).collect(),
        _ => return Ok(None),
    };
    upright(width, height, mode, samples, orientation).map(Some)
}

/// Mode "P": the indices are read from a copy of the file that calls them grays.
fn palette(bytes: &[u8], indices: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let colours = decoder(bytes)?.get_tag_u16_vec(Tag::ColorMap).map_err(error)?;
    let mut decoder = decoder(indices)?;
    let (width, height) = decoder.dimensions().map_err(error)?;
    let (width, height) = limits.check(width.into(), height.into())?;
    let orientation = orientation(&mut decoder);
    let (ColorType::Gray(8), DecodingResult::U8(samples)) = (
        decoder.colortype().map_err(error)?,
        decoder.read_image().map_err(error)?,
    ) else {
        return Err(error(
            "palettes with alpha or of another depth than 8 bits are not supported",
        ));
    };
    let mut picture = upright(width, height, Mode::P, samples, orientation)?;
    let third = colours.len() / 3;
    let colour = |i: usize| [0, 1, 2].map(|c| (colours[c * third + i] >> 8) as u8);
    picture.palette = (0..third).map(colour).map(|[r, g, b]| [r, g, b, 255]).collect();
    Ok(picture)
}

/// A copy of a file with a palette in which its indices are grays.
fn as_gray(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II");
    let word = |at: usize| {
        let word = *bytes.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(word)
        } else {
            u16::from_be_bytes(word)
        })
    };
    let offset = *bytes.get(4..)?.first_chunk()?;
    let start = if little {
        u32::from_le_bytes(offset)
    } else {
        u32::from_be_bytes(offset)
    } as usize;
    let entries = (0..usize::from(word(start)?)).map(|entry| start + 2 + 12 * entry);
    let tag = Tag::PhotometricInterpretation.to_u16();
    let value = entries.into_iter().find(|&entry| word(entry) == Some(tag))? + 8;
    if word(2)? != 42 || word(value)? != PALETTE {
        return None;
    }
    let mut copy = bytes.to_vec();
    let gray = if little {
        GRAY.to_le_bytes()
    } else {
        GRAY.to_be_bytes()
    };
    copy[value..value + 2].copy_from_slice(&gray);
    Some(copy)
}

fn decoder(bytes: &[u8]) -> Result<Decoder<Cursor<&[u8]>>, ImageError> {
    let decoder = Decoder::new(Cursor::new(bytes)).map_err(error)?;
    Ok(decoder.with_limits(TiffLimits::unlimited()))
}

fn orientation(decoder: &mut Decoder<Cursor<&[u8]>>) -> Orientation {
    let value = decoder.get_tag_unsigned::<u16>(Tag::Orientation).unwrap_or(1);
    let value = u8::try_from(value).ok().and_then(Orientation::from_exif);
    value.unwrap_or(Orientation::NoTransforms)
}

fn upright(
    width: usize,
    height: usize,
    mode: Mode,
    samples: Vec<u8>,
    orientation: Orientation,
) -> Result<Picture, ImageError> {
    if samples.len() != width * height * mode.channels() {
        let (found, right) = (samples.len(), width * height * mode.channels());
        return Err(error(format!("the picture has {found} values, not {right}")));
    }
    let turn = Turn::new(orientation, height, width, mode.channels());
    let (height, width) = turn.size();
    Ok(Picture::new(
        width,
        height,
        mode,
        Samples::Bytes(turn.apply(&samples)),
    ))
}

fn error(error: impl ToString) -> ImageError {
    ImageError::decode("TIFF", error)
}
