//! WebP, BMP and TIFF through the `image` crate.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::Limits;
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let unknown = || ImageError::UnknownFormat {
        found: first_bytes(bytes),
    };
    let format = image::guess_format(bytes).map_err(|_| unknown())?;
    let name = match format {
        ImageFormat::WebP => "WebP",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        _ => return Err(unknown()),
    };
    let error = |error| ImageError::decode(name, error);
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let orientation = decoder.orientation().map_err(error)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(error)?;
    if format == ImageFormat::Tiff {
        // Pillow turns a TIFF upright when it loads it.
        image.apply_orientation(orientation);
        return Ok(Picture::from(&image));
    }
    let mut picture = Picture::from(&image);
    picture.orientation = orientation;
    Ok(picture)
}

/// The start of a file for an error message: text as text, anything else as bytes.
fn first_bytes(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(12)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("{start:02x?}"),
    }
}
