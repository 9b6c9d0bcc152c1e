//! A decoded picture with its Pillow mode, before any conversion.

use image::DynamicImage;

use crate::decode::{GifFrame, Turns};

/// The modes of Pillow that a file can have here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// "1": black and white, stored as 0 and 255.
    Bilevel,
    /// "L": gray.
    L,
    /// "LA": gray with alpha.
    La,
    /// "P": indices into a palette.
    P,
    /// "RGB".
    Rgb,
    /// "RGBA".
    Rgba,
    /// "CMYK".
    Cmyk,
    /// "I;16": 16-bit gray.
    I16,
}

impl Mode {
    /// Values a pixel.
    pub const fn channels(self) -> usize {
        match self {
            Self::Bilevel | Self::L | Self::P | Self::I16 => 1,
            Self::La => 2,
            Self::Rgb => 3,
            Self::Rgba | Self::Cmyk => 4,
        }
    }

    /// Pillow's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bilevel => "1",
            Self::L => "L",
            Self::La => "LA",
            Self::P => "P",
            Self::Rgb => "RGB",
            Self::Rgba => "RGBA",
            Self::Cmyk => "CMYK",
            Self::I16 => "I;16",
        }
    }
}

/// Pixels of a picture, interleaved, row after row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Samples {
    /// One byte a value.
    Bytes(Vec<u8>),
    /// 16 bits a value: mode "I;16", or colour that Pillow reduces to its high bytes.
    Words(Vec<u16>),
}

/// Transparency outside the pixels, Pillow's `info["transparency"]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transparency {
    /// The palette has alpha values.
    Palette,
    /// This index of the palette is transparent, all others are opaque.
    Index(u8),
    /// Pixels of this colour are transparent; gray repeats its value.
    Colour([u16; 3]),
}

/// An opened picture, as `PIL.Image.open` gives it: mode, palette and transparency are kept, and the EXIF
/// orientation is not applied.
///
/// Preprocessing composites transparency on white when it converts to RGB. Give a path or bytes instead
/// ([`ImageInput::Path`](crate::ImageInput::Path)) to have alpha dropped and the orientation applied, which is what
/// transformers does for paths and URLs.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) mode: Mode,
    pub(crate) samples: Samples,
    /// Red, green, blue and alpha of each index of mode "P".
    pub(crate) palette: Vec<[u8; 4]>,
    pub(crate) transparency: Option<Transparency>,
    /// What torchvision shows instead, when this is a GIF.
    pub(crate) gif: Option<Box<GifFrame>>,
    pub(crate) turns: Turns,
}

impl Picture {
    pub(crate) fn new(width: usize, height: usize, mode: Mode, samples: Samples) -> Self {
        Self {
            width,
            height,
            mode,
            samples,
            palette: Vec::new(),
            transparency: None,
            gif: None,
            turns: Turns::default(),
        }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Pillow's mode.
    pub fn mode(&self) -> Mode {
        match (self.mode, &self.samples) {
            // Pillow has no unpacker from 16-bit gray with alpha to "LA".
            (Mode::La, Samples::Words(_)) => Mode::Rgba,
            (mode, _) => mode,
        }
    }

    /// True when an alpha band, a palette's alpha or a transparent colour makes pixels see-through.
    pub fn has_transparency(&self) -> bool {
        matches!(self.mode, Mode::La | Mode::Rgba) || self.transparency.is_some()
    }
}

impl From<&DynamicImage> for Picture {
    /// Float colour is clipped to [0, 1]; Pillow has no such mode.
    fn from(image: &DynamicImage) -> Self {
        let (mode, samples) = match image {
            DynamicImage::ImageLuma8(pixels) => (Mode::L, Samples::Bytes(pixels.as_raw().clone())),
            DynamicImage::ImageLumaA8(pixels) => (Mode::La, Samples::Bytes(pixels.as_raw().clone())),
            DynamicImage::ImageRgb8(pixels) => (Mode::Rgb, Samples::Bytes(pixels.as_raw().clone())),
            DynamicImage::ImageRgba8(pixels) => (Mode::Rgba, Samples::Bytes(pixels.as_raw().clone())),
            DynamicImage::ImageLuma16(pixels) => (Mode::I16, Samples::Words(pixels.as_raw().clone())),
            DynamicImage::ImageLumaA16(pixels) => (Mode::La, Samples::Words(pixels.as_raw().clone())),
            DynamicImage::ImageRgb16(pixels) => (Mode::Rgb, Samples::Words(pixels.as_raw().clone())),
            DynamicImage::ImageRgba16(pixels) => (Mode::Rgba, Samples::Words(pixels.as_raw().clone())),
            other => (Mode::Rgba, Samples::Bytes(other.to_rgba8().into_raw())),
        };
        Self::new(image.width() as usize, image.height() as usize, mode, samples)
    }
}

impl Picture {
    /// The picture as Pillow holds it: colour of 16 bits keeps its high bytes.
    pub(crate) fn reduced(mut self) -> Self {
        let mode = self.mode();
        self.samples = match self.samples {
            Samples::Words(words) if self.mode == Mode::La => {
                let pixels = words
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|pixel| pixel.map(|word| (word >> 8) as u8));
                Samples::Bytes(
                    pixels
                        .flat_map(|[gray, alpha]| [gray, gray, gray, alpha])
                        .collect(),
                )
            }
            Samples::Words(words) if self.mode != Mode::I16 => {
                Samples::Bytes(words.iter().map(|word| (word >> 8) as u8).collect())
            }
            samples => samples,
        };
        self.mode = mode;
        self
    }
}
