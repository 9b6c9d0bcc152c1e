//! From bytes to a [`Picture`], with limits checked before anything is allocated.
//!
//! | file | formats |
//! |---|---|
//! | `jpeg.rs` | JPEG through libjpeg-turbo (feature `jpeg-turbo`) or in pure Rust |
//! | `png.rs` | PNG, with palettes and transparency kept as Pillow keeps them |
//! | `gif.rs` | the first frame of a GIF |
//! | `webp.rs`, `bmp.rs` | those, through the `image` crate |
//! | `tiff/` | the first page of a TIFF |
//! | `directory.rs` | the fields of a TIFF directory, which EXIF data is too |
//! | `exif.rs` | the orientation in EXIF or XMP data |
//! | `packed.rs` | values of fewer than 8 bits |
//! | `progress.rs` | how far a decoder has read |
//! | `segments.rs` | the marker segments of a JPEG |

mod bmp;
mod directory;
mod exif;
mod gif;
mod jpeg;
mod packed;
mod png;
mod progress;
mod segments;
mod tiff;
mod webp;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::{ImageError, Picture};

pub(crate) use exif::Turns;
pub(crate) use gif::Frame as GifFrame;
pub(crate) use jpeg::JpegDecoder;

/// What a file may claim before it is refused.
///
/// Only the first frame of an animation or multi-page file is ever decoded, so frames need no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels of a decoded or resulting image; Pillow's decompression-bomb error by default.
    pub max_pixels: u64,
    /// Most bytes of a file.
    pub max_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 2 * 89_478_485,
            max_file_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Checks a size that a header claims, and returns it as (width, height).
    pub(crate) fn check(&self, width: u64, height: u64) -> Result<(usize, usize), ImageError> {
        let limit = self.max_pixels;
        if width == 0 || height == 0 {
            return Err(ImageError::Argument(format!(
                "the header claims {width}x{height} pixels: nothing to decode"
            )));
        }
        match width.checked_mul(height) {
            Some(pixels) if pixels <= limit => Ok((width as usize, height as usize)),
            _ => Err(ImageError::TooManyPixels { width, height, limit }),
        }
    }
}

/// Reads a whole file, up to the limit, into `buffer`.
pub(crate) fn read_file(path: &Path, limits: &Limits, buffer: &mut Vec<u8>) -> Result<(), ImageError> {
    buffer.clear();
    let file = File::open(path)?;
    let limit = limits.max_file_bytes;
    if file.metadata()?.len() > limit {
        return Err(ImageError::FileTooLarge { limit });
    }
    // The size can lie (pipes, devices): never read more than one byte past the limit.
    file.take(limit.saturating_add(1)).read_to_end(buffer)?;
    if buffer.len() as u64 > limit {
        return Err(ImageError::FileTooLarge { limit });
    }
    Ok(())
}

/// Decodes the bytes of an image file. `pixels` is a buffer to reuse for the result.
pub(crate) fn decode(
    bytes: &[u8],
    limits: &Limits,
    jpeg: &mut JpegDecoder,
    pixels: Vec<u8>,
) -> Result<Picture, ImageError> {
    match bytes {
        [] => Err(ImageError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => jpeg.decode(bytes, limits, pixels),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => png::decode(bytes, limits, pixels),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => gif::decode(bytes, limits, pixels),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp::decode(bytes, limits),
        [b'B', b'M', ..] => bmp::decode(bytes, limits),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => tiff::decode(bytes, limits),
        _ => Err(ImageError::UnknownFormat {
            found: first_bytes(bytes),
        }),
    }
}

/// The start of a file for an error message: text as text, anything else as bytes.
fn first_bytes(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(12)];
    match std::str::from_utf8(start) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => format!("{start:02x?}"),
    }
}

impl Picture {
    /// Opens a picture file as `PIL.Image.open` does.
    ///
    /// # Errors
    /// [`ImageError`] that names the file and what is wrong with it.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ImageError> {
        let mut bytes = Vec::new();
        read_file(path, limits, &mut bytes)
            .and_then(|()| Self::from_bytes(&bytes, limits))
            .map_err(|error| error.in_image(path.display().to_string()))
    }

    /// Decodes the bytes of a picture file as `PIL.Image.open` does.
    ///
    /// # Errors
    /// [`ImageError`] for unknown formats, broken or truncated data, and sizes beyond the limits.
    pub fn from_bytes(bytes: &[u8], limits: &Limits) -> Result<Self, ImageError> {
        decode(bytes, limits, &mut JpegDecoder::default(), Vec::new())
    }
}
