//! Values of fewer than 8 bits.

/// Values of `bits` bits, most significant first, each row starting a byte; each is multiplied with `factor`.
pub(super) fn unpack(packed: &[u8], bits: usize, width: usize, factor: u8) -> Vec<u8> {
    let per_byte = 8 / bits;
    let mask = (1_u8 << bits) - 1;
    let mut values = Vec::with_capacity(packed.len() * per_byte);
    for row in packed.chunks_exact(width.div_ceil(per_byte)) {
        let value = |x: usize| (row[x / per_byte] >> (8 - bits - x % per_byte * bits)) & mask;
        values.extend((0..width).map(|x| value(x) * factor));
    }
    values
}

/// What makes the largest gray of so many bits white.
pub(super) fn gray_factor(bits: usize) -> u8 {
    [255, 85, 17][bits / 2]
}
