//! Pillow's premultiplied modes, in which pictures with alpha are resized.

use crate::convert::mul_div_255;

/// True for gray and RGB with alpha.
pub(crate) fn applies(channels: usize) -> bool {
    matches!(channels, 2 | 4)
}

/// "LA" to "La", "RGBA" to "RGBa".
pub(crate) fn multiply(pixels: &mut [u8], channels: usize) {
    for pixel in pixels.chunks_exact_mut(channels) {
        if let [colours @ .., alpha] = pixel {
            colours
                .iter_mut()
                .for_each(|colour| *colour = mul_div_255(*colour, *alpha));
        }
    }
}

/// "La" to "LA", "RGBa" to "RGBA".
pub(crate) fn divide(pixels: &mut [u8], channels: usize) {
    for pixel in pixels.chunks_exact_mut(channels) {
        match pixel {
            [_, 0 | 255] | [_, _, _, 0 | 255] => {}
            [colours @ .., alpha] => {
                let divided = |colour: u8| (255 * u32::from(colour) / u32::from(*alpha)).min(255) as u8;
                colours.iter_mut().for_each(|colour| *colour = divided(*colour));
            }
            [] => {}
        }
    }
}
