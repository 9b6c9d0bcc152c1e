//! Which convolutions are computed by Winograd's algorithms.

use super::four_taps::FourTaps;
use super::transform::{EveryOtherPixel, EveryPixel, Scheme};
use crate::cpu::micro::BLOCK;
use crate::cpu::shape::{Geometry, Window};
use crate::cpu::weights::Packed;

/// Tiles below which every other pixel is not worth its transforms.
const FEW_TILES: usize = 8;

/// Whether this convolution can be computed here, and better so.
pub(in crate::cpu) fn applies(geometry: &Geometry, weights: &Packed) -> bool {
    let (window, output) = (geometry.window, geometry.output);
    let side = |size: usize| size.div_ceil(EveryOtherPixel::OUT);
    let tiles = output.images * side(output.height) * side(output.width);
    let strided = window == window_of::<EveryOtherPixel>() && tiles >= FEW_TILES;
    // For folded images: sums over more channels would round more than a plain product's.
    let four_taps = window == window_of::<FourTaps>() && geometry.input.channels == BLOCK;
    (window == window_of::<EveryPixel>() || strided || four_taps)
        && geometry.input.channels.is_multiple_of(BLOCK)
        && weights.channels.is_multiple_of(weights.isa.panel_width())
}

/// The window that a scheme is for.
pub(super) fn window_of<W: Scheme>() -> Window {
    Window::square(W::TAPS, W::STRIDE)
}
