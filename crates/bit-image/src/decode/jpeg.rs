//! JPEG: libjpeg-turbo's arithmetic, which is Pillow's and torchvision's.
//!
//! Files that [`Baseline`] takes are decoded by it, the others by libjpeg-turbo or, without the feature, in another
//! arithmetic by the `image` crate.

use super::{Limits, Turns};
use crate::jpeg::{self, Baseline};
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture};

/// A decoder that is kept from image to image.
#[derive(Debug, Default)]
pub(crate) struct JpegDecoder {
    /// Memory of [`Baseline`].
    pub(crate) baseline: jpeg::Buffers,
    #[cfg(feature = "jpeg-turbo")]
    turbo: Option<turbojpeg::Decompressor>,
}

impl JpegDecoder {
    /// Decodes to "L", "RGB" or "CMYK".
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        pixels: Vec<u8>,
    ) -> Result<Picture, ImageError> {
        let mut picture = match Baseline::open(bytes, &mut self.baseline) {
            Some(jpeg) => self.decode_baseline(&jpeg, bytes, limits, pixels)?,
            None => self.decode_with_library(bytes, limits, pixels)?,
        };
        picture.turns = Turns::of_jpeg(bytes);
        Ok(picture)
    }

    fn decode_baseline(
        &mut self,
        jpeg: &Baseline<'_>,
        bytes: &[u8],
        limits: &Limits,
        mut pixels: Vec<u8>,
    ) -> Result<Picture, ImageError> {
        let (height, width) = jpeg.size();
        limits.check(width as u64, height as u64)?;
        match jpeg.whole(&mut self.baseline, &mut pixels) {
            Some(()) => Ok(Picture::new(width, height, Mode::Rgb, Samples::Bytes(pixels))),
            None => self.decode_with_library(bytes, limits, pixels),
        }
    }
}

#[cfg(feature = "jpeg-turbo")]
mod turbo {
    use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat};

    use super::super::segments::with_plain_header;
    use super::*;

    /// More scans than any encoder writes; each costs a pass over the whole picture.
    const MAX_SCANS: u32 = 500;

    /// libjpeg's warnings about data that it decodes all the same; Pillow ignores them too.
    const HARMLESS: [&str; 7] = [
        "Corrupt JPEG data",
        "Inconsistent progression",
        "Invalid SOS parameters",
        "Unknown Adobe color transform",
        "Warning: unknown JFIF",
        "Application transferred too many",
        "Invalid crop",
    ];

    impl JpegDecoder {
        pub(crate) fn decode_with_library(
            &mut self,
            bytes: &[u8],
            limits: &Limits,
            mut pixels: Vec<u8>,
        ) -> Result<Picture, ImageError> {
            let length = bytes.len() as u64;
            let error = |error| fault(&error, length);
            let turbo = match &mut self.turbo {
                Some(turbo) => turbo,
                none => none.insert(new_decompressor().map_err(error)?),
            };
            let repaired;
            let (header, bytes) = match turbo.read_header(bytes) {
                Err(warning) if is_harmless(&warning) => {
                    repaired = with_plain_header(bytes);
                    (turbo.read_header(&repaired).map_err(error)?, &repaired[..])
                }
                header => (header.map_err(error)?, bytes),
            };
            let (width, height) = limits.check(header.width as u64, header.height as u64)?;
            let (mode, format) = match header.colorspace {
                Colorspace::Gray => (Mode::L, PixelFormat::GRAY),
                Colorspace::RGB | Colorspace::YCbCr => (Mode::Rgb, PixelFormat::RGB),
                Colorspace::CMYK | Colorspace::YCCK => (Mode::Cmyk, PixelFormat::CMYK),
            };
            let pitch = width * format.size();
            pixels.resize(height * pitch, 0);
            let image = Image {
                pixels: pixels.as_mut_slice(),
                width,
                pitch,
                height,
                format,
            };
            match turbo.decompress(bytes, image) {
                Err(error) if !is_harmless(&error) => return Err(fault(&error, length)),
                _ => {}
            }
            if mode == Mode::Cmyk {
                // Pillow assumes Adobe's inverted inks for every four-channel JPEG.
                pixels.iter_mut().for_each(|value| *value = 255 - *value);
            }
            Ok(Picture::new(width, height, mode, Samples::Bytes(pixels)))
        }
    }

    fn new_decompressor() -> turbojpeg::Result<Decompressor> {
        let mut turbo = Decompressor::new()?;
        turbo.set_scan_limit(MAX_SCANS)?;
        Ok(turbo)
    }

    fn is_harmless(error: &turbojpeg::Error) -> bool {
        let message = message(error);
        HARMLESS.iter().any(|warning| message.starts_with(warning))
    }

    /// A file that ends too early does so where it ends.
    fn fault(error: &turbojpeg::Error, length: u64) -> ImageError {
        let message = message(error);
        let offset = message.starts_with("Premature end").then_some(length);
        ImageError::Decode {
            format: "JPEG",
            message,
            offset,
        }
    }

    fn message(error: &turbojpeg::Error) -> String {
        match error {
            turbojpeg::Error::TurboJpegError(message) => message.clone(),
            other => other.to_string(),
        }
    }
}

#[cfg(not(feature = "jpeg-turbo"))]
mod rust {
    use std::borrow::Cow;
    use std::io::Cursor;

    use image::codecs::jpeg::JpegDecoder as RustDecoder;
    use image::{DynamicImage, ImageDecoder};

    use super::super::segments::{segments, with_plain_header};
    use super::*;

    impl JpegDecoder {
        pub(crate) fn decode_with_library(
            &mut self,
            bytes: &[u8],
            limits: &Limits,
            _: Vec<u8>,
        ) -> Result<Picture, ImageError> {
            let error = |error| ImageError::decode("JPEG", error);
            // The decoder fills what is missing with gray. A thumbnail before the scan has an end of its own.
            let scan = segments(bytes).last().map_or(bytes, |segment| segment.rest);
            if !scan.windows(2).rev().any(|marker| marker == [0xFF, 0xD9]) {
                return Err(ImageError::Decode {
                    format: "JPEG",
                    message: "Premature end of JPEG file".into(),
                    offset: Some(bytes.len() as u64),
                });
            }
            let decoder = RustDecoder::new(Cursor::new(Cow::Borrowed(bytes)));
            let repaired = || RustDecoder::new(Cursor::new(Cow::Owned(with_plain_header(bytes))));
            let decoder = decoder.or_else(|_| repaired()).map_err(error)?;
            let (width, height) = decoder.dimensions();
            limits.check(width.into(), height.into())?;
            let image = DynamicImage::from_decoder(decoder).map_err(error)?;
            Ok(Picture::from(image))
        }
    }
}
