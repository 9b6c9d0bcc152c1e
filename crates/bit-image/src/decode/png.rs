//! PNG in Pillow's modes: palettes stay palettes, 16-bit gray stays 16 bit, other 16-bit values keep their high
//! byte.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{Limits, exif};
use crate::picture::{Mode, Samples, Transparency};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits, mut pixels: Vec<u8>) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("PNG", error);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(error)?;
    let (width, height) = limits.check(reader.info().width.into(), reader.info().height.into())?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| ImageError::decode("PNG", "the picture does not fit the memory"))?;
    pixels.resize(size, 0);
    reader.next_frame(&mut pixels).map_err(error)?;
    // Orientation and transparency may follow the pixels; damage there is no reason to refuse them.
    let _ = reader.finish();

    let info = reader.info();
    let (mode, samples) = samples(info.color_type, info.bit_depth, width, pixels);
    let mut picture = Picture::new(width, height, mode, samples);
    picture.palette = palette(info);
    picture.transparency = transparency(info, mode);
    picture.orientation = info
        .exif_metadata
        .as_deref()
        .map_or(picture.orientation, exif::orientation);
    Ok(picture)
}

/// Pillow's mode for a PNG, and its pixels unpacked to whole values.
fn samples(color: ColorType, depth: BitDepth, width: usize, pixels: Vec<u8>) -> (Mode, Samples) {
    let high_bytes = |pixels: &[u8]| pixels.iter().copied().step_by(2).collect::<Vec<u8>>();
    match (color, depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            let words = pixels
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&word| u16::from_be_bytes(word));
            (Mode::I16, Samples::Words(words.collect()))
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            let rgba = pixels
                .as_chunks::<4>()
                .0
                .iter()
                .flat_map(|&[l, _, a, _]| [l, l, l, a]);
            (Mode::Rgba, Samples::Bytes(rgba.collect()))
        }
        (ColorType::Rgb, BitDepth::Sixteen) => (Mode::Rgb, Samples::Bytes(high_bytes(&pixels))),
        (ColorType::Rgba, BitDepth::Sixteen) => (Mode::Rgba, Samples::Bytes(high_bytes(&pixels))),
        (ColorType::Grayscale, BitDepth::One) => (Mode::Bilevel, unpack(&pixels, 1, width, 255)),
        (ColorType::Grayscale, BitDepth::Two) => (Mode::L, unpack(&pixels, 2, width, 85)),
        (ColorType::Grayscale, BitDepth::Four) => (Mode::L, unpack(&pixels, 4, width, 17)),
        (ColorType::Indexed, BitDepth::One) => (Mode::P, unpack(&pixels, 1, width, 1)),
        (ColorType::Indexed, BitDepth::Two) => (Mode::P, unpack(&pixels, 2, width, 1)),
        (ColorType::Indexed, BitDepth::Four) => (Mode::P, unpack(&pixels, 4, width, 1)),
        (ColorType::Indexed, _) => (Mode::P, Samples::Bytes(pixels)),
        (ColorType::Grayscale, _) => (Mode::L, Samples::Bytes(pixels)),
        (ColorType::GrayscaleAlpha, _) => (Mode::La, Samples::Bytes(pixels)),
        (ColorType::Rgb, _) => (Mode::Rgb, Samples::Bytes(pixels)),
        (ColorType::Rgba, _) => (Mode::Rgba, Samples::Bytes(pixels)),
    }
}

/// Values of `bits` bits, most significant first, each row starting a byte.
fn unpack(packed: &[u8], bits: usize, width: usize, factor: u8) -> Samples {
    let per_byte = 8 / bits;
    let mask = (1_u8 << bits) - 1;
    let mut values = Vec::with_capacity(packed.len() * per_byte);
    for row in packed.chunks_exact(width.div_ceil(per_byte)) {
        let value = |x: usize| (row[x / per_byte] >> (8 - bits - x % per_byte * bits)) & mask;
        values.extend((0..width).map(|x| value(x) * factor));
    }
    Samples::Bytes(values)
}

fn palette(info: &png::Info<'_>) -> Vec<[u8; 4]> {
    let colours = info.palette.as_deref().unwrap_or_default().as_chunks::<3>().0;
    let alphas = info
        .trns
        .as_deref()
        .unwrap_or_default()
        .iter()
        .copied()
        .chain(std::iter::repeat(255));
    colours
        .iter()
        .zip(alphas)
        .map(|(&[r, g, b], a)| [r, g, b, a])
        .collect()
}

/// Pillow's `info["transparency"]`; a gray key is compared unscaled with scaled values, as there.
fn transparency(info: &png::Info<'_>, mode: Mode) -> Option<Transparency> {
    let trns = info.trns.as_deref()?;
    let words: Vec<u16> = trns
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&word| u16::from_be_bytes(word))
        .collect();
    match (mode, &words[..]) {
        (Mode::P, _) => Some(Transparency::Palette),
        (Mode::Bilevel, [key, ..]) => Some(Transparency::Colour([if *key == 0 { 0 } else { 255 }; 3])),
        (Mode::L | Mode::I16, [key, ..]) => Some(Transparency::Colour([*key; 3])),
        (Mode::Rgb, [r, g, b, ..]) => Some(Transparency::Colour([*r, *g, *b])),
        _ => None,
    }
}
