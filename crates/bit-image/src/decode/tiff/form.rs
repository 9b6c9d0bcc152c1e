//! What the stored samples of a page mean, as in Pillow's table `OPEN_INFO`.

use ::tiff::decoder::DecodingResult;
use ::tiff::tags::Tag;

use super::super::directory::Directory;
use super::super::packed::{gray_factor, unpack};
use crate::jpeg::rgb_of_ycc;
use crate::picture::{Mode, Samples};
use crate::premultiply;

/// Pillow's most samples a pixel.
const MAX_SAMPLES: usize = 6;

/// Values of `PhotometricInterpretation`.
const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const PALETTE: u64 = 3;
const CMYK: u64 = 5;
const YCBCR: u64 = 6;

/// Values of `SampleFormat`.
const UNSIGNED: u64 = 1;
const SIGNED: u64 = 2;
const FLOAT: u64 = 3;

/// Values of `Compression`.
const UNCOMPRESSED: u64 = 1;
const MODERN_JPEG: u64 = 7;

/// Values of `ExtraSamples`.
const UNKNOWN: u64 = 0;
const ASSOCIATED_ALPHA: u64 = 1;
const ALPHA: u64 = 2;
const ALPHA_OF_COREL_DRAW: u64 = 999;

/// What the directory says about samples.
#[derive(Debug)]
pub(super) struct Stored {
    photometric: Option<u64>,
    /// `None` when samples differ.
    format: Option<u64>,
    bits: Option<u64>,
    samples: u64,
    extra: Vec<u64>,
    compression: u64,
    fill_order: u64,
    planes: bool,
}

/// How stored values become samples of Pillow's mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) mode: Mode,
    bits: usize,
    /// Values that are stored for a pixel; the mode's come first.
    samples: usize,
    /// All values of a band come before those of the next.
    planes: bool,
    /// Small values are light.
    inverted: bool,
    /// The lowest bit of a byte comes first.
    reversed: bool,
    /// Colours are multiplied with alpha.
    premultiplied: bool,
    /// Colours are Y, Cb and Cr.
    ycc: bool,
}

impl Stored {
    pub(super) fn new(directory: &Directory<'_>) -> Self {
        let number = |tag: Tag| directory.number(tag.to_u16());
        let all = |tag: Tag, default| {
            let mut values = directory.numbers(tag.to_u16());
            let first = values.next().unwrap_or(default);
            values.all(|value| value == first).then_some(first)
        };
        let extra = directory.numbers(Tag::ExtraSamples.to_u16());
        Self {
            photometric: number(Tag::PhotometricInterpretation),
            format: all(Tag::SampleFormat, UNSIGNED),
            bits: all(Tag::BitsPerSample, 1),
            samples: number(Tag::SamplesPerPixel).unwrap_or(1),
            extra: extra.take(MAX_SAMPLES).collect(),
            compression: number(Tag::Compression).unwrap_or(UNCOMPRESSED),
            fill_order: number(Tag::FillOrder).unwrap_or(1),
            planes: number(Tag::PlanarConfiguration) == Some(2),
        }
    }

    /// The form of these samples, or why Pillow's mode for them is not known here.
    pub(super) fn form(&self) -> Result<Form, String> {
        self.known().ok_or_else(|| {
            let shown = |value: Option<u64>| value.map_or("mixed or none".into(), |value| value.to_string());
            format!(
                "{} samples of {} bits with PhotometricInterpretation {}, SampleFormat {}, ExtraSamples {:?}, \
                 Compression {} and FillOrder {} are not supported",
                self.samples,
                shown(self.bits),
                shown(self.photometric),
                shown(self.format),
                self.extra,
                self.compression,
                self.fill_order,
            )
        })
    }

    fn known(&self) -> Option<Form> {
        let samples = usize::try_from(self.samples)
            .ok()
            .filter(|&samples| samples <= MAX_SAMPLES)?;
        let mode = self.mode(samples)?;
        let bits = self.bits? as usize;
        let reversed = self.fill_order == 2;
        // The bits are turned around before the compression, and a JPEG of two components has no meaning.
        if reversed && (bits > 8 || self.compression != UNCOMPRESSED)
            || self.compression == MODERN_JPEG && samples == 2
        {
            return None;
        }
        Some(Form {
            mode,
            bits,
            samples,
            planes: self.planes && samples > 1,
            inverted: self.photometric == Some(WHITE_IS_ZERO) && bits <= 8,
            reversed,
            premultiplied: self.extra.first() == Some(&ASSOCIATED_ALPHA),
            ycc: self.photometric == Some(YCBCR) && samples == 3,
        })
    }

    fn mode(&self, samples: usize) -> Option<Mode> {
        let colours = samples.checked_sub(self.extra.len())?;
        let unknown = self.extra.iter().all(|&extra| extra == UNKNOWN);
        let rest_unknown = self.extra.iter().skip(1).all(|&extra| extra == UNKNOWN);
        let first = self.extra.first().copied();
        match (self.photometric?, self.format?, self.bits?, colours) {
            (WHITE_IS_ZERO | BLACK_IS_ZERO, UNSIGNED, 1, 1) if samples == 1 => Some(Mode::Bilevel),
            (WHITE_IS_ZERO | BLACK_IS_ZERO, UNSIGNED, 2 | 4 | 8, 1) if samples == 1 => Some(Mode::L),
            (BLACK_IS_ZERO, UNSIGNED, 8, 1) if samples == 2 && unknown => Some(Mode::L),
            (BLACK_IS_ZERO, UNSIGNED, 8, 1) if samples == 2 && first == Some(ALPHA) => Some(Mode::La),
            (WHITE_IS_ZERO | BLACK_IS_ZERO, UNSIGNED, 16, 1) if samples == 1 => Some(Mode::I16),
            (BLACK_IS_ZERO, SIGNED, 8 | 16 | 32, 1) | (BLACK_IS_ZERO, UNSIGNED, 32, 1) if samples == 1 => {
                Some(Mode::L)
            }
            (WHITE_IS_ZERO | BLACK_IS_ZERO, FLOAT, 32, 1) if samples == 1 => Some(Mode::L),
            (RGB, UNSIGNED, 8 | 16, 3) if unknown => Some(Mode::Rgb),
            (RGB, UNSIGNED, 8 | 16, 4) if samples == 4 => Some(Mode::Rgba),
            (RGB, UNSIGNED, 8, 3) if samples == 4 && first == Some(ALPHA_OF_COREL_DRAW) => Some(Mode::Rgba),
            (RGB, UNSIGNED, 8 | 16, 3) if rest_unknown && matches!(first, Some(ALPHA | ASSOCIATED_ALPHA)) => {
                Some(Mode::Rgba)
            }
            (PALETTE, UNSIGNED, 1 | 2 | 4, 1) if samples == 1 => Some(Mode::P),
            (PALETTE, UNSIGNED, 8, 1) if samples <= 2 && unknown => Some(Mode::P),
            (CMYK, UNSIGNED, 8 | 16, 4) if unknown => Some(Mode::Cmyk),
            (YCBCR, UNSIGNED, 8, 1) if samples == 1 => Some(Mode::L),
            (YCBCR, UNSIGNED, 8, 3) if samples == 3 && self.compression == MODERN_JPEG => Some(Mode::Rgb),
            _ => None,
        }
    }
}

impl Form {
    /// Bytes of a row of the stored values, of all planes together.
    pub(super) fn row_bytes(&self, width: usize) -> usize {
        width.saturating_mul(self.samples * self.bits).div_ceil(8)
    }

    /// The samples of the mode.
    pub(super) fn samples(
        &self,
        (width, height): (usize, usize),
        values: DecodingResult,
    ) -> Result<Samples, String> {
        let bytes = match values {
            DecodingResult::U8(bytes) => self.bytes(bytes, width),
            DecodingResult::U16(words) => return self.words(words, width * height),
            // A cast of a float cuts off and clips, as Pillow does.
            DecodingResult::F32(floats) => floats.into_iter().map(|value| value as u8).collect(),
            DecodingResult::I8(values) => values.into_iter().map(i8::cast_unsigned).collect(),
            DecodingResult::I16(values) => clipped(values),
            DecodingResult::I32(values) => clipped(values),
            // Pillow holds them as signed numbers.
            DecodingResult::U32(values) => clipped(values.into_iter().map(u32::cast_signed)),
            _ => return Err("samples of an unknown type".into()),
        };
        Ok(Samples::Bytes(self.coloured(self.picked(bytes, width * height)?)))
    }

    fn words(&self, words: Vec<u16>, pixels: usize) -> Result<Samples, String> {
        let words = self.picked(words, pixels)?;
        if !self.premultiplied {
            return Ok(Samples::Words(words));
        }
        // Pillow divides the high bytes.
        let bytes = words.into_iter().map(|word| (word >> 8) as u8).collect();
        Ok(Samples::Bytes(self.coloured(bytes)))
    }

    /// Stored bytes as whole values, unpacked and with white as the largest.
    fn bytes(&self, mut bytes: Vec<u8>, width: usize) -> Vec<u8> {
        if self.reversed {
            bytes.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        if self.bits < 8 {
            let factor = if self.mode == Mode::P {
                1
            } else {
                gray_factor(self.bits)
            };
            bytes = unpack(&bytes, self.bits, width, factor);
        }
        if self.inverted {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        bytes
    }

    /// The mode's samples of each pixel, from interleaved samples or from planes.
    fn picked<T: Copy>(&self, values: Vec<T>, pixels: usize) -> Result<Vec<T>, String> {
        let (stored, kept) = (self.samples, self.mode.channels());
        if values.len() != pixels * stored {
            return Err(format!(
                "the picture has {} values, not {}",
                values.len(),
                pixels * stored
            ));
        }
        Ok(match (self.planes, stored == kept) {
            (true, _) => {
                let pixel = |i: usize| (0..kept).map(move |band| band * pixels + i);
                (0..pixels).flat_map(pixel).map(|at| values[at]).collect()
            }
            (_, true) => values,
            (_, false) => values
                .chunks_exact(stored)
                .flat_map(|pixel| &pixel[..kept])
                .copied()
                .collect(),
        })
    }

    fn coloured(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.premultiplied {
            divide(&mut bytes);
        }
        if self.ycc {
            for pixel in bytes.as_chunks_mut::<3>().0 {
                let [y, cb, cr] = *pixel;
                *pixel = rgb_of_ycc(y, cb, cr);
            }
        }
        bytes
    }
}

/// "RGBa" to "RGBA" as Pillow's unpacker does it: what cannot be seen is black.
fn divide(pixels: &mut [u8]) {
    for pixel in pixels.as_chunks_mut::<4>().0 {
        if pixel[3] == 0 {
            *pixel = [0; 4];
        }
    }
    premultiply::divide(pixels, 4);
}

fn clipped<T: Into<i32>>(values: impl IntoIterator<Item = T>) -> Vec<u8> {
    let clip = |value: T| value.into().clamp(0, 255) as u8;
    values.into_iter().map(clip).collect()
}
