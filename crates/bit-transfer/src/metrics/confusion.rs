//! Which class is taken for which, as CSV and PNG.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::TransferError;
use crate::atomic;

/// With more classes than these only those that occur are written.
const ALL_CLASSES: usize = 1000;
/// Most pixels a side of the picture, and with that most classes in it.
const MAX_SIDE: usize = 16_384;
/// Sides of the picture and of a cell are about as large as this where there are few classes.
const SIDE: usize = 1024;
const MAX_CELL: usize = 48;

/// How often a class was taken for another: rows are what pictures show, columns what they were taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: Vec<String>,
    counts: BTreeMap<(usize, usize), u64>,
}

impl Confusion {
    pub(super) fn new(classes: &[String]) -> Self {
        Self {
            classes: classes.to_vec(),
            counts: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, class: usize, predicted: usize) {
        *self.counts.entry((class, predicted)).or_default() += 1;
    }

    /// How many pictures of `class` were taken for `predicted`.
    pub fn count(&self, class: usize, predicted: usize) -> u64 {
        self.counts.get(&(class, predicted)).copied().unwrap_or(0)
    }

    /// Pairs of different classes, `(class, predicted, pictures)`, the most frequent first.
    pub fn pairs(&self) -> Vec<(&str, &str, u64)> {
        let different = self
            .counts
            .iter()
            .filter(|((class, predicted), _)| class != predicted);
        let named = |((class, predicted), count): (&(usize, usize), &u64)| {
            (
                self.classes[*class].as_str(),
                self.classes[*predicted].as_str(),
                *count,
            )
        };
        let mut pairs: Vec<_> = different.map(named).collect();
        pairs.sort_by_key(|(.., count)| std::cmp::Reverse(*count));
        pairs
    }

    /// Writes the matrix as a table with a line and a column a class (with more than 1000 classes: a class that
    /// occurs).
    ///
    /// # Errors
    /// [`TransferError::Io`].
    pub fn write_csv(&self, path: &Path) -> Result<(), TransferError> {
        let classes = self.written();
        atomic::write(path, |file| {
            let mut table = csv::Writer::from_writer(file);
            let names = classes.iter().map(|class| self.classes[*class].as_str());
            table.write_record(std::iter::once("label \\ predicted").chain(names))?;
            for class in &classes {
                let counts = classes
                    .iter()
                    .map(|predicted| self.count(*class, *predicted).to_string());
                table.write_record(std::iter::once(self.classes[*class].clone()).chain(counts))?;
            }
            table.flush()
        })
    }

    /// Writes the matrix as a picture: a cell is the darker, the larger a share of its line it has. Classes as in
    /// [`write_csv`](Self::write_csv), from top to bottom and from left to right.
    ///
    /// # Errors
    /// [`TransferError::Io`]; [`TransferError::Argument`] when there are no classes or too many for a picture.
    pub fn write_png(&self, path: &Path) -> Result<(), TransferError> {
        let classes = self.written();
        if classes.is_empty() || classes.len() > MAX_SIDE {
            return Err(TransferError::Argument(format!(
                "{}: a picture of {} classes; expected 1 to {MAX_SIDE}",
                path.display(),
                classes.len()
            )));
        }
        let cell = (SIDE / classes.len()).clamp(1, MAX_CELL);
        let side = cell * classes.len();
        let pixels = self.pixels(&classes, cell);
        atomic::write(path, |file| {
            let mut encoder = png::Encoder::new(file, side as u32, side as u32);
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.set_palette(palette());
            let mut writer = encoder.write_header()?;
            writer.write_image_data(&pixels)?;
            Ok(writer.finish()?)
        })
    }

    /// Indices of the classes that are written.
    fn written(&self) -> Vec<usize> {
        if self.classes.len() <= ALL_CLASSES {
            return (0..self.classes.len()).collect();
        }
        let occurring: BTreeSet<usize> = self
            .counts
            .keys()
            .flat_map(|(class, predicted)| [*class, *predicted])
            .collect();
        occurring.into_iter().collect()
    }

    /// Shades, 255 being a whole line.
    fn pixels(&self, classes: &[usize], cell: usize) -> Vec<u8> {
        let place: BTreeMap<usize, usize> = classes.iter().copied().zip(0..).collect();
        let mut totals = BTreeMap::<usize, u64>::new();
        for ((class, _), count) in &self.counts {
            *totals.entry(*class).or_default() += count;
        }
        let side = cell * classes.len();
        let mut pixels = vec![0; side * side];
        for ((class, predicted), count) in &self.counts {
            let share = *count as f64 / totals[class] as f64;
            let (top, left) = (place[class] * cell, place[predicted] * cell);
            for row in pixels.chunks_exact_mut(side).skip(top).take(cell) {
                row[left..left + cell].fill((share * 255.0).ceil() as u8);
            }
        }
        pixels
    }
}

/// From white through blue to almost black.
fn palette() -> Vec<u8> {
    let ends = [[255.0, 255.0, 255.0], [66.0, 133.0, 199.0], [8.0, 29.0, 88.0]];
    let colour = |shade: u16| {
        let place = f64::from(shade) / 255.0 * 2.0;
        let (from, share) = if place < 1.0 { (0, place) } else { (1, place - 1.0) };
        [0, 1, 2].map(|channel| (ends[from][channel] * (1.0 - share) + ends[from + 1][channel] * share) as u8)
    };
    (0..256).flat_map(colour).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn confusion() -> Confusion {
        let mut confusion = Confusion::new(&["cat", "dog, small"].map(String::from));
        for (class, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
            confusion.add(class, predicted);
        }
        confusion
    }

    #[test]
    fn the_table_has_a_line_and_a_column_a_class() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.csv");
        confusion().write_csv(&path).unwrap();
        let expected = "label \\ predicted,cat,\"dog, small\"\ncat,2,1\n\"dog, small\",0,1\n";
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn the_picture_has_a_cell_a_pair_and_is_darkest_where_all_are_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.png");
        confusion().write_png(&path).unwrap();
        let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!((info.width, info.height), (96, 96));
        let cell = |row: usize, column: usize| pixels[(row * 48 + 20) * 96 + column * 48 + 20];
        assert_eq!(
            [cell(0, 0), cell(0, 1), cell(1, 0), cell(1, 1)],
            [170, 85, 0, 255]
        );
    }

    #[test]
    fn many_classes_are_written_when_they_occur() {
        let classes: Vec<String> = (0..2000).map(|class| class.to_string()).collect();
        let mut confusion = Confusion::new(&classes);
        confusion.add(7, 1999);
        assert_eq!(confusion.written(), [7, 1999]);
        assert_eq!(confusion.pairs(), [("7", "1999", 1)]);
    }
}
