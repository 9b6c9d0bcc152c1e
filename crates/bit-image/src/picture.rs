//! A decoded picture with its Pillow mode, before any conversion.

use image::DynamicImage;

use crate::array::map_pixels;
use crate::decode::{GifFrame, Turns};
use crate::scratch::Memory;

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

impl Default for Samples {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
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
        seen_mode(self.mode, &self.samples)
    }

    /// True when an alpha band, a palette's alpha or a transparent colour makes pixels see-through.
    pub fn has_transparency(&self) -> bool {
        matches!(self.mode, Mode::La | Mode::Rgba) || self.transparency.is_some()
    }
}

fn seen_mode(mode: Mode, samples: &Samples) -> Mode {
    match (mode, samples) {
        // Pillow has no unpacker from 16-bit gray with alpha to "LA".
        (Mode::La, Samples::Words(_)) => Mode::Rgba,
        (mode, _) => mode,
    }
}

impl From<&DynamicImage> for Picture {
    /// Float colour is clipped to [0, 1]; Pillow has no such mode.
    fn from(image: &DynamicImage) -> Self {
        Self::copied(image, &mut Memory::default())
    }
}

impl From<DynamicImage> for Picture {
    /// As from a reference, but pixels of 8 bits are not copied.
    fn from(image: DynamicImage) -> Self {
        match kind(&image) {
            Some((mode, 8)) => {
                let (width, height) = (image.width() as usize, image.height() as usize);
                Self::new(width, height, mode, Samples::Bytes(image.into_bytes()))
            }
            _ => Self::from(&image),
        }
    }
}

/// The mode of an image, and the bits of its values; `None` for floats.
fn kind(image: &DynamicImage) -> Option<(Mode, u32)> {
    Some(match image {
        DynamicImage::ImageLuma8(_) => (Mode::L, 8),
        DynamicImage::ImageLumaA8(_) => (Mode::La, 8),
        DynamicImage::ImageRgb8(_) => (Mode::Rgb, 8),
        DynamicImage::ImageRgba8(_) => (Mode::Rgba, 8),
        DynamicImage::ImageLuma16(_) => (Mode::I16, 16),
        DynamicImage::ImageLumaA16(_) => (Mode::La, 16),
        DynamicImage::ImageRgb16(_) => (Mode::Rgb, 16),
        DynamicImage::ImageRgba16(_) => (Mode::Rgba, 16),
        _ => return None,
    })
}

impl Samples {
    pub(crate) fn copied(&self, memory: &mut Memory) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(memory.bytes.copy_of(bytes)),
            Self::Words(words) => Self::Words(memory.words.copy_of(words)),
        }
    }
}

impl Picture {
    /// A picture whose pixels are a copy of an image's.
    pub(crate) fn copied(image: &DynamicImage, memory: &mut Memory) -> Self {
        let (mode, samples) = match kind(image) {
            Some((mode, 8)) => (mode, Samples::Bytes(memory.bytes.copy_of(image.as_bytes()))),
            Some((mode, _)) => {
                let words = image.as_bytes().as_chunks::<2>().0.iter();
                let words = words.map(|&word| u16::from_ne_bytes(word));
                (mode, Samples::Words(memory.words.filled(words)))
            }
            None => (Mode::Rgba, Samples::Bytes(image.to_rgba8().into_raw())),
        };
        Self::new(image.width() as usize, image.height() as usize, mode, samples)
    }

    /// The mode and the pixels as Pillow holds them: colour of 16 bits keeps its high bytes.
    pub(crate) fn reduced(&self, samples: Samples, memory: &mut Memory) -> (Mode, Samples) {
        let mode = seen_mode(self.mode, &samples);
        let samples = match samples {
            Samples::Words(words) if self.mode != Mode::I16 => {
                let bytes = memory.bytes.filled(words.iter().map(|word| (word >> 8) as u8));
                memory.words.keep(words);
                Samples::Bytes(match self.mode {
                    Mode::La => map_pixels(bytes, |[gray, alpha]| [gray, gray, gray, alpha]),
                    _ => bytes,
                })
            }
            samples => samples,
        };
        (mode, samples)
    }
}
