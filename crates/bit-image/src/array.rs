//! Pixels as transformers' pipeline sees them after conversion: `[height, width, channels]` of some type.

use bit_config::ChannelDimension;

use crate::ImageError;
use crate::input::{RawData, RawImage};
use crate::processor::ProcessorKind;
use crate::scratch::Memory;

/// Interleaved pixels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) values: Values,
}

/// Pixel values in the type that numpy or torch would hold them in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    U8(Vec<u8>),
    U16(Vec<u16>),
    /// Zero and one, from a black-and-white picture.
    Bool(Vec<u8>),
    F32(Vec<f32>),
}

impl Values {
    /// The values as torch's and numpy's conversions to `float32` give them.
    pub(crate) fn into_f32(self, memory: &mut Memory) -> Vec<f32> {
        let floats = match &self {
            Self::U8(values) | Self::Bool(values) => memory.floats.filled(values.iter().map(|&v| v.into())),
            Self::U16(values) => memory.floats.filled(values.iter().map(|&v| v.into())),
            Self::F32(_) => Vec::new(),
        };
        match self {
            Self::F32(values) => values,
            other => {
                memory.keep(other);
                floats
            }
        }
    }
}

/// Replaces each pixel of `N` values by one of `M`, in the same memory.
pub(crate) fn map_pixels<T: Copy + Default, const N: usize, const M: usize>(
    mut values: Vec<T>,
    map: impl Fn([T; N]) -> [T; M],
) -> Vec<T> {
    /// Pixels that are mapped before any of them is overwritten, which leaves the loop to the vectorizer.
    const BLOCK: usize = 64;
    let count = values.len() / N;
    let replace = |values: &mut [T], block: usize| {
        let (start, end) = (block * BLOCK, count.min((block + 1) * BLOCK));
        let mut mapped = [[T::default(); M]; BLOCK];
        let (pixels, _) = values[start * N..end * N].as_chunks::<N>();
        mapped
            .iter_mut()
            .zip(pixels)
            .for_each(|(mapped, pixel)| *mapped = map(*pixel));
        values[start * M..end * M].copy_from_slice(mapped[..end - start].as_flattened());
    };
    let blocks = 0..count.div_ceil(BLOCK);
    if M > N {
        values.resize(count * M, T::default());
        // From the end, so that every pixel is read before it is overwritten.
        blocks.rev().for_each(|block| replace(&mut values, block));
    } else {
        blocks.for_each(|block| replace(&mut values, block));
        values.truncate(count * M);
    }
    values
}

/// Each value `times` times, in the same memory.
pub(crate) fn repeated(mut values: Vec<f32>, times: usize) -> Vec<f32> {
    let count = values.len();
    values.resize(count * times, 0.0);
    for i in (0..count).rev() {
        let value = values[i];
        values[i * times..][..times].fill(value);
    }
    values
}

impl Array {
    /// Takes raw pixels; channels go last, and to RGB when `convert_rgb` is set.
    pub(crate) fn from_raw(
        raw: &RawImage<'_>,
        format: Option<ChannelDimension>,
        convert_rgb: bool,
        kind: ProcessorKind,
        memory: &mut Memory,
    ) -> Result<Self, ImageError> {
        let shape = raw.shape;
        let expected = shape
            .iter()
            .try_fold(1_usize, |product, &side| product.checked_mul(side));
        let found = raw.data.len();
        if expected != Some(found) || found == 0 {
            let expected = expected.unwrap_or(usize::MAX);
            return Err(ImageError::RawLength {
                found,
                expected,
                shape,
            });
        }
        let format = format.map_or_else(|| infer_format(shape), Ok)?;
        let (height, width, channels) = match format {
            ChannelDimension::First => (shape[1], shape[2], shape[0]),
            ChannelDimension::Last => (shape[0], shape[1], shape[2]),
        };
        if channels > 4 {
            let found = format!("expected 1 to 4 channels, found {channels} in an image of shape {shape:?}");
            return Err(ImageError::Channels(found));
        }
        let values = match &raw.data {
            RawData::U8(values) => Values::U8(interleave(values, format, channels, memory.bytes.take())),
            RawData::F32(values) => Values::F32(interleave(values, format, channels, memory.floats.take())),
        };
        let array = Self {
            height,
            width,
            channels,
            values,
        };
        if convert_rgb {
            array.into_rgb(kind)
        } else {
            Ok(array)
        }
    }

    /// One channel repeats, four are composited on white, in the arithmetic of numpy or torch.
    fn into_rgb(self, kind: ProcessorKind) -> Result<Self, ImageError> {
        let values = match (self.channels, self.values) {
            (1, Values::U8(values)) => Values::U8(map_pixels(values, |[value]| [value; 3])),
            (1, Values::F32(values)) => Values::F32(map_pixels(values, |[value]| [value; 3])),
            (4, Values::U8(values)) => {
                let blend = match kind {
                    ProcessorKind::Pil => numpy_over_white,
                    ProcessorKind::Torchvision => torch_over_white,
                };
                let pixel = |[r, g, b, a]: [u8; 4]| [r, g, b].map(|value| blend(value, a));
                Values::U8(map_pixels(values, pixel))
            }
            (4, Values::F32(values)) => {
                check_range(&values, 1, "RGB")?;
                let pixel = |[r, g, b, a]: [f32; 4]| [r, g, b].map(|value| a * value + (1.0 - a));
                Values::F32(map_pixels(values, pixel))
            }
            (channels, values) => {
                return Ok(Self {
                    channels,
                    values,
                    ..self
                });
            }
        };
        Ok(Self {
            channels: 3,
            values,
            ..self
        })
    }
}

/// transformers' `infer_channel_dimension_format`: first when both ends would do.
fn infer_format(shape: [usize; 3]) -> Result<ChannelDimension, ImageError> {
    match [shape[0], shape[2]].map(|side| matches!(side, 1 | 3 | 4)) {
        [true, _] => Ok(ChannelDimension::First),
        [false, true] => Ok(ChannelDimension::Last),
        [false, false] => Err(ImageError::ChannelDimension(shape)),
    }
}

/// Copies values into `out`, channels last.
fn interleave<T: Copy>(values: &[T], format: ChannelDimension, channels: usize, mut out: Vec<T>) -> Vec<T> {
    out.clear();
    match format {
        ChannelDimension::Last => out.extend_from_slice(values),
        ChannelDimension::First => {
            let plane = values.len() / channels;
            out.reserve(values.len());
            (0..plane).for_each(|i| out.extend((0..channels).map(|c| values[c * plane + i])));
        }
    }
    out
}

/// Fails unless all values lie in `0..=limit`.
pub(crate) fn check_range(values: &[f32], limit: u8, target: &'static str) -> Result<(), ImageError> {
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let ordered = values.iter().all(|value| !value.is_nan());
    if ordered && low >= 0.0 && high <= f32::from(limit) {
        return Ok(());
    }
    Err(ImageError::ValueRange {
        target,
        limit,
        low,
        high,
    })
}

fn numpy_over_white(value: u8, alpha: u8) -> u8 {
    let alpha = f64::from(alpha) / 255.0;
    (alpha * f64::from(value) + (1.0 - alpha) * 255.0).round_ties_even() as u8
}

/// torchvision scales to [0, 1] by multiplying and back with 255.999.
fn torch_over_white(value: u8, alpha: u8) -> u8 {
    const UNIT: f32 = (1.0 / 255.0) as f32;
    let (value, alpha) = (f32::from(value) * UNIT, f32::from(alpha) * UNIT);
    ((value * alpha + (1.0 - alpha)) * 255.999) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_mapped_in_place_whether_they_grow_or_shrink() {
        for count in [0, 1, 63, 64, 65, 200] {
            let values: Vec<u16> = (0..count * 4).collect();
            let longer = map_pixels(values.clone(), |[a, b]| [b, a, a + b]);
            let pairs = values.as_chunks::<2>().0;
            let expected: Vec<_> = pairs.iter().flat_map(|&[a, b]| [b, a, a + b]).collect();
            assert_eq!(longer, expected);
            let shorter = map_pixels(values.clone(), |[a, b, c, d]| [d, a + b + c]);
            let fours = values.as_chunks::<4>().0;
            let expected: Vec<_> = fours.iter().flat_map(|&[a, b, c, d]| [d, a + b + c]).collect();
            assert_eq!(shorter, expected);
        }
    }

    #[test]
    fn values_are_repeated_in_place() {
        assert_eq!(repeated(vec![1.0, 2.0], 3), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(repeated(vec![1.0, 2.0], 1), [1.0, 2.0]);
    }
}
