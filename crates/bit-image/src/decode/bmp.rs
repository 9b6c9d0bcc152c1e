//! BMP in mode "RGB", "RGBA", "P", "L" or "1".

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{DynamicImage, ImageDecoder};

use super::Limits;
use crate::picture::{Mode, Samples};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("BMP", error);
    let mut decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(error)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = limits.check(width.into(), height.into())?;
    let Some(palette) = decoder.get_palette().map(<[[u8; 3]]>::to_vec) else {
        return Ok(Picture::from(
            &DynamicImage::from_decoder(decoder).map_err(error)?,
        ));
    };
    decoder.set_indexed_color(true);
    let mut indices = vec![0; width * height];
    decoder.read_image(&mut indices).map_err(error)?;
    Ok(indexed(width, height, indices, palette))
}

/// Pillow turns a palette of grays into mode "L", and one of black and white into "1".
fn indexed(width: usize, height: usize, indices: Vec<u8>, palette: Vec<[u8; 3]>) -> Picture {
    if palette == [[0; 3], [255; 3]] {
        let pixels = indices.iter().map(|&index| if index == 0 { 0 } else { 255 });
        return Picture::new(width, height, Mode::Bilevel, Samples::Bytes(pixels.collect()));
    }
    let gray = palette
        .iter()
        .enumerate()
        .all(|(i, colour)| *colour == [i as u8; 3]);
    let mode = if gray { Mode::L } else { Mode::P };
    let mut picture = Picture::new(width, height, mode, Samples::Bytes(indices));
    picture.palette = palette.iter().map(|&[r, g, b]| [r, g, b, 255]).collect();
    picture
}
