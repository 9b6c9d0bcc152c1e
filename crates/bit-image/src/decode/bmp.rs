//! BMP in mode "RGB", "RGBA", "L" or "1". A palette of other colours is looked up at once, so that mode "P" of
//! Pillow is "RGB" here; that shows only when nothing is converted to RGB.

use image::codecs::bmp::BmpDecoder;
use image::{DynamicImage, ImageDecoder};

use super::Limits;
use super::progress::Progress;
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let progress = Progress::default();
    let error = |error| progress.error("BMP", error);
    let decoder = BmpDecoder::new(progress.reader(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = limits.check(width.into(), height.into())?;
    let palette = decoder.get_palette().unwrap_or_default();
    let gray = gray_mode(&palette[..palette.len().min(colours(bytes))]);
    let image = DynamicImage::from_decoder(decoder).map_err(error)?;
    let Some(mode) = gray else {
        return Ok(Picture::from(image));
    };
    let reds = image.to_rgb8().into_raw().into_iter().step_by(3).collect();
    Ok(Picture::new(width, height, mode, Samples::Bytes(reds)))
}

/// The number of colours that the header claims; the decoder's palette may be longer.
fn colours(bytes: &[u8]) -> usize {
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at + length).unwrap_or_default();
        bytes
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | usize::from(byte))
    };
    // OS/2's header has 12 bytes, and no number of colours.
    let (bits, claimed) = match number(14, 4) {
        12 => (number(24, 2), 0),
        _ => (number(28, 2), number(46, 4)),
    };
    match (claimed, bits) {
        (0, 1..=8) => 1 << bits,
        (claimed, _) => claimed,
    }
}

/// Pillow's mode for a palette of grays: "1" for black and white, "L" for a ramp.
fn gray_mode(palette: &[[u8; 3]]) -> Option<Mode> {
    let ramp = || {
        palette
            .iter()
            .enumerate()
            .all(|(i, colour)| *colour == [i as u8; 3])
    };
    match palette {
        [] => None,
        [[0, 0, 0], [255, 255, 255]] => Some(Mode::Bilevel),
        _ if ramp() => Some(Mode::L),
        _ => None,
    }
}
