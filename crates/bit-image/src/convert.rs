//! Pillow's mode conversions: any picture to RGB, or to the array that numpy makes of it.

use crate::array::{Array, Values, map_pixels};
use crate::picture::{Mode, Picture, Samples, Transparency};
use crate::scratch::Memory;

/// What becomes of transparency on the way to RGB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpha {
    /// Alpha is dropped, colours stay. What torchvision's decoder does.
    Drop,
    /// Alpha is dropped, except that a single transparent colour becomes white: Pillow's `convert("RGB")` keeps it
    /// in `info`, and transformers composites the result. What transformers' Pillow processor does for paths.
    DropButKey,
    /// Composited on white. What transformers does for opened pictures.
    OnWhite,
}

/// Converts the samples of a picture to interleaved RGB.
pub(crate) fn to_rgb(picture: &Picture, samples: Samples, alpha: Alpha, memory: &mut Memory) -> Array {
    let on_white = alpha == Alpha::OnWhite;
    let key = colour_key(picture, alpha);
    let mut bytes = match picture.reduced(samples, memory) {
        (_, Samples::Words(words)) => {
            let key = key.filter(|_| on_white).map(|[gray, ..]| gray);
            let gray = |&word: &u16| {
                if Some(word) == key {
                    255
                } else {
                    word.min(255) as u8
                }
            };
            let bytes = memory.bytes.filled(words.iter().map(gray));
            memory.words.keep(words);
            map_pixels(bytes, |[gray]| [gray; 3])
        }
        (Mode::P, Samples::Bytes(bytes)) => {
            let table = palette_table(&picture.palette, on_white);
            map_pixels(bytes, |[index]| table[usize::from(index)])
        }
        (Mode::Bilevel | Mode::L | Mode::I16, Samples::Bytes(bytes)) => map_pixels(bytes, |[gray]| [gray; 3]),
        (Mode::La, Samples::Bytes(bytes)) if on_white => {
            map_pixels(bytes, |[gray, alpha]| [over_white(gray, alpha); 3])
        }
        (Mode::La, Samples::Bytes(bytes)) => map_pixels(bytes, |[gray, _]| [gray; 3]),
        (Mode::Rgba, Samples::Bytes(bytes)) if on_white => {
            map_pixels(bytes, |[r, g, b, a]| [r, g, b].map(|value| over_white(value, a)))
        }
        (Mode::Rgba, Samples::Bytes(bytes)) => map_pixels(bytes, |[r, g, b, _]| [r, g, b]),
        (Mode::Cmyk, Samples::Bytes(bytes)) => map_pixels(bytes, cmyk_to_rgb),
        (Mode::Rgb, Samples::Bytes(bytes)) => bytes,
    };
    if let Some(key) = key {
        // Pillow compares with a key's low bytes only.
        white_where(&mut bytes, key.map(|value| value as u8));
    }
    array_of(picture, 3, Values::U8(bytes))
}

fn array_of(picture: &Picture, channels: usize, values: Values) -> Array {
    Array {
        height: picture.height,
        width: picture.width,
        channels,
        values,
    }
}

/// The colour that becomes white, in the RGB picture.
fn colour_key(picture: &Picture, alpha: Alpha) -> Option<[u16; 3]> {
    let after_conversion = alpha == Alpha::DropButKey;
    match (picture.transparency?, picture.mode) {
        (_, _) if alpha == Alpha::Drop => None,
        // Pillow forgets to convert these keys, and takes one number for red.
        (Transparency::Colour([key, ..]), Mode::Bilevel | Mode::I16) if after_conversion => Some([key, 0, 0]),
        (Transparency::Colour(key), _) => Some(key),
        (Transparency::Index(index), _) if after_conversion => {
            let colour = picture
                .palette
                .get(usize::from(index))
                .map_or([0; 3], |&[r, g, b, _]| [r, g, b]);
            Some(colour.map(u16::from))
        }
        (Transparency::Index(_) | Transparency::Palette, _) => None,
    }
}

/// Converts a picture to what torchvision's decoder gives for `ImageReadMode.RGB`: 16-bit values stay, and a
/// GIF shows its background around its frame and where that is transparent.
pub(crate) fn to_torchvision(mut picture: Picture, memory: &mut Memory) -> Array {
    let words = match std::mem::take(&mut picture.samples) {
        Samples::Words(words) => words,
        Samples::Bytes(canvas) => {
            return match &picture.gif {
                Some(frame) => frame.on_background(&canvas, picture.width),
                None => to_rgb(&picture, Samples::Bytes(canvas), Alpha::Drop, memory),
            };
        }
    };
    let words = match picture.mode {
        Mode::La => map_pixels(words, |[gray, _]| [gray; 3]),
        Mode::Rgba | Mode::Cmyk => map_pixels(words, |[r, g, b, _]| [r, g, b]),
        Mode::Rgb => words,
        Mode::Bilevel | Mode::L | Mode::P | Mode::I16 => map_pixels(words, |[gray]| [gray; 3]),
    };
    array_of(&picture, 3, Values::U16(words))
}

/// The array that `numpy.array(picture)` gives: palette indices stay indices, "1" becomes booleans.
pub(crate) fn to_array(picture: &Picture, samples: Samples, memory: &mut Memory) -> Array {
    let (mode, values) = match picture.reduced(samples, memory) {
        (mode, Samples::Words(words)) => (mode, Values::U16(words)),
        (Mode::Bilevel, Samples::Bytes(mut bytes)) => {
            bytes.iter_mut().for_each(|value| *value = u8::from(*value != 0));
            (Mode::Bilevel, Values::Bool(bytes))
        }
        (mode, Samples::Bytes(bytes)) => (mode, Values::U8(bytes)),
    };
    array_of(picture, mode.channels(), values)
}

/// 256 colours: indices beyond the palette are opaque black.
fn palette_table(palette: &[[u8; 4]], on_white: bool) -> [[u8; 3]; 256] {
    let mut table = [[0; 3]; 256];
    for (entry, &[r, g, b, a]) in table.iter_mut().zip(palette) {
        *entry = if on_white {
            [r, g, b].map(|value| over_white(value, a))
        } else {
            [r, g, b]
        };
    }
    table
}

fn white_where(bytes: &mut [u8], key: [u8; 3]) {
    for pixel in bytes.as_chunks_mut::<3>().0 {
        if *pixel == key {
            *pixel = [255; 3];
        }
    }
}

/// `Image.alpha_composite` on opaque white.
fn over_white(value: u8, alpha: u8) -> u8 {
    let coefficient = u32::from(alpha) * 128;
    let sum = u32::from(value) * coefficient + 255 * (255 * 128 - coefficient) + (128 << 7);
    ((((sum >> 8) + sum) >> 8) >> 7) as u8
}

fn cmyk_to_rgb([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| light.saturating_sub(mul_div_255(ink, light)))
}

/// Pillow's `MULDIV255`: a rounded product of two fractions of 255.
pub(crate) fn mul_div_255(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(mut picture: Picture) -> Values {
        let samples = std::mem::take(&mut picture.samples);
        to_rgb(&picture, samples, Alpha::Drop, &mut Memory::default()).values
    }

    #[test]
    fn compositing_rounds_the_exact_blend() {
        for value in 0..=255_u8 {
            for alpha in 0..=255_u8 {
                let exact = f64::from(value) * f64::from(alpha) / 255.0 + 255.0 - f64::from(alpha);
                assert_eq!(
                    over_white(value, alpha),
                    exact.round() as u8,
                    "{value} at {alpha}"
                );
            }
        }
    }

    #[test]
    fn an_index_beyond_the_palette_is_black() {
        let mut picture = Picture::new(2, 1, Mode::P, Samples::Bytes(vec![0, 7]));
        picture.palette = vec![[9, 8, 7, 255]];
        assert_eq!(rgb(picture), Values::U8(vec![9, 8, 7, 0, 0, 0]));
    }

    #[test]
    fn sixteen_bit_gray_is_clipped_not_divided() {
        let picture = Picture::new(3, 1, Mode::I16, Samples::Words(vec![7, 255, 60_000]));
        assert_eq!(
            rgb(picture),
            Values::U8(vec![7, 7, 7, 255, 255, 255, 255, 255, 255])
        );
    }

    #[test]
    fn inks_of_cmyk_darken() {
        assert_eq!(cmyk_to_rgb([0, 0, 0, 0]), [255; 3]);
        assert_eq!(cmyk_to_rgb([0, 0, 0, 255]), [0; 3]);
        assert_eq!(cmyk_to_rgb([255, 0, 128, 0]), [0, 255, 127]);
    }
}
