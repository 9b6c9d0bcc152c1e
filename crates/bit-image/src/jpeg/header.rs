//! The markers of a JPEG, as far as the fast path needs them.
//!
//! Whatever is unusual is `None`: libjpeg-turbo then decodes the file, or says what is wrong with it.

use super::huffman::{Coding, Table};

/// Where the coefficient at each place of the zigzag order lies in its block.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Smaller pictures have chroma planes that libjpeg upsamples in another way.
const LEAST_SIDE: usize = 8;

/// DC tables, then AC tables.
pub(super) type Tables = [[Table; 4]; 2];

/// A baseline picture of three components, Y, Cb and Cr, in one scan.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Luma samples for each sample of chroma, in a row and in a column: 1x1, 2x1 or 2x2.
    pub(super) ratio: (usize, usize),
    pub(super) components: [Component; 3],
    /// MCUs between two restart markers; 0 without them.
    pub(super) restart: usize,
    /// What follows the header of the scan.
    pub(super) scan: &'a [u8],
}

/// The places of a component's tables, and its quantization steps in zigzag order.
#[derive(Debug)]
pub(super) struct Component {
    dc: usize,
    ac: usize,
    steps: [i16; 64],
}

impl Component {
    pub(super) fn coding<'a>(&'a self, [dc, ac]: &'a Tables) -> Coding<'a> {
        Coding {
            dc: &dc[self.dc],
            ac: &ac[self.ac],
            steps: &self.steps,
        }
    }
}

/// What markers before the scan define.
struct Definitions<'t> {
    steps: [Option<[i16; 64]>; 4],
    tables: &'t mut Tables,
    /// Which of the tables are this file's.
    defined: [[bool; 4]; 2],
    frame: Option<Sizes>,
    restart: usize,
    jfif: bool,
    adobe: bool,
}

/// A start-of-frame marker: identifier, sampling factors and quantization table of each component.
#[derive(Clone, Copy)]
struct Sizes {
    width: usize,
    height: usize,
    components: [[u8; 3]; 3],
}

impl<'a> Frame<'a> {
    /// Reads everything up to the scan, and the file's Huffman tables into `tables`.
    pub(super) fn parse(bytes: &'a [u8], tables: &mut Tables) -> Option<Self> {
        let mut found = Definitions::new(tables);
        let mut rest = bytes.strip_prefix(b"\xFF\xD8")?;
        loop {
            let [0xFF, marker, high, low, tail @ ..] = rest else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2)?;
            let (body, tail) = tail.split_at_checked(length)?;
            rest = tail;
            match marker {
                0xC0 | 0xC1 => found.frame(body)?,
                0xC4 => found.huffman_tables(body)?,
                0xDB => found.quantization_tables(body)?,
                0xDD => found.restart = usize::from(u16::from_be_bytes(body.try_into().ok()?)),
                0xDA => return found.scan(body, rest),
                0xE0 => found.jfif |= body.len() >= 14 && body.starts_with(b"JFIF\0"),
                // Only the transform that means Y, Cb and Cr.
                0xEE if body.starts_with(b"Adobe") => {
                    found.adobe = true;
                    (body.get(11) == Some(&1)).then_some(())?;
                }
                0xE1..=0xEF | 0xFE => {}
                _ => return None,
            }
        }
    }
}

impl<'t> Definitions<'t> {
    fn new(tables: &'t mut Tables) -> Self {
        Self {
            steps: [None; 4],
            tables,
            defined: Default::default(),
            frame: None,
            restart: 0,
            jfif: false,
            adobe: false,
        }
    }

    fn frame(&mut self, body: &[u8]) -> Option<()> {
        let &[8, y1, y0, x1, x0, 3, ref components @ ..] = body else {
            return None;
        };
        let (components, []) = components.as_chunks::<3>() else {
            return None;
        };
        let sizes = Sizes {
            width: usize::from(u16::from_be_bytes([x1, x0])),
            height: usize::from(u16::from_be_bytes([y1, y0])),
            components: components.try_into().ok()?,
        };
        self.frame.replace(sizes).is_none().then_some(())
    }

    fn quantization_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = body {
            let (steps, rest) = rest.split_first_chunk::<64>()?;
            *self.steps.get_mut(usize::from(*place))? = Some(steps.map(i16::from));
            body = rest;
        }
        Some(())
    }

    fn huffman_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let (class, place) = (usize::from(place >> 4), usize::from(place & 15));
            let table = self.tables.get_mut(class)?.get_mut(place)?;
            table.fill(counts, symbols)?;
            self.defined[class][place] = true;
            body = rest;
        }
        Some(())
    }

    /// Puts the tables in place for a scan that holds all components.
    fn scan<'a>(&self, body: &[u8], scan: &'a [u8]) -> Option<Frame<'a>> {
        let sizes = self.frame?;
        let &[3, a, a_tables, b, b_tables, c, c_tables, 0, 63, 0] = body else {
            return None;
        };
        let ids = sizes.components.map(|[id, ..]| id);
        let known = self.jfif || self.adobe || ids == [1, 2, 3];
        let ratio = match sizes.components.map(|[_, factors, _]| factors) {
            [0x11, 0x11, 0x11] => (1, 1),
            [0x21, 0x11, 0x11] => (2, 1),
            [0x22, 0x11, 0x11] => (2, 2),
            _ => return None,
        };
        if ids != [a, b, c] || !known || sizes.width.min(sizes.height) < LEAST_SIDE {
            return None;
        }
        let component = |index: usize, tables: u8| {
            let [_, _, steps] = sizes.components[index];
            let table = |class: usize, place: u8| {
                let defined = *self.defined[class].get(usize::from(place))?;
                defined.then_some(usize::from(place))
            };
            Some(Component {
                dc: table(0, tables >> 4).filter(|&place| self.tables[0][place].is_for_dc())?,
                ac: table(1, tables & 15)?,
                steps: (*self.steps.get(usize::from(steps))?)?,
            })
        };
        Some(Frame {
            width: sizes.width,
            height: sizes.height,
            ratio,
            components: [
                component(0, a_tables)?,
                component(1, b_tables)?,
                component(2, c_tables)?,
            ],
            restart: self.restart,
            scan,
        })
    }
}
