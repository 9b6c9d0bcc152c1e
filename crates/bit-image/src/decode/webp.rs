//! WebP: the first frame, in mode "RGB" or "RGBA".

use std::borrow::Cow;

use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder};

use super::exif::Metadata;
use super::progress::Progress;
use super::{Limits, Turns};
use crate::{ImageError, Picture};

/// Bits of an extended header: what follows the picture.
const HAS_EXIF: u8 = 8;
const HAS_XMP: u8 = 4;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    check_length(bytes)?;
    let progress = Progress::default();
    let error = |error| progress.error("WebP", error);
    let decoder = WebPDecoder::new(progress.reader(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    limits.check(width.into(), height.into())?;
    let image = DynamicImage::from_decoder(decoder).map_err(error)?;
    let metadata = Metadata {
        exif: extra(bytes, HAS_EXIF, b"EXIF").map(Cow::Borrowed),
        xmp: extra(bytes, HAS_XMP, b"XMP ").map(Cow::Borrowed),
        // torchvision's decoder reads no EXIF from WebP files.
        for_torchvision: None,
    };
    Ok(Picture {
        turns: Turns::new(&metadata),
        ..Picture::from(image)
    })
}

/// A file that is shorter than its header says is refused whatever is missing, as by libwebp.
fn check_length(bytes: &[u8]) -> Result<(), ImageError> {
    let claimed = bytes.get(4..8).and_then(<[u8]>::first_chunk);
    match claimed.map(|&claimed| u64::from(u32::from_le_bytes(claimed)) + 8) {
        Some(claimed) if claimed > bytes.len() as u64 => Err(ImageError::Decode {
            format: "WebP",
            message: format!("the file ends before the {claimed} bytes that its header says"),
            offset: Some(bytes.len() as u64),
        }),
        _ => Ok(()),
    }
}

/// The first chunk with this name, when the extended header says that there is one.
fn extra<'a>(bytes: &'a [u8], flag: u8, name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut rest = bytes.get(12..)?;
    let [b'V', b'P', b'8', b'X', _, _, _, _, flags, ..] = rest else {
        return None;
    };
    if flags & flag == 0 {
        return None;
    }
    loop {
        let (found, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        if found == name {
            return after.get(..length);
        }
        // Chunks are filled up to an even length.
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}
