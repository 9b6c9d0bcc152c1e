//! WebP: the first frame, in mode "RGB" or "RGBA".

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

use super::{Limits, Turns};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("WebP", error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let exif = decoder.exif_metadata().map_err(error)?;
    let xmp = decoder.xmp_metadata().map_err(error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(error)?;
    Ok(Picture {
        turns: Turns::new(exif.as_deref(), xmp.as_deref()),
        ..Picture::from(image)
    })
}
