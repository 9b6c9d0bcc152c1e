//! Sizes: what a size dictionary asks for, and which part of a resized image a center crop keeps.

use std::ops::Range;

use bit_config::SizeDict;

use crate::options::describe;
use crate::processor::ProcessorKind;
use crate::{ImageError, Limits};

/// No side may be longer: weights are computed for every output, also those outside the crop.
const MAX_SIDE: usize = 1 << 24;

/// The (height, width) that an image of size `(height, width)` is resized to.
pub(crate) fn resized(
    size: &SizeDict,
    (height, width): (usize, usize),
) -> Result<(usize, usize), ImageError> {
    let target = match *size {
        SizeDict::ShortestEdge(edge) if edge > 0 => shortest_edge(edge, (height, width)),
        SizeDict::ShortestLongest {
            shortest_edge: edge,
            longest_edge,
        } if edge > 0 && longest_edge > 0 => with_aspect_ratio(edge, longest_edge, (height, width)),
        SizeDict::MaxHeightWidth {
            max_height,
            max_width,
        } if max_height > 0 && max_width > 0 => {
            let scale = (max_height as f64 / height as f64).min(max_width as f64 / width as f64);
            ((height as f64 * scale) as usize, (width as f64 * scale) as usize)
        }
        SizeDict::HeightWidth { height, width } if height > 0 && width > 0 => (height, width),
        _ => {
            return Err(ImageError::Argument(format!(
                "Size must contain 'height' and 'width' keys, or 'max_height' and 'max_width', or 'shortest_edge' \
                 key. Got {}.",
                describe(size)
            )));
        }
    };
    match target {
        (0, _) | (_, 0) => Err(ImageError::Argument(format!(
            "height and width must be > 0: {} makes {}x{} of {width}x{height}",
            describe(size),
            target.1,
            target.0
        ))),
        (rows, columns) if rows.max(columns) > MAX_SIDE => Err(ImageError::SideTooLong {
            width: columns as u64,
            height: rows as u64,
            limit: MAX_SIDE as u64,
        }),
        target => Ok(target),
    }
}

/// `numerator * factor / denominator` as Python computes it: an exact product, one rounding, truncated.
fn scaled(factor: usize, numerator: usize, denominator: usize) -> usize {
    (factor as f64 * numerator as f64 / denominator as f64) as usize
}

/// transformers' `get_resize_output_image_size` with `default_to_square=False`.
fn shortest_edge(edge: usize, (height, width): (usize, usize)) -> (usize, usize) {
    if width <= height {
        (scaled(edge, height, width), edge)
    } else {
        (edge, scaled(edge, width, height))
    }
}

/// transformers' `get_size_with_aspect_ratio`.
fn with_aspect_ratio(edge: usize, longest: usize, (height, width): (usize, usize)) -> (usize, usize) {
    let (short, long) = (height.min(width) as f64, height.max(width) as f64);
    let (mut edge, mut raw) = (edge, edge as f64);
    if long / short * raw > longest as f64 {
        raw = longest as f64 * short / long;
        edge = raw.round_ties_even() as usize;
    }
    if (height <= width && height == edge) || (width <= height && width == edge) {
        (height, width)
    } else if width < height {
        ((raw * height as f64 / width as f64) as usize, edge)
    } else {
        (edge, (raw * width as f64 / height as f64) as usize)
    }
}

/// One axis of a center crop: which part of the image is kept, and where it lies in the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crop {
    /// The pixels that are kept.
    pub(crate) window: Range<usize>,
    /// Zeros before them.
    pub(crate) leading: usize,
    /// The side of the result.
    pub(crate) side: usize,
}

impl Crop {
    /// Everything is kept.
    pub(crate) fn none(side: usize) -> Self {
        Self {
            window: 0..side,
            leading: 0,
            side,
        }
    }

    /// The center of `side` pixels; a larger `crop` is filled with zeros, the odd one before the image for Pillow
    /// and after it for torchvision.
    pub(crate) fn center(side: usize, crop: usize, kind: ProcessorKind) -> Self {
        if crop <= side {
            let start = (side - crop) / 2;
            return Self {
                window: start..start + crop,
                leading: 0,
                side: crop,
            };
        }
        let missing = crop - side;
        let leading = match kind {
            ProcessorKind::Pil => missing.div_ceil(2),
            ProcessorKind::Torchvision => missing / 2,
        };
        Self {
            window: 0..side,
            leading,
            side: crop,
        }
    }
}

/// Fails when an image of this size is beyond the limit.
pub(crate) fn check_result(height: usize, width: usize, limits: &Limits) -> Result<(), ImageError> {
    let (width, height, limit) = (width as u64, height as u64, limits.max_pixels);
    match width.checked_mul(height) {
        Some(pixels) if pixels <= limit => Ok(()),
        _ => Err(ImageError::ResultTooLarge { width, height, limit }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shortest_edge_keeps_the_aspect_ratio_rounded_down() {
        let size = SizeDict::ShortestEdge(224);
        assert_eq!(resized(&size, (1080, 1920)).unwrap(), (224, 398));
        assert_eq!(resized(&size, (1920, 1080)).unwrap(), (398, 224));
        assert_eq!(resized(&size, (100, 100)).unwrap(), (224, 224));
        assert_eq!(resized(&size, (2, 20_000)).unwrap(), (224, 2_240_000));
    }

    #[test]
    fn a_longest_edge_limits_the_shortest() {
        let size = SizeDict::ShortestLongest {
            shortest_edge: 800,
            longest_edge: 1333,
        };
        assert_eq!(resized(&size, (480, 640)).unwrap(), (800, 1066));
        assert_eq!(resized(&size, (480, 1280)).unwrap(), (500, 1333));
    }

    #[test]
    fn max_height_and_width_fit_the_image_inside() {
        let size = SizeDict::MaxHeightWidth {
            max_height: 200,
            max_width: 500,
        };
        assert_eq!(resized(&size, (100, 200)).unwrap(), (200, 400));
    }

    #[test]
    fn sizes_that_transformers_accepts_and_cannot_resize_to_are_errors() {
        for size in [
            SizeDict::LongestEdge(5),
            SizeDict::Pixels {
                min_pixels: 1,
                max_pixels: 2,
            },
        ] {
            let message = resized(&size, (3, 4)).unwrap_err().to_string();
            assert!(
                message.starts_with("Size must contain 'height' and 'width' keys"),
                "{message}"
            );
        }
        let flat = SizeDict::MaxHeightWidth {
            max_height: 5,
            max_width: 5,
        };
        assert!(
            resized(&flat, (1000, 1))
                .unwrap_err()
                .to_string()
                .contains("must be > 0")
        );
    }

    #[test]
    fn a_crop_larger_than_the_image_pads_the_odd_pixel_before_or_after() {
        let pil = Crop::center(3, 8, ProcessorKind::Pil);
        assert_eq!(
            pil,
            Crop {
                window: 0..3,
                leading: 3,
                side: 8
            }
        );
        let torch = Crop::center(3, 8, ProcessorKind::Torchvision);
        assert_eq!(
            torch,
            Crop {
                window: 0..3,
                leading: 2,
                side: 8
            }
        );
        assert_eq!(Crop::center(9, 4, ProcessorKind::Pil).window, 2..6);
    }
}
