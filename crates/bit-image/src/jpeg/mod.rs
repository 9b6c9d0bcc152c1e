//! Baseline JPEGs, decoded a few rows at a time and only where they are wanted.
//!
//! The samples are libjpeg-turbo's, bit for bit; what is faster is what is left out. A resize with a center crop reads
//! a part of a picture's columns, so the blocks outside are parsed and not transformed, and its horizontal pass takes
//! rows while they are in the first-level cache, so that no whole picture is ever written.
//!
//! | file | holds |
//! |---|---|
//! | `header.rs` | markers: which files this decoder takes |
//! | `scan.rs` | coded bytes without stuffing, restart intervals |
//! | `huffman.rs` | codes to coefficients |
//! | `idct.rs` | coefficients to samples |
//! | `colour.rs` | upsampling and RGB |
//! | `avx2.rs` | the last two with AVX2 |
//! | `strip.rs` | the samples of a row of MCUs, and the rows of pixels that they make |
//!
//! It takes Y, Cb and Cr in one scan, 4:4:4, 4:2:2 or 4:2:0, and no fault of any kind: everything else, and every file
//! whose data is not exactly what the header promises, is `None` and libjpeg-turbo's to decode or to refuse.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod colour;
mod header;
mod huffman;
mod idct;
mod scan;
mod strip;
#[cfg(all(test, feature = "jpeg-turbo"))]
mod tests;

use std::ops::Range;

pub(crate) use colour::rgb as rgb_of_ycc;
use header::{Frame, Tables};
use huffman::Block;
use scan::Scan;
use strip::{Layout, Strip};

use crate::resize::Plane;

/// A file that this decoder takes. Its tables are in the buffers with which it was opened.
#[derive(Debug)]
pub(crate) struct Baseline<'a>(Frame<'a>);

/// Memory that is kept from picture to picture.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    tables: Tables,
    scan: Scan,
    strips: [Strip; 2],
    rows: strip::Rows,
}

/// The part of a picture that is decoded: whole MCUs around the pixels that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// Pixel rows that are handed out.
    rows: Range<usize>,
    /// MCUs that are transformed.
    down: Range<usize>,
    across: Range<usize>,
    /// The pixel column at which rows start.
    pub(crate) first_column: usize,
}

impl<'a> Baseline<'a> {
    /// Reads the header, and the tables into `buffers`, which the picture is to be decoded with before another one is
    /// opened with them.
    pub(crate) fn open(bytes: &'a [u8], buffers: &mut Buffers) -> Option<Self> {
        Frame::parse(bytes, &mut buffers.tables).map(Self)
    }

    /// Height and width.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.0.height, self.0.width)
    }

    /// Decodes the whole picture to interleaved RGB, into `pixels`; `None` as [`decode`](Self::decode).
    pub(crate) fn whole(&self, buffers: &mut Buffers, pixels: &mut Vec<u8>) -> Option<()> {
        let (height, width) = self.size();
        pixels.clear();
        pixels.reserve_exact(3 * width * height);
        self.decode(&self.window(0..height, 0..width), buffers, &mut |_, plane| {
            (0..plane.height).for_each(|y| pixels.extend_from_slice(&plane.row(y)[..3 * width]));
        })
    }

    /// What has to be decoded for these pixels.
    pub(crate) fn window(&self, rows: Range<usize>, columns: Range<usize>) -> Window {
        let (horizontal, vertical) = self.0.ratio;
        // Upsampling looks at the neighbours of a sample of chroma.
        let mcus = |pixels: &Range<usize>, ratio: usize, side: usize| {
            let (first, end) = (pixels.start / ratio, pixels.end.div_ceil(ratio));
            let end = (end + 1).min(side.div_ceil(ratio));
            first.saturating_sub(1) / 8..end.div_ceil(8)
        };
        let across = mcus(&columns, horizontal, self.0.width);
        Window {
            down: mcus(&rows, vertical, self.0.height),
            rows,
            first_column: across.start * 8 * horizontal,
            across,
        }
    }

    /// Decodes the window and hands out its rows, top to bottom: the index of the first one, and a few of them.
    ///
    /// `None` when anything is wrong with the data, which may show after rows have been handed out.
    pub(crate) fn decode(
        &self,
        window: &Window,
        buffers: &mut Buffers,
        sink: &mut dyn FnMut(usize, Plane<'_>),
    ) -> Option<()> {
        buffers.scan.read(self.0.scan)?;
        let layout = Layout::new(&self.0, window);
        buffers.strips.iter_mut().for_each(|strip| strip.fit(&layout));
        let work = Decode {
            frame: &self.0,
            layout,
            window,
            buffers,
            sink,
        };
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(Vectorized(simd, work));
        }
        work.run(Plain)
    }
}

/// The two steps that have vector code.
trait Kernels: Copy {
    /// The samples of a block that has values below its first row.
    fn samples(self, block: &Block) -> [[u8; 8]; 8];
    /// The pixels of neighbouring samples.
    fn rgb(self, y: &[u8; 16], cb: &[u8; 16], cr: &[u8; 16]) -> [u8; 48];
}

#[derive(Debug, Clone, Copy)]
struct Plain;

impl Kernels for Plain {
    fn samples(self, block: &Block) -> [[u8; 8]; 8] {
        idct::samples(block)
    }

    fn rgb(self, y: &[u8; 16], cb: &[u8; 16], cr: &[u8; 16]) -> [u8; 48] {
        let mut pixels = [0; 48];
        for (i, pixel) in pixels.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            *pixel = colour::rgb(y[i], cb[i], cr[i]);
        }
        pixels
    }
}

#[cfg(target_arch = "x86_64")]
impl Kernels for pulp::x86::V3 {
    #[inline(always)]
    fn samples(self, block: &Block) -> [[u8; 8]; 8] {
        avx2::samples(self, block)
    }

    #[inline(always)]
    fn rgb(self, y: &[u8; 16], cb: &[u8; 16], cr: &[u8; 16]) -> [u8; 48] {
        avx2::rgb(self, y, cb, cr)
    }
}

struct Decode<'a> {
    frame: &'a Frame<'a>,
    layout: Layout,
    window: &'a Window,
    buffers: &'a mut Buffers,
    sink: &'a mut dyn FnMut(usize, Plane<'_>),
}

/// All of the work compiled for AVX2, with its shifts by any count.
#[cfg(target_arch = "x86_64")]
struct Vectorized<'a>(pulp::x86::V3, Decode<'a>);

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for Vectorized<'_> {
    type Output = Option<()>;

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.1.run(self.0)
    }
}

impl Decode<'_> {
    #[inline(always)]
    fn run(self, kernels: impl Kernels) -> Option<()> {
        let Self {
            frame,
            layout,
            window,
            buffers,
            sink,
        } = self;
        let Buffers {
            tables,
            scan,
            strips: [current, previous],
            rows,
        } = buffers;
        let (mut reader, mut last, mut block) = (scan.reader(), [0; 3], Block::EMPTY);
        let codings = frame
            .components
            .each_ref()
            .map(|component| component.coding(tables));
        let (mut done, mut intervals) = (0, 1);
        for down in 0..layout.down {
            let kept = if window.down.contains(&down) {
                window.across.clone()
            } else {
                0..0
            };
            for across in 0..layout.across {
                if frame.restart != 0 && done == intervals * frame.restart {
                    (reader, last) = (scan.after(intervals, &reader)?, [0; 3]);
                    intervals += 1;
                }
                done += 1;
                for place in layout.blocks {
                    let (coding, last) = (&codings[place.component], &mut last[place.component]);
                    if kept.contains(&across) {
                        reader.block::<true>(coding, last, &mut block)?;
                        current.put(&layout, place, across - kept.start, &block, kernels);
                        block = Block::EMPTY;
                    } else {
                        reader.block::<false>(coding, last, &mut block)?;
                    }
                }
            }
            if kept.is_empty() {
                continue;
            }
            current.row = down;
            if down > window.down.start {
                previous.join(current, &layout);
                previous.hand_out(&layout, window, rows, kernels, sink);
            }
            std::mem::swap(current, previous);
        }
        previous.end(&layout);
        previous.hand_out(&layout, window, rows, kernels, sink);
        scan.is_read(intervals, &reader).then_some(())
    }
}
