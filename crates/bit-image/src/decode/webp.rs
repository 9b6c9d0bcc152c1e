//! WebP: the first frame, in mode "RGB" or "RGBA".

use std::borrow::Cow;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

use super::exif::Metadata;
use super::progress::Progress;
use super::{Limits, Turns};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let progress = Progress::default();
    let error = |error| progress.error("WebP", error);
    let mut decoder = WebPDecoder::new(progress.reader(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let exif = decoder.exif_metadata().map_err(error)?;
    let xmp = decoder.xmp_metadata().map_err(error)?;
    let image = DynamicImage::from_decoder(decoder).map_err(error)?;
    Ok(Picture {
        turns: Turns::new(&Metadata {
            exif: exif.map(Cow::Owned),
            xmp: xmp.map(Cow::Owned),
            // torchvision's decoder reads no EXIF from WebP files.
            for_torchvision: None,
        }),
        ..Picture::from(&image)
    })
}
