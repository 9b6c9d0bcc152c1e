//! How an output is cut into tiles.

use super::transform::OUT;
use crate::cpu::shape::Geometry;

/// How the output of a convolution is cut into tiles of `OUT` by `OUT` pixels, numbered through all images.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    pub(super) geometry: &'a Geometry,
    pub(super) down: usize,
    pub(super) across: usize,
}

impl Grid<'_> {
    /// Tiles in one image.
    pub(super) fn per_image(&self) -> usize {
        self.down * self.across
    }

    /// The image of a tile and its first output row and column.
    #[inline(always)]
    pub(super) fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let (image, at) = (tile / self.per_image(), tile % self.per_image());
        (image, [at / self.across * OUT, at % self.across * OUT])
    }

    /// Rows and columns of a tile that lie inside the output.
    #[inline(always)]
    pub(super) fn extent(&self, [y, x]: [usize; 2]) -> [usize; 2] {
        [
            OUT.min(self.geometry.output.height - y),
            OUT.min(self.geometry.output.width - x),
        ]
    }
}
