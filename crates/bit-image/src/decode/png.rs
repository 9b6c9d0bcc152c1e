//! PNG in Pillow's modes: palettes stay palettes, 16-bit gray stays 16 bit, other 16-bit values keep their high
//! byte.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::{Limits, Turns};
use crate::picture::{Mode, Samples, Transparency};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits, mut pixels: Vec<u8>) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("PNG", error);
    let mut decoder = Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    // The size is the header's: it is checked although nothing may follow.
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = limits.check(header.width.into(), header.height.into())?;
    let mut reader = decoder.read_info().map_err(error)?;
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
    let xmp = info
        .utf8_text
        .iter()
        .find(|text| text.keyword == "XML:com.adobe.xmp");
    let xmp = xmp.and_then(|text| text.get_text().ok());
    picture.turns = Turns::new(info.exif_metadata.as_deref(), xmp.as_deref().map(str::as_bytes));
    Ok(picture)
}

/// Pillow's mode for a PNG, and its pixels unpacked to whole values.
fn samples(color: ColorType, depth: BitDepth, width: usize, pixels: Vec<u8>) -> (Mode, Samples) {
    let mode = match (color, depth) {
        (ColorType::Grayscale, BitDepth::One) => Mode::Bilevel,
        (ColorType::Grayscale, BitDepth::Sixteen) => Mode::I16,
        (ColorType::Grayscale, _) => Mode::L,
        (ColorType::GrayscaleAlpha, _) => Mode::La,
        (ColorType::Indexed, _) => Mode::P,
        (ColorType::Rgb, _) => Mode::Rgb,
        (ColorType::Rgba, _) => Mode::Rgba,
    };
    let bits = depth as usize;
    let samples = match depth {
        BitDepth::Eight => Samples::Bytes(pixels),
        BitDepth::Sixteen => Samples::Words(
            pixels
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&word| u16::from_be_bytes(word))
                .collect(),
        ),
        _ if mode == Mode::P => unpack(&pixels, bits, width, 1),
        _ => unpack(&pixels, bits, width, [255, 85, 17][bits / 2]),
    };
    (mode, samples)
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
    // The decoder keeps only the low byte of a key unless the picture has 16 bits; Pillow compares only that.
    let key: Vec<u16> = match info.bit_depth {
        BitDepth::Sixteen => trns
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&word| u16::from_be_bytes(word))
            .collect(),
        _ => trns.iter().map(|&byte| byte.into()).collect(),
    };
    match (mode, &key[..]) {
        (Mode::P, _) => Some(single_index(trns).map_or(Transparency::Palette, Transparency::Index)),
        (Mode::Bilevel, [key, ..]) => Some(Transparency::Colour([if *key == 0 { 0 } else { 255 }; 3])),
        (Mode::L | Mode::I16, [key, ..]) => Some(Transparency::Colour([*key; 3])),
        (Mode::Rgb, [r, g, b, ..]) => Some(Transparency::Colour([*r, *g, *b])),
        _ => None,
    }
}

/// The only index whose alpha is 0 when all others are 255.
fn single_index(alphas: &[u8]) -> Option<u8> {
    let index = alphas.iter().position(|&alpha| alpha == 0)?;
    let others = alphas.iter().enumerate().filter(|&(i, _)| i != index);
    others
        .into_iter()
        .all(|(_, &alpha)| alpha == 255)
        .then_some(index as u8)
}
