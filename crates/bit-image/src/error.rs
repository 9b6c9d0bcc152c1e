//! The one error type of this crate.

use std::io;

use bit_config::ConfigError;

/// Why an image cannot be prepared.
///
/// Where transformers, torchvision or Pillow has a message for the same fault, the wording is theirs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The fault lies in one image of the call; `source` says which fault.
    #[error("{image}: {source}")]
    InImage {
        /// The file, or the image's place in the batch.
        image: String,
        /// The fault.
        source: Box<ImageError>,
    },
    /// The file cannot be opened or read.
    #[error("cannot read the file: {0}")]
    Read(#[from] io::Error),
    /// The file is larger than [`Limits::max_file_bytes`](crate::Limits::max_file_bytes).
    #[error("the file has more than {limit} bytes, the most that is read")]
    FileTooLarge {
        /// Most bytes that are read.
        limit: u64,
    },
    /// The header claims more pixels than [`Limits::max_pixels`](crate::Limits::max_pixels).
    #[error("the header claims {width}x{height} pixels; more than {limit} could be a decompression bomb")]
    TooManyPixels {
        /// Claimed columns.
        width: u64,
        /// Claimed rows.
        height: u64,
        /// Most pixels that are decoded.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("the file is empty: expected a JPEG, PNG, GIF, WebP, BMP or TIFF image")]
    Empty,
    /// The bytes start like no known image format.
    #[error(
        "not an image: expected a JPEG, PNG, GIF, WebP, BMP or TIFF file, found one that starts with {found}"
    )]
    UnknownFormat {
        /// The first bytes, as text where they are.
        found: String,
    },
    /// The decoder gave up.
    #[error("broken {format} file{}: {message}", at(*.offset))]
    Decode {
        /// The file's format.
        format: &'static str,
        /// What the decoder said.
        message: String,
        /// The byte the decoder had reached, where it tells.
        offset: Option<u64>,
    },
    /// Raw pixels do not fill their shape.
    #[error("{found} values do not fill the shape [{}, {}, {}], which needs {expected}", shape[0], shape[1], shape[2])]
    RawLength {
        /// Values given.
        found: usize,
        /// Values the shape needs.
        expected: usize,
        /// The shape given.
        shape: [usize; 3],
    },
    /// No dimension of a raw image can be its channels.
    #[error("Unable to infer channel dimension format of shape [{}, {}, {}]: expected 1, 3 or 4 channels first or last", .0[0], .0[1], .0[2])]
    ChannelDimension([usize; 3]),
    /// Channels and a setting do not go together.
    #[error("{0}")]
    Channels(String),
    /// A setting is missing, contradicts another, or is out of range.
    #[error("{0}")]
    Argument(String),
    /// A setting of the configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Float pixels that cannot become bytes, in transformers' words.
    #[error(
        "The image to be converted to {target} contains values outside the range [0, {limit}], got [{low:?}, {high:?}]{}",
        if *target == "RGB" { "." } else { " which cannot be converted to uint8." }
    )]
    ValueRange {
        /// What the image was to become.
        target: &'static str,
        /// The largest allowed value, 1 or 255.
        limit: u8,
        /// The smallest value found.
        low: f32,
        /// The largest value found.
        high: f32,
    },
    /// A resize, crop or padding would make an image larger than the limit.
    #[error("the result would have {width}x{height} pixels; the limit is {limit}")]
    ResultTooLarge {
        /// Columns of the result.
        width: u64,
        /// Rows of the result.
        height: u64,
        /// Most pixels of an image.
        limit: u64,
    },
    /// A resize would make an image larger than the limit between its two passes.
    #[error("between its passes the resize would have {width}x{height} pixels; the limit is {limit}")]
    BetweenTooLarge {
        /// Columns between the passes.
        width: u64,
        /// Rows between the passes.
        height: u64,
        /// Most pixels of an image.
        limit: u64,
    },
    /// A resize would need more weights than are computed for one axis.
    #[error("resizing a side of {input} pixels to {output} needs {weights} weights; the limit is {limit}")]
    TooManyWeights {
        /// Pixels of the side before.
        input: usize,
        /// Pixels of the side after.
        output: usize,
        /// Weights of the part that is kept.
        weights: usize,
        /// Most weights of an axis.
        limit: usize,
    },
    /// A resize would make a side longer than any image may be.
    #[error("the result would be {width}x{height}; no side may be longer than {limit}")]
    SideTooLong {
        /// Columns of the result.
        width: u64,
        /// Rows of the result.
        height: u64,
        /// Most pixels of a side.
        limit: u64,
    },
    /// The images of a batch have different sizes after preprocessing.
    #[error(
        "images of a batch must have one shape to become one tensor: {first_image} is {first:?}, {image} is {found:?}; \
         use do_center_crop, do_pad or a {{height, width}} size"
    )]
    Ragged {
        /// The first image: its file, or its place in the batch.
        first_image: Box<str>,
        /// Shape of the first image.
        first: [usize; 3],
        /// The first one with another shape.
        image: Box<str>,
        /// Its shape.
        found: [usize; 3],
    },
    /// A batch without images.
    #[error("expected at least one image, found an empty batch")]
    NoImages,
}

impl ImageError {
    pub(crate) fn in_image(self, image: impl Into<String>) -> Self {
        Self::InImage {
            image: image.into(),
            source: Box::new(self),
        }
    }

    pub(crate) fn decode(format: &'static str, error: impl ToString) -> Self {
        Self::Decode {
            format,
            message: error.to_string(),
            offset: None,
        }
    }
}

fn at(offset: Option<u64>) -> String {
    offset
        .map(|offset| format!(" at byte {offset}"))
        .unwrap_or_default()
}
