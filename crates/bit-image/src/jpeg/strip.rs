//! The samples of one row of MCUs, and the rows of pixels that they make.

use super::colour;
use super::header::Frame;
use super::huffman::Block;
use super::{Kernels, Window, idct};
use crate::resize::Plane;

/// Rows of pixels that are handed out together: as many as the horizontal pass takes.
const TOGETHER: usize = 4;

/// Bytes after the last pixel that a vector load may read.
const SLACK: usize = 16;

/// A block of an MCU: its component, and where it lies among that component's blocks.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) component: usize,
    x: usize,
    y: usize,
}

/// The blocks of an MCU in the order in which they are coded.
fn blocks(ratio: (usize, usize)) -> &'static [Place] {
    const fn place(component: usize, x: usize, y: usize) -> Place {
        Place { component, x, y }
    }
    const CB: Place = place(1, 0, 0);
    const CR: Place = place(2, 0, 0);
    match ratio {
        (1, _) => const { &[place(0, 0, 0), CB, CR] },
        (_, 1) => const { &[place(0, 0, 0), place(0, 1, 0), CB, CR] },
        _ => {
            const {
                &[
                    place(0, 0, 0),
                    place(0, 1, 0),
                    place(0, 0, 1),
                    place(0, 1, 1),
                    CB,
                    CR,
                ]
            }
        }
    }
}

/// What all strips of a picture have in common.
#[derive(Debug)]
pub(super) struct Layout {
    /// MCUs of the picture.
    pub(super) across: usize,
    pub(super) down: usize,
    /// The blocks of an MCU in the order in which they are coded.
    pub(super) blocks: &'static [Place],
    /// Luma samples for each sample of chroma, in a row and in a column.
    ratio: (usize, usize),
    /// Pixels in a row of a strip.
    width: usize,
    /// Samples of chroma in a row that belong to the picture.
    chroma_width: usize,
    /// Rows of chroma in the picture.
    chroma_height: usize,
    height: usize,
}

impl Layout {
    pub(super) fn new(frame: &Frame<'_>, window: &Window) -> Self {
        let (horizontal, vertical) = frame.ratio;
        let chroma_width = frame.width.div_ceil(horizontal);
        Self {
            across: frame.width.div_ceil(8 * horizontal),
            down: frame.height.div_ceil(8 * vertical),
            blocks: blocks(frame.ratio),
            ratio: frame.ratio,
            width: window.across.len() * 8 * horizontal,
            chroma_width: chroma_width.min(window.across.end * 8) - window.across.start * 8,
            chroma_height: frame.height.div_ceil(vertical),
            height: frame.height,
        }
    }

    /// Samples in a row of a component.
    fn stride(&self, component: usize) -> usize {
        if component == 0 {
            self.width
        } else {
            self.width / self.ratio.0
        }
    }

    /// Rows of a component. Chroma has those above and below the strip, which upsampling looks at.
    fn rows(&self, component: usize) -> usize {
        if component == 0 {
            8 * self.ratio.1
        } else {
            1 + 8 + 1
        }
    }
}

/// Samples of the three components.
#[derive(Debug, Default)]
pub(super) struct Strip {
    planes: [Vec<u8>; 3],
    /// Which row of MCUs this is.
    pub(super) row: usize,
}

/// Buffers for rows of pixels.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sums: Vec<u16>,
    chroma: [Vec<u8>; 2],
    pixels: Vec<u8>,
}

impl Strip {
    /// Makes room.
    pub(super) fn fit(&mut self, layout: &Layout) {
        for (component, plane) in self.planes.iter_mut().enumerate() {
            plane.resize(layout.stride(component) * layout.rows(component), 0);
        }
    }

    /// Transforms a block into its place in the MCU `across` of the strip.
    #[inline(always)]
    pub(super) fn put(
        &mut self,
        layout: &Layout,
        place: &Place,
        across: usize,
        block: &Block,
        kernels: impl Kernels,
    ) {
        let (columns, top) = if place.component == 0 {
            (layout.ratio.0, 8 * place.y)
        } else {
            (1, 1)
        };
        let stride = layout.stride(place.component);
        let start = top * stride + (across * columns + place.x) * 8;
        let samples = match block.present {
            1 => [[idct::flat(block.values[0]); 8]; 8],
            present if present >> 8 == 0 => idct::samples(block),
            _ => kernels.samples(block),
        };
        let plane = &mut self.planes[place.component][start..];
        for (y, samples) in samples.iter().enumerate() {
            plane[y * stride..][..8].copy_from_slice(samples);
        }
    }

    /// Exchanges the rows of chroma at the border with the strip below.
    pub(super) fn join(&mut self, below: &mut Self, layout: &Layout) {
        let stride = layout.stride(1);
        for (upper, lower) in self.planes.iter_mut().zip(&mut below.planes).skip(1) {
            upper[9 * stride..].copy_from_slice(&lower[stride..2 * stride]);
            lower[..stride].copy_from_slice(&upper[8 * stride..9 * stride]);
        }
        if self.row == 0 {
            self.begin(layout);
        }
    }

    /// The first row of chroma is its own neighbour above.
    fn begin(&mut self, layout: &Layout) {
        let stride = layout.stride(1);
        self.planes[1..]
            .iter_mut()
            .for_each(|plane| plane.copy_within(stride..2 * stride, 0));
    }

    /// The last row of chroma is its own neighbour below.
    pub(super) fn end(&mut self, layout: &Layout) {
        let stride = layout.stride(1);
        let rows = (layout.chroma_height - 8 * self.row).min(8);
        for plane in &mut self.planes[1..] {
            plane.copy_within(rows * stride..(rows + 1) * stride, (rows + 1) * stride);
        }
        if self.row == 0 {
            self.begin(layout);
        }
    }

    /// Converts the rows of pixels that are wanted.
    #[inline(always)]
    pub(super) fn hand_out(
        &self,
        layout: &Layout,
        window: &Window,
        rows: &mut Rows,
        kernels: impl Kernels,
        sink: &mut dyn FnMut(usize, Plane<'_>),
    ) {
        let top = self.row * layout.rows(0);
        let end = (top + layout.rows(0)).min(window.rows.end).min(layout.height);
        let stride = 3 * layout.width;
        rows.pixels.resize(TOGETHER * stride + SLACK, 0);
        rows.chroma
            .iter_mut()
            .for_each(|chroma| chroma.resize(layout.width, 0));
        for first in (top.max(window.rows.start)..end).step_by(TOGETHER) {
            let height = TOGETHER.min(end - first);
            for row in 0..height {
                self.convert(layout, first + row - top, row * stride, rows, kernels);
            }
            let plane = Plane {
                data: &rows.pixels,
                height,
                width: layout.width,
                channels: 3,
            };
            sink(first, plane);
        }
    }

    /// Converts row `y` of the strip into `rows.pixels`, from byte `to` on.
    #[inline(always)]
    fn convert(&self, layout: &Layout, y: usize, to: usize, rows: &mut Rows, kernels: impl Kernels) {
        let Rows { sums, chroma, pixels } = rows;
        let stride = layout.stride(1);
        // A row of the picture's samples of chroma; row 0 is the one above the strip.
        let samples =
            |component: usize, row: usize| &self.planes[component][row * stride..][..layout.chroma_width];
        for (component, out) in (1..).zip(chroma.iter_mut()) {
            match layout.ratio {
                (1, _) => out[..layout.chroma_width].copy_from_slice(samples(component, 1 + y)),
                (_, 1) => colour::twice_as_wide(samples(component, 1 + y), out),
                _ => {
                    let near = 1 + y / 2;
                    let far = if y.is_multiple_of(2) { near - 1 } else { near + 1 };
                    colour::twice_as_large(samples(component, near), samples(component, far), sums, out);
                }
            }
        }
        let luma = &self.planes[0][y * layout.width..][..layout.width];
        let pixels = &mut pixels[to..][..3 * layout.width];
        let (luma, cb, cr) = (
            luma.as_chunks::<16>(),
            chroma[0].as_chunks::<16>(),
            chroma[1].as_chunks::<16>(),
        );
        let (vectors, rest) = pixels.as_chunks_mut::<48>();
        for (((pixels, y), cb), cr) in vectors.iter_mut().zip(luma.0).zip(cb.0).zip(cr.0) {
            *pixels = kernels.rgb(y, cb, cr);
        }
        for (((pixel, &y), &cb), &cr) in rest
            .as_chunks_mut::<3>()
            .0
            .iter_mut()
            .zip(luma.1)
            .zip(cb.1)
            .zip(cr.1)
        {
            *pixel = colour::rgb(y, cb, cr);
        }
    }
}
