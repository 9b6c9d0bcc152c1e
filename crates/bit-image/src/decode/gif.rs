//! The first frame of a GIF, in mode "P" or "L".

use std::io::Cursor;

use ::gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::Limits;
use crate::picture::{Mode, Samples, Transparency};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits, mut canvas: Vec<u8>) -> Result<Picture, ImageError> {
    let error = |error| ImageError::decode("GIF", error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.check_lzw_end_code(false);
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(error)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let background = colour(
        global.as_deref().unwrap_or_default(),
        decoder.bg_color().unwrap_or(0),
    );

    let frame = decoder.next_frame_info().map_err(error)?;
    let frame = frame
        .ok_or_else(|| ImageError::decode("GIF", "image not found in GIF frame"))?
        .clone();
    let [left, top, frame_width, frame_height] =
        [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    // A frame that leaves the screen enlarges it, as in Pillow.
    let (width, height) = (screen.0.max(left + frame_width), screen.1.max(top + frame_height));
    let (width, height) = limits.check(width as u64, height as u64)?;

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(error)?;
    canvas.clear();
    canvas.resize(width * height, frame.transparent.unwrap_or(0));
    for (y, row) in indices.chunks_exact(frame_width.max(1)).enumerate() {
        canvas[(top + y) * width + left..][..frame_width].copy_from_slice(row);
    }

    let palette = frame.palette.or(global).unwrap_or_default();
    let mut picture = picture(width, height, canvas, &palette, frame.transparent);
    picture.background = Some(background);
    Ok(picture)
}

fn colour(palette: &[u8], index: usize) -> [u8; 3] {
    palette.as_chunks::<3>().0.get(index).copied().unwrap_or_default()
}

fn picture(width: usize, height: usize, canvas: Vec<u8>, palette: &[u8], transparent: Option<u8>) -> Picture {
    let colours = palette.as_chunks::<3>().0;
    let gray_ramp = colours.iter().enumerate().all(|(i, &[r, g, b])| {
        let i = i as u8;
        (r, g, b) == (i, i, i)
    });
    if gray_ramp {
        let mut picture = Picture::new(width, height, Mode::L, Samples::Bytes(canvas));
        picture.transparency = transparent.map(|key| Transparency::Colour([key.into(); 3]));
        return picture;
    }
    let alpha = |i: usize| {
        if transparent.map(usize::from) == Some(i) {
            0
        } else {
            255
        }
    };
    let mut picture = Picture::new(width, height, Mode::P, Samples::Bytes(canvas));
    picture.palette = colours
        .iter()
        .enumerate()
        .map(|(i, &[r, g, b])| [r, g, b, alpha(i)])
        .collect();
    picture.transparency = transparent.map(Transparency::Index);
    picture
}
