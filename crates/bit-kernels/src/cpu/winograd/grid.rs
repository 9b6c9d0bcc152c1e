//! How an output is cut into tiles.

use std::ops::Range;

use super::transform::Scheme;
use crate::cpu::shape::Geometry;

/// A stretch of output rows or columns that tiles cover: the scheme's `OUT` of them, or one less.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    first: usize,
    /// Those inside the output.
    count: usize,
    short: bool,
}

/// As few spans as cover `size`, and as many short ones among them as that allows: fourteen are 4 + 4 + 3 + 3.
fn spans<W: Scheme>(size: usize) -> impl Iterator<Item = Span> + Clone {
    let all = size.div_ceil(W::OUT);
    let short = if W::SHORT { all * W::OUT - size } else { 0 };
    let long = all - short.min(all);
    (0..all).map(move |index| {
        let first = index * W::OUT - index.saturating_sub(long);
        let short = index >= long;
        let count = (size - first).min(W::OUT - usize::from(short));
        Span { first, count, short }
    })
}

/// Where a tile lies.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) image: usize,
    /// Its first output row and column.
    pub(super) corner: [usize; 2],
    /// Its rows and columns inside the output.
    pub(super) extent: [usize; 2],
    /// Whether it is one short of the scheme's rows, or columns.
    pub(super) short: [bool; 2],
}

/// The tiles of a convolution's output, of all images.
///
/// A tile that is short takes no part in the products of some points. So that those who do are neighbours, whatever the
/// point, tiles that are short in rows come first, then those in nothing, in columns, and in both.
pub(super) struct Grid<'a> {
    pub(super) geometry: &'a Geometry,
    places: Vec<Place>,
    /// The end of each kind's tiles.
    ends: [usize; 4],
}

/// The kinds of tiles, by what they are short in, in their order.
const KINDS: [[bool; 2]; 4] = [[true, false], [false, false], [false, true], [true, true]];

impl<'a> Grid<'a> {
    pub(super) fn new<W: Scheme>(geometry: &'a Geometry) -> Grid<'a> {
        let (mut places, mut ends) = (Vec::new(), [0; 4]);
        for (kind, end) in KINDS.into_iter().zip(&mut ends) {
            let down = spans::<W>(geometry.output.height).filter(|span| span.short == kind[0]);
            let across = spans::<W>(geometry.output.width).filter(|span| span.short == kind[1]);
            for image in 0..geometry.output.images {
                let pairs = down.clone().flat_map(|y| across.clone().map(move |x| (y, x)));
                places.extend(pairs.map(|(y, x)| Place {
                    image,
                    corner: [y.first, x.first],
                    extent: [y.count, x.count],
                    short: kind,
                }));
            }
            *end = places.len();
        }
        Grid {
            geometry,
            places,
            ends,
        }
    }

    /// Tiles in all.
    pub(super) fn tiles(&self) -> usize {
        self.places.len()
    }

    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> &Place {
        &self.places[tile]
    }

    /// The tiles that take part in points which short rows, or short columns, do without.
    #[inline(always)]
    pub(super) fn taking_part(&self, [only_tall, only_wide]: [bool; 2]) -> Range<usize> {
        let [short_rows, whole, short_columns, all] = self.ends;
        match (only_tall, only_wide) {
            (false, false) => 0..all,
            (false, true) => 0..whole,
            (true, false) => short_rows..short_columns,
            (true, true) => short_rows..whole,
        }
    }

    /// Output pixels of `image` in `tiles`.
    pub(super) fn pixels(&self, image: usize, tiles: Range<usize>) -> usize {
        let places = self.places[tiles].iter().filter(|place| place.image == image);
        places.map(|place| place.extent[0] * place.extent[1]).sum()
    }
}

/// What two ranges have in common.
#[inline(always)]
pub(super) fn common(a: &Range<usize>, b: &Range<usize>) -> Range<usize> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::winograd::four_taps::FourTaps;
    use crate::cpu::winograd::transform::EveryPixel;

    fn check_spans<W: Scheme>(size: usize) {
        let spans: Vec<Span> = spans::<W>(size).collect();
        assert_eq!(spans.len(), size.div_ceil(W::OUT));
        let mut next = 0;
        for span in spans {
            assert_eq!(span.first, next, "{size}");
            assert!(
                span.count > 0 && span.count <= W::OUT - usize::from(span.short),
                "{size}"
            );
            next += span.count;
        }
        assert_eq!(next, size);
    }

    #[test]
    fn spans_cover_every_size_once_by_as_few_tiles_as_whole_ones_alone() {
        for size in 1..40 {
            check_spans::<EveryPixel>(size);
            check_spans::<FourTaps>(size);
        }
    }

    #[test]
    fn fourteen_are_two_fours_and_two_threes() {
        let counts: Vec<usize> = spans::<EveryPixel>(14).map(|span| span.count).collect();
        assert_eq!(counts, [4, 4, 3, 3]);
    }
}
