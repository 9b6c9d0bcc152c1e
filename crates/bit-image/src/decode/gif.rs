//! The first frame of a GIF, in mode "P" or "L".

use std::ops::Range;

use ::gif::{ColorOutput, DecodeOptions, MemoryLimit};

use super::Limits;
use super::progress::Progress;
use crate::array::{Array, Values};
use crate::picture::{Mode, Samples, Transparency};
use crate::{ImageError, Picture};

pub(super) fn decode(bytes: &[u8], limits: &Limits, mut canvas: Vec<u8>) -> Result<Picture, ImageError> {
    let progress = Progress::default();
    let error = |error| progress.error("GIF", error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Unlimited);
    options.check_lzw_end_code(false);
    options.allow_unknown_blocks(true);
    let mut decoder = options.read_info(progress.reader(bytes)).map_err(error)?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let global = decoder.global_palette().map(colours).unwrap_or_default();
    let background = decoder.bg_color().and_then(|index| global.get(index)).copied();

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

    let local = frame.palette.as_deref().map(colours);
    // Pillow shows a frame whose own palette is a ramp of grays in the colours of the screen.
    let palette = local
        .as_ref()
        .filter(|palette| !is_ramp(palette))
        .unwrap_or(&global);
    let mut picture = picture(width, height, canvas, palette, frame.transparent);
    picture.gif = Some(Box::new(Frame {
        // torchvision enlarges the screen to the frame's size, wherever the frame lies.
        screen: (screen.0.max(frame_width), screen.1.max(frame_height)),
        background: background.unwrap_or_default(),
        columns: left..left + frame_width,
        rows: top..top + frame_height,
        palette: local.unwrap_or(global),
        clear: frame.transparent,
    }));
    Ok(picture)
}

/// What torchvision shows of a GIF: the frame in its own colours on the background of the screen.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// Columns and rows.
    screen: (usize, usize),
    background: [u8; 3],
    columns: Range<usize>,
    rows: Range<usize>,
    palette: Vec<[u8; 3]>,
    clear: Option<u8>,
}

impl Frame {
    /// The screen in RGB, from the indices of Pillow's canvas, which is `width` wide.
    pub(crate) fn on_background(&self, canvas: &[u8], width: usize) -> Array {
        let (columns, rows) = self.screen;
        let mut pixels = self.background.repeat(columns * rows);
        let (pixels_of_screen, _) = pixels.as_chunks_mut::<3>();
        for y in self.rows.start..self.rows.end.min(rows) {
            for x in self.columns.start..self.columns.end.min(columns) {
                let index = canvas[y * width + x];
                if Some(index) != self.clear {
                    let colour = self.palette.get(usize::from(index));
                    pixels_of_screen[y * columns + x] = colour.copied().unwrap_or_default();
                }
            }
        }
        Array {
            height: rows,
            width: columns,
            channels: 3,
            values: Values::U8(pixels),
        }
    }
}

fn colours(palette: &[u8]) -> Vec<[u8; 3]> {
    palette.as_chunks::<3>().0.to_vec()
}

/// True for a palette that changes nothing.
fn is_ramp(palette: &[[u8; 3]]) -> bool {
    let mut grays = palette.iter().enumerate();
    grays.all(|(i, colour)| *colour == [i as u8; 3])
}

fn picture(width: usize, height: usize, canvas: Vec<u8>, palette: &[[u8; 3]], clear: Option<u8>) -> Picture {
    if is_ramp(palette) {
        let mut picture = Picture::new(width, height, Mode::L, Samples::Bytes(canvas));
        picture.transparency = clear.map(|key| Transparency::Colour([key.into(); 3]));
        return picture;
    }
    let alpha = |i: usize| if clear.map(usize::from) == Some(i) { 0 } else { 255 };
    let mut picture = Picture::new(width, height, Mode::P, Samples::Bytes(canvas));
    let entries = palette.iter().enumerate();
    picture.palette = entries.map(|(i, &[r, g, b])| [r, g, b, alpha(i)]).collect();
    picture.transparency = clear.map(Transparency::Index);
    picture
}
