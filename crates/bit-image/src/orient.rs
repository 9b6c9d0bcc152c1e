//! Turning an image upright, as its EXIF orientation asks for.

use image::metadata::Orientation;

use crate::array::{Array, Values};
use crate::scratch::Memory;

/// Applies an orientation (Pillow's `ImageOps.exif_transpose`).
pub(crate) fn upright(array: Array, orientation: Orientation, memory: &mut Memory) -> Array {
    if orientation == Orientation::NoTransforms {
        return array;
    }
    let turn = Turn::new(orientation, array.height, array.width, array.channels);
    let values = match &array.values {
        Values::U8(bytes) => Values::U8(turn.apply_into(bytes, memory.bytes.take())),
        Values::U16(words) => Values::U16(turn.apply_into(words, memory.words.take())),
        Values::Bool(bytes) => Values::Bool(turn.apply_into(bytes, memory.bytes.take())),
        Values::F32(floats) => Values::F32(turn.apply_into(floats, memory.floats.take())),
    };
    memory.keep(array.values);
    let (height, width) = turn.size();
    Array {
        height,
        width,
        channels: array.channels,
        values,
    }
}

/// A way to turn images of one size.
pub(crate) struct Turn {
    transposed: bool,
    flip_rows: bool,
    flip_columns: bool,
    height: usize,
    width: usize,
    channels: usize,
}

impl Turn {
    pub(crate) fn new(orientation: Orientation, height: usize, width: usize, channels: usize) -> Self {
        let orientation = orientation.to_exif();
        Self {
            transposed: orientation >= 5,
            flip_rows: matches!(orientation, 3 | 4 | 6 | 7),
            flip_columns: matches!(orientation, 2 | 3 | 7 | 8),
            height,
            width,
            channels,
        }
    }

    /// Height and width of the turned image.
    pub(crate) fn size(&self) -> (usize, usize) {
        if self.transposed {
            (self.width, self.height)
        } else {
            (self.height, self.width)
        }
    }

    /// The turned pixels.
    pub(crate) fn apply<T: Copy>(&self, values: &[T]) -> Vec<T> {
        self.apply_into(values, Vec::new())
    }

    /// The turned pixels, in the memory of `out`.
    fn apply_into<T: Copy>(&self, values: &[T], mut out: Vec<T>) -> Vec<T> {
        let (rows, columns) = self.size();
        out.clear();
        out.reserve(values.len());
        for y in 0..rows {
            for x in 0..columns {
                let (row, column) = if self.transposed { (x, y) } else { (y, x) };
                let row = if self.flip_rows {
                    self.height - 1 - row
                } else {
                    row
                };
                let column = if self.flip_columns {
                    self.width - 1 - column
                } else {
                    column
                };
                let at = (row * self.width + column) * self.channels;
                out.extend_from_slice(&values[at..at + self.channels]);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn turned(orientation: u8) -> (usize, usize, Values) {
        let values = Values::U8(vec![1, 2, 3, 4, 5, 6]);
        let array = Array {
            height: 2,
            width: 3,
            channels: 1,
            values,
        };
        let array = upright(
            array,
            Orientation::from_exif(orientation).unwrap(),
            &mut Memory::default(),
        );
        (array.height, array.width, array.values)
    }

    #[test]
    fn each_orientation_moves_the_first_row_where_exif_says() {
        assert_eq!(turned(1), (2, 3, Values::U8(vec![1, 2, 3, 4, 5, 6])));
        assert_eq!(turned(2), (2, 3, Values::U8(vec![3, 2, 1, 6, 5, 4])));
        assert_eq!(turned(3), (2, 3, Values::U8(vec![6, 5, 4, 3, 2, 1])));
        assert_eq!(turned(4), (2, 3, Values::U8(vec![4, 5, 6, 1, 2, 3])));
        assert_eq!(turned(5), (3, 2, Values::U8(vec![1, 4, 2, 5, 3, 6])));
        assert_eq!(turned(6), (3, 2, Values::U8(vec![4, 1, 5, 2, 6, 3])));
        assert_eq!(turned(7), (3, 2, Values::U8(vec![6, 3, 5, 2, 4, 1])));
        assert_eq!(turned(8), (3, 2, Values::U8(vec![3, 6, 2, 5, 1, 4])));
    }
}
