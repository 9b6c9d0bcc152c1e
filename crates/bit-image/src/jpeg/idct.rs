//! libjpeg-turbo's accurate integer inverse DCT, in plain Rust.
//!
//! The arithmetic is that of its vector code, which computes with 16 bits where libjpeg's C code has 32: real pictures
//! give the same samples in both, coefficients that no encoder writes overflow in its way.

use super::huffman::Block;

/// Fractional bits of the constants, and those that the first pass leaves in its results.
pub(super) const CONST_BITS: i32 = 13;
pub(super) const PASS1_BITS: i32 = 2;

/// Right shifts at the end of the two passes.
pub(super) const SHIFTS: [i32; 2] = [CONST_BITS - PASS1_BITS, CONST_BITS + PASS1_BITS + 3];

const F_0_298: i32 = 2446;
const F_0_390: i32 = 3196;
const F_0_541: i32 = 4433;
const F_0_765: i32 = 6270;
const F_0_899: i32 = 7373;
const F_1_175: i32 = 9633;
const F_1_501: i32 = 12299;
const F_1_847: i32 = 15137;
const F_1_961: i32 = 16069;
const F_2_053: i32 = 16819;
const F_2_562: i32 = 20995;
const F_3_072: i32 = 25172;

/// Pairs of factors for the rows (2, 6), (6, 2); (3 + 7, 1 + 5) and reversed; (7, 1), (5, 3); and again (7, 1), (5, 3).
pub(super) const FACTORS: [[[i32; 2]; 2]; 4] = [
    [[F_0_541 + F_0_765, F_0_541], [F_0_541 - F_1_847, F_0_541]],
    [[F_1_175 - F_1_961, F_1_175], [F_1_175 - F_0_390, F_1_175]],
    [[F_0_298 - F_0_899, -F_0_899], [F_2_053 - F_2_562, -F_2_562]],
    [[-F_0_899, F_1_501 - F_0_899], [-F_2_562, F_3_072 - F_2_562]],
];

/// The samples of a block, row after row.
pub(super) fn samples(block: &Block) -> [[u8; 8]; 8] {
    let (rows, _) = block.values.as_chunks::<8>();
    let rows: [[i16; 8]; 8] = std::array::from_fn(|row| rows[row]);
    let columns = if block.present >> 8 == 0 {
        // All of a column is its first value; the vector code shifts it without a look at its size.
        [rows[0].map(|value| value << PASS1_BITS); 8]
    } else {
        pass(rows, SHIFTS[0])
    };
    let rows = transposed(pass(transposed(columns), SHIFTS[1]));
    rows.map(|row| row.map(|value| (value.clamp(-128, 127) + 128) as u8))
}

/// The samples of a block that has no coefficient but the first.
#[inline(always)]
pub(super) fn flat(dc: i16) -> u8 {
    let value = (i32::from(dc << PASS1_BITS) + (1 << (PASS1_BITS + 2))) >> (PASS1_BITS + 3);
    (value.clamp(-128, 127) + 128) as u8
}

fn transposed(rows: [[i16; 8]; 8]) -> [[i16; 8]; 8] {
    std::array::from_fn(|x| std::array::from_fn(|y| rows[y][x]))
}

/// The one-dimensional transform of each column.
fn pass(rows: [[i16; 8]; 8], shift: i32) -> [[i16; 8]; 8] {
    let mut out = [[0; 8]; 8];
    for x in 0..8 {
        let column = transform(rows.map(|row| row[x]), shift);
        out.iter_mut().zip(column).for_each(|(row, value)| row[x] = value);
    }
    out
}

fn transform(v: [i16; 8], shift: i32) -> [i16; 8] {
    let product = |[a, b]: [i16; 2], [f, g]: [i32; 2]| (i32::from(a) * f).wrapping_add(i32::from(b) * g);
    let [even, sums, outer, inner] = FACTORS;
    let (t3, t2) = (product([v[2], v[6]], even[0]), product([v[6], v[2]], even[1]));
    let t0 = i32::from(v[0].wrapping_add(v[4])) << CONST_BITS;
    let t1 = i32::from(v[0].wrapping_sub(v[4])) << CONST_BITS;
    let evens = [
        t0.wrapping_add(t3),
        t1.wrapping_add(t2),
        t1.wrapping_sub(t2),
        t0.wrapping_sub(t3),
    ];
    let (z3, z4) = (v[7].wrapping_add(v[3]), v[5].wrapping_add(v[1]));
    let (z3, z4) = (product([z3, z4], sums[0]), product([z4, z3], sums[1]));
    let odds = [
        product([v[7], v[1]], inner[0]).wrapping_add(z4),
        product([v[5], v[3]], inner[1]).wrapping_add(z3),
        product([v[5], v[3]], outer[1]).wrapping_add(z4),
        product([v[7], v[1]], outer[0]).wrapping_add(z3),
    ];
    let descale = |value: i32| {
        let value = value.wrapping_add(1 << (shift - 1)) >> shift;
        value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    };
    std::array::from_fn(|i| {
        if i < 4 {
            descale(evens[i].wrapping_add(odds[i]))
        } else {
            descale(evens[7 - i].wrapping_sub(odds[7 - i]))
        }
    })
}
