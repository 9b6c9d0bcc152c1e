//! From a resized and cropped image to its place in a tensor.

use bit_config::ChannelDimension;

use crate::ImageError;
use crate::array::Values;
use crate::geometry::Crop;
use crate::options::{Padding, Settings};
use crate::processor::ProcessorKind;
use crate::values::ValueMap;

/// A batch ready for the network.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelValues {
    /// All values, row-major in the order of `layout`.
    pub data: Vec<f32>,
    /// `[batch, channels, height, width]`, whatever the layout.
    pub shape: [usize; 4],
    /// Whether `data` is ordered `[batch, channels, height, width]` or `[batch, height, width, channels]`.
    pub layout: ChannelDimension,
}

/// One image ready for the network.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageValues {
    /// All values, row-major in the order of `layout`.
    pub data: Vec<f32>,
    /// `[channels, height, width]`, whatever the layout.
    pub shape: [usize; 3],
    /// Whether `data` is ordered `[channels, height, width]` or `[height, width, channels]`.
    pub layout: ChannelDimension,
}

/// An image after resize and crop, to be written as a tensor of shape `[channels, rows.side, columns.side]`.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// What was kept of the image, without the crop's zeros.
    pub(crate) values: Values,
    /// Bytes stand for fractions of 255.
    pub(crate) unit: bool,
    pub(crate) channels: usize,
    pub(crate) rows: Crop,
    pub(crate) columns: Crop,
}

impl Prepared {
    /// Channels, height, width.
    pub(crate) fn shape(&self) -> [usize; 3] {
        [self.channels, self.rows.side, self.columns.side]
    }

    /// Rescales and normalizes into the top left of `out`, a tensor of shape `shape`; the rest becomes zeros.
    pub(crate) fn write(
        &self,
        settings: &Settings<'_>,
        kind: ProcessorKind,
        shape: [usize; 3],
        map: &mut ValueMap,
        out: &mut [f32],
    ) -> Result<(), ImageError> {
        map.fill(settings, kind, self.channels)?;
        if shape != self.shape() {
            out.fill(0.0);
        }
        let place = Place::new(settings.data_format, shape);
        match &self.values {
            Values::U8(bytes) | Values::Bool(bytes) => {
                let tables = map.tables(self.channels, self.unit);
                self.fill(bytes, |byte, c| tables[c][usize::from(byte)], place, out);
            }
            Values::U16(words) => self.fill(words, |word, c| map.apply(word.into(), c), place, out),
            Values::F32(floats) => self.fill(floats, |value, c| map.apply(value, c), place, out),
        }
        Ok(())
    }

    /// Places mapped values; the crop's zeros are mapped too.
    fn fill<T: Copy + Default>(
        &self,
        values: &[T],
        map: impl Fn(T, usize) -> f32,
        place: Place,
        out: &mut [f32],
    ) {
        let (rows, columns) = (&self.rows, &self.columns);
        let padded = columns.window.len() < columns.side || rows.window.len() < rows.side;
        for c in 0..self.channels {
            if padded {
                let zero = map(T::default(), c);
                for y in 0..rows.side {
                    place
                        .row(out, c, y, 0)
                        .take(columns.side)
                        .for_each(|value| *value = zero);
                }
            }
            let stride = (columns.window.len() * self.channels).max(1);
            for (y, row) in values.chunks_exact(stride).enumerate() {
                let pixels = row[c..].iter().step_by(self.channels);
                let out = place.row(out, c, rows.leading + y, columns.leading);
                out.zip(pixels).for_each(|(out, &value)| *out = map(value, c));
            }
        }
    }
}

/// Where the values of a tensor lie.
#[derive(Debug, Clone, Copy)]
struct Place {
    channel: usize,
    row: usize,
    column: usize,
}

impl Place {
    fn new(layout: ChannelDimension, [channels, height, width]: [usize; 3]) -> Self {
        match layout {
            ChannelDimension::First => Self {
                channel: height * width,
                row: width,
                column: 1,
            },
            ChannelDimension::Last => Self {
                channel: 1,
                row: width * channels,
                column: channels,
            },
        }
    }

    /// A channel's values from row `y`, column `x` on.
    fn row<'a>(&self, out: &'a mut [f32], c: usize, y: usize, x: usize) -> impl Iterator<Item = &'a mut f32> {
        out[c * self.channel + y * self.row + x * self.column..]
            .iter_mut()
            .step_by(self.column)
    }
}

/// The shape that all images of a batch are padded to, or have; `name` tells how an error names an image.
pub(crate) fn batch_shape(
    images: &[Prepared],
    settings: &Settings<'_>,
    name: impl Fn(usize) -> String,
) -> Result<[usize; 3], ImageError> {
    let first = images.first().ok_or(ImageError::NoImages)?.shape();
    let largest = |side: usize| images.iter().map(|image| image.shape()[side]).max().unwrap_or(0);
    let padded = match settings.pad {
        None => None,
        Some(Padding::Batch) => Some((largest(1), largest(2))),
        Some(Padding::To(height, width)) => Some((height, width)),
    };
    let common = padded.map_or(first, |(height, width)| [first[0], height, width]);
    for (index, found) in images.iter().map(Prepared::shape).enumerate() {
        if padded.is_some() && (found[1] > common[1] || found[2] > common[2]) {
            let error = ImageError::Argument(format!(
                "Padding dimensions are negative. Please make sure that the `pad_size` is larger than the image \
                 size. Got pad_size=({}, {}), image_size=({}, {}).",
                common[1], common[2], found[1], found[2]
            ));
            return Err(error.in_image(name(index)));
        }
        if found[0] != first[0] || (padded.is_none() && found != first) {
            return Err(ImageError::Ragged {
                first_image: name(0).into(),
                first,
                image: name(index).into(),
                found,
            });
        }
    }
    Ok(common)
}
