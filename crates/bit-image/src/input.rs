//! What can be preprocessed.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use image::DynamicImage;

use crate::Picture;

/// One image to preprocess.
///
/// The source decides about orientation and transparency, as in transformers:
///
/// | input | EXIF orientation | transparency, when converting to RGB |
/// |---|---|---|
/// | [`Path`](Self::Path), [`Bytes`](Self::Bytes) | applied | dropped (`load_image`); always converted to RGB |
/// | [`Picture`](Self::Picture), [`Dynamic`](Self::Dynamic) | not applied | composited on white |
/// | [`Raw`](Self::Raw) | | a fourth channel is composited on white |
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ImageInput<'a> {
    /// A file.
    Path(Cow<'a, Path>),
    /// The bytes of a file.
    Bytes(Cow<'a, [u8]>),
    /// A picture opened by the `image` crate.
    Dynamic(Cow<'a, DynamicImage>),
    /// A picture opened by [`Picture::open`], with its Pillow mode.
    Picture(Cow<'a, Picture>),
    /// Pixels without a file.
    Raw(RawImage<'a>),
}

/// Pixels of shape `[channels, height, width]` or `[height, width, channels]`.
///
/// Which of the two is guessed from a side of 1, 3 or 4 as transformers does (first wins), unless
/// `input_data_format` says it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawImage<'a> {
    /// The values, row-major.
    pub data: RawData<'a>,
    /// The three sides.
    pub shape: [usize; 3],
}

/// Values of raw pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum RawData<'a> {
    /// Bytes, 0 to 255.
    U8(Cow<'a, [u8]>),
    /// Floats. The Pillow processor wants them in [0, 1], or whole numbers in [0, 255]; the torchvision processor
    /// resizes them as they are.
    F32(Cow<'a, [f32]>),
}

impl RawData<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }
}

impl<'a> RawImage<'a> {
    /// Raw bytes.
    pub fn u8(data: impl Into<Cow<'a, [u8]>>, shape: [usize; 3]) -> Self {
        Self {
            data: RawData::U8(data.into()),
            shape,
        }
    }

    /// Raw floats.
    pub fn f32(data: impl Into<Cow<'a, [f32]>>, shape: [usize; 3]) -> Self {
        Self {
            data: RawData::F32(data.into()),
            shape,
        }
    }
}

impl ImageInput<'_> {
    /// How an error names this image: its path, or its place in the batch.
    pub(crate) fn name(&self, index: usize) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Bytes(_) => format!("image {index} (bytes)"),
            Self::Dynamic(_) | Self::Picture(_) => format!("image {index} (picture)"),
            Self::Raw(_) => format!("image {index} (raw pixels)"),
        }
    }
}

macro_rules! from {
    ($($source:ty => $variant:ident, $wrap:expr;)*) => {$(
        impl<'a> From<$source> for ImageInput<'a> {
            fn from(source: $source) -> Self {
                let wrap: fn($source) -> _ = $wrap;
                Self::$variant(wrap(source))
            }
        }
    )*};
}

from! {
    &'a Path => Path, Cow::Borrowed;
    &'a PathBuf => Path, |path| Cow::Borrowed(path.as_path());
    PathBuf => Path, Cow::Owned;
    &'a [u8] => Bytes, Cow::Borrowed;
    Vec<u8> => Bytes, Cow::Owned;
    &'a DynamicImage => Dynamic, Cow::Borrowed;
    DynamicImage => Dynamic, Cow::Owned;
    &'a Picture => Picture, Cow::Borrowed;
    Picture => Picture, Cow::Owned;
    RawImage<'a> => Raw, |raw| raw;
}
