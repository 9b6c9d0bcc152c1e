//! Huffman codes and the coefficients that they stand for.

use super::header::ZIGZAG;

/// Bits of a code that the first table looks up; longer codes are rare.
const LOOKUP: u32 = 10;

/// The longest code.
const LONGEST: usize = 16;

/// What a code stands for, in the bytes of one word: bits of the code and of the value after it, bits of the code,
/// bits of the value, and zeros before the coefficient. Zero for a code that is not in the table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Code(u32);

impl Code {
    fn new(length: usize, symbol: u8) -> Self {
        let (run, size, length) = (symbol >> 4, symbol & 15, length as u8);
        Self(u32::from_le_bytes([length + size, length, size, run]))
    }

    #[inline(always)]
    fn total(self) -> u32 {
        self.0 & 0xFF
    }

    #[inline(always)]
    fn length(self) -> u32 {
        self.0 >> 8 & 0xFF
    }

    #[inline(always)]
    fn size(self) -> u32 {
        self.0 >> 16 & 0xFF
    }

    #[inline(always)]
    fn run(self) -> usize {
        (self.0 >> 24) as usize
    }
}

/// A Huffman table.
#[derive(Debug)]
pub(super) struct Table {
    lookup: Box<[Code; 1 << LOOKUP]>,
    /// For each length: the first 16 bits that are beyond its codes, and what leads from a code to its symbol.
    lengths: [(u32, i32); LONGEST + 1],
    symbols: Vec<u8>,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            lookup: Box::new([Code::default(); 1 << LOOKUP]),
            lengths: [(0, 0); LONGEST + 1],
            symbols: Vec::new(),
        }
    }
}

impl Table {
    /// Takes the number of codes of each length, and their symbols; `None` when they make no code.
    pub(super) fn fill(&mut self, counts: &[u8; LONGEST], symbols: &[u8]) -> Option<()> {
        if symbols.len() > 256 {
            return None;
        }
        self.lookup.fill(Code::default());
        self.symbols.clear();
        self.symbols.extend_from_slice(symbols);
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, &count) in (1..).zip(counts) {
            self.lengths[length].1 = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                if length <= LOOKUP as usize {
                    let spare = LOOKUP as usize - length;
                    let start = (code as usize) << spare;
                    let places = self.lookup.get_mut(start..start + (1 << spare))?;
                    places.fill(Code::new(length, symbol));
                }
                code += 1;
                index += 1;
            }
            // libjpeg refuses tables whose codes do not fit their length; all ones is no code either.
            if code >= 1 << length {
                return None;
            }
            self.lengths[length].0 = code << (LONGEST - length);
            code <<= 1;
        }
        Some(())
    }

    /// True when every symbol is a number of bits.
    pub(super) fn is_for_dc(&self) -> bool {
        self.symbols.iter().all(|&symbol| symbol <= 15)
    }

    #[inline(always)]
    fn find(&self, bits: u64) -> Option<Code> {
        let mut code = self.lookup[(bits >> (64 - LOOKUP)) as usize];
        if code == Code::default() {
            code = self.find_long(bits)?;
        }
        Some(code)
    }

    #[cold]
    #[inline(never)]
    fn find_long(&self, bits: u64) -> Option<Code> {
        let bits = (bits >> 48) as u32;
        let length = (LOOKUP as usize + 1..=LONGEST).find(|&length| bits < self.lengths[length].0)?;
        let index = (bits >> (LONGEST - length)) as i32 + self.lengths[length].1;
        let symbol = *self.symbols.get(usize::try_from(index).ok()?)?;
        Some(Code::new(length, symbol))
    }
}

/// How the blocks of a component are decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coding<'a> {
    pub(super) dc: &'a Table,
    pub(super) ac: &'a Table,
    /// Quantization steps in zigzag order.
    pub(super) steps: &'a [i16; 64],
}

/// Coefficients of a block, dequantized, in rows; and which of them are there.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) values: [i16; 64],
    /// A bit for each value that was coded.
    pub(super) present: u64,
}

impl Block {
    pub(super) const EMPTY: Self = Self {
        values: [0; 64],
        present: 0,
    };
}

/// Reads bits from bytes that are followed by at least [`Reader::SLACK`] others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    data: &'a [u8],
    /// The next bits, the first one on top.
    bits: u64,
    /// How many of them count.
    count: u32,
    position: usize,
}

impl<'a> Reader<'a> {
    /// More bytes than any block takes: 64 codes with their values, and a load.
    pub(super) const SLACK: usize = 64 * 4 + 8;

    pub(super) fn new(data: &'a [u8], position: usize) -> Self {
        Self {
            data,
            bits: 0,
            count: 0,
            position,
        }
    }

    /// The byte after the last one of which a bit was read.
    pub(super) fn end(&self) -> usize {
        self.position - (self.count / 8) as usize
    }

    /// Makes at least 56 bits count.
    #[inline(always)]
    fn refill(&mut self) -> Option<()> {
        let next = self.data.get(self.position..)?.first_chunk::<8>()?;
        self.bits |= u64::from_be_bytes(*next) >> self.count;
        self.position += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
        Some(())
    }

    #[inline(always)]
    fn skip(&mut self, count: u32) {
        self.bits <<= count;
        self.count -= count;
    }

    /// The value of a code at the front: the bits after it, the first of which is the sign.
    #[inline(always)]
    fn value(&self, code: Code) -> i32 {
        let bits = self.bits << code.length();
        // In two steps, because a size of 0 would shift by 64.
        let value = (bits >> 1 >> (63 - code.size())) as i32;
        let negative = !(bits as i64 >> 63) as i32;
        value + (negative & ((-1 << code.size()) + 1))
    }

    /// Decodes a block; `last` is the DC coefficient of the block before it. With `KEEP` off the block stays as it
    /// is.
    ///
    /// A function of its own, so that its few variables have all registers.
    #[inline(never)]
    pub(super) fn block<const KEEP: bool>(
        &mut self,
        coding: &Coding<'_>,
        last: &mut i32,
        block: &mut Block,
    ) -> Option<()> {
        // A copy, which stays in registers.
        let mut reader = *self;
        let (ac, steps) = (coding.ac, coding.steps);
        reader.refill()?;
        let code = coding.dc.find(reader.bits)?;
        *last = last.wrapping_add(reader.value(code));
        reader.skip(code.total());
        if KEEP {
            block.values[0] = (*last as i16).wrapping_mul(steps[0]);
        }
        let (mut present, mut place) = (1, 1);
        while place < 64 {
            reader.refill()?;
            let code = ac.find(reader.bits)?;
            if code.size() == 0 {
                reader.skip(code.length());
                if code.run() != 15 {
                    place = 64;
                    break;
                }
                place += 16;
                continue;
            }
            place += code.run();
            let (&to, &step) = (ZIGZAG.get(place)?, steps.get(place)?);
            if KEEP {
                let value = reader.value(code) as i16;
                block.values[usize::from(to & 63)] = value.wrapping_mul(step);
                present |= 1 << to;
            }
            reader.skip(code.total());
            place += 1;
        }
        block.present = present;
        *self = reader;
        (place == 64).then_some(())
    }
}
