//! PNG in Pillow's modes: palettes stay palettes, 16-bit gray stays 16 bit, other 16-bit values keep their high
//! byte.

use std::borrow::Cow;

use png::{BitDepth, ColorType, Decoder, Transformations};

use super::exif::{Metadata, raw_profile};
use super::packed::{gray_factor, unpack};
use super::progress::Progress;
use super::{Limits, Turns};
use crate::picture::{Mode, Samples, Transparency};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits, mut pixels: Vec<u8>) -> Result<Picture, ImageError> {
    let progress = Progress::default();
    let error = |error| progress.error("PNG", error);
    let mut decoder = Decoder::new(progress.reader(bytes));
    decoder.set_transformations(Transformations::IDENTITY);
    // The size is the header's: it is checked although nothing may follow.
    let header = decoder.read_header_info().map_err(error)?;
    let (width, height) = limits.check(header.width.into(), header.height.into())?;
    let mut reader = decoder.read_info().map_err(error)?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| ImageError::decode("PNG", "the picture does not fit the memory"))?;
    pixels.resize(size, 0);
    // torchvision sees only the EXIF data that comes before the pixels.
    let early = reader.info().exif_metadata.clone();
    reader.next_frame(&mut pixels).map_err(error)?;
    // Orientation and transparency may follow the pixels; damage there is no reason to refuse them.
    let _ = reader.finish();

    let info = reader.info();
    let (mode, samples) = samples(info.color_type, info.bit_depth, width, pixels);
    let mut picture = Picture::new(width, height, mode, samples);
    picture.palette = palette(info);
    picture.transparency = transparency(info, mode);
    picture.turns = turns(info, early.as_deref());
    Ok(picture)
}

/// EXIF data in a chunk or, as ImageMagick wrote it, in a text.
fn turns(info: &png::Info<'_>, early: Option<&[u8]>) -> Turns {
    let exif = || text(info, "Raw profile type exif").and_then(|text| raw_profile(&text));
    let chunk = info.exif_metadata.as_deref().map(Cow::Borrowed);
    Turns::new(&Metadata {
        exif: chunk.or_else(|| exif().map(Cow::Owned)),
        xmp: text(info, "XML:com.adobe.xmp").map(|text| Cow::Owned(text.into_bytes())),
        for_torchvision: early,
    })
}

/// The last text with this keyword, in whatever kind of chunk it is.
fn text(info: &png::Info<'_>, keyword: &str) -> Option<String> {
    let utf8 = info.utf8_text.iter().rev();
    let utf8 = utf8
        .filter(|text| text.keyword == keyword)
        .find_map(|text| text.get_text().ok());
    let packed = info.compressed_latin1_text.iter().rev();
    let packed = packed
        .filter(|text| text.keyword == keyword)
        .find_map(|text| text.get_text().ok());
    let mut plain = info.uncompressed_latin1_text.iter().rev();
    let plain = plain
        .find(|text| text.keyword == keyword)
        .map(|text| text.text.clone());
    utf8.or(packed).or(plain)
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
        _ if mode == Mode::P => Samples::Bytes(unpack(&pixels, bits, width, 1)),
        _ => Samples::Bytes(unpack(&pixels, bits, width, gray_factor(bits))),
    };
    (mode, samples)
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
