//! TIFF: its first page, turned upright as Pillow does when it loads one.

use std::io::Cursor;

use ::tiff::ColorType;
use ::tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use image::codecs::tiff::TiffDecoder;
use image::{DynamicImage, ImageDecoder};

use super::Limits;
use crate::orient::Turn;
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("TIFF", error);
    let mut decoder = TiffDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let size = limits.check(width.into(), height.into())?;
    let orientation = decoder.orientation().map_err(error)?;
    if let Some(inks) = cmyk(bytes, size)? {
        let turn = Turn::new(orientation, size.1, size.0, 4);
        let (height, width) = turn.size();
        return Ok(Picture::new(
            width,
            height,
            Mode::Cmyk,
            Samples::Bytes(turn.apply(&inks)),
        ));
    }
    let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
    image.apply_orientation(orientation);
    Ok(Picture::from(&image))
}

/// The inks of a CMYK picture, which the `image` crate would turn into RGB by another rule than Pillow's.
fn cmyk(bytes: &[u8], (width, height): (usize, usize)) -> Result<Option<Vec<u8>>, ImageError> {
    let error = |error| ImageError::decode("TIFF", error);
    let mut decoder = Decoder::new(Cursor::new(bytes))
        .map_err(error)?
        .with_limits(TiffLimits::unlimited());
    if decoder.colortype().map_err(error)? != ColorType::CMYK(8) {
        return Ok(None);
    }
    match decoder.read_image().map_err(error)? {
        DecodingResult::U8(inks) if inks.len() == width * height * 4 => Ok(Some(inks)),
        _ => Err(ImageError::decode(
            "TIFF",
            "the CMYK picture has not four bytes a pixel",
        )),
    }
}
