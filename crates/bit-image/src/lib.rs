//! Image preprocessing for BiT, equal bit for bit to transformers' two image processors.
//!
//! [`BitImageProcessorPil`] gives Pillow's pixels, [`BitImageProcessor`] torchvision's, from the file to the
//! normalized tensor; [`Processor`] is either of them, chosen at run time.
//!
//! ```
//! use bit_image::{BitImageProcessorPil, ImageInput, PreprocessOptions, RawImage};
//! use bit_config::{ImageProcessorConfig, SizeDict};
//!
//! # fn main() -> Result<(), bit_image::ImageError> {
//! let processor = BitImageProcessorPil::new(ImageProcessorConfig::default())?;
//! let gray = vec![128_u8; 3 * 300 * 200];
//! let image = ImageInput::Raw(RawImage::u8(&gray[..], [300, 200, 3]));
//!
//! let batch = processor.preprocess(&[image.clone(), image.clone()], &PreprocessOptions::default())?;
//! assert_eq!(batch.shape, [2, 3, 224, 224]);
//!
//! let smaller = PreprocessOptions { crop_size: Some(SizeDict::square(96)), ..Default::default() };
//! assert_eq!(processor.preprocess_one(&image, &smaller)?.shape, [3, 96, 96]);
//! # Ok(())
//! # }
//! ```
//!
//! Order of work: decode, convert to RGB, resize (8 bit), center crop, rescale, normalize, pad, stack. Only the
//! part of the resized image that the crop keeps is computed.
//!
//! Limits against hostile files are in [`Limits`]; every fault is an [`ImageError`] that names the image.
//!
//! # Features
//!
//! - `jpeg-turbo` (default): libjpeg-turbo, whose arithmetic Pillow and torchvision use, for the JPEGs that this
//!   crate does not decode itself in the same arithmetic: progressive, gray, CMYK, damaged. Building it needs a C
//!   compiler and cmake; with nasm it is also fast on x86. Without the feature these are decoded by a pure-Rust decoder,
//!   whose pixels differ from Pillow's by up to 8 levels in up to a third of the pixels.

mod array;
mod convert;
mod decode;
mod error;
mod geometry;
mod input;
mod jpeg;
mod options;
mod orient;
mod picture;
mod pipeline;
mod premultiply;
mod processor;
mod resize;
mod samples;
mod scratch;
mod tensor;
mod values;

pub use decode::Limits;
pub use error::ImageError;
pub use input::{ImageInput, RawData, RawImage};
pub use options::PreprocessOptions;
pub use picture::{Mode, Picture};
pub use processor::{BitImageProcessor, BitImageProcessorPil, Processor, ProcessorKind};
pub use resize::PassOrder;
pub use tensor::{ImageValues, PixelValues};
