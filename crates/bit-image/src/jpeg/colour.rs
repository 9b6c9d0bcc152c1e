//! From rows of Y, Cb and Cr to RGB: libjpeg's "fancy" upsampling and its conversion.

/// What is left of each factor after whole multiples, in 65536ths: R has 1.402 Cr, B has 1.772 Cb, G has -0.34414 Cb
/// and -0.71414 Cr.
pub(super) const RED: i16 = 26_345;
pub(super) const BLUE: i16 = -14_942;
pub(super) const GREEN: [i16; 2] = [-22_554, 18_734];

/// One pixel.
#[inline(always)]
pub(crate) fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let rounded = |product: i32| (product + (1 << 15)) >> 16;
    let red = cr + rounded(i32::from(RED) * cr);
    let green = rounded(i32::from(GREEN[0]) * cb + i32::from(GREEN[1]) * cr) - cr;
    let blue = 2 * cb + rounded(i32::from(BLUE) * cb);
    [red, green, blue].map(|colour| (y + colour).clamp(0, 255) as u8)
}

/// Doubles a row: each sample becomes two, a quarter of the way to its neighbours.
#[inline(always)]
pub(super) fn twice_as_wide(row: &[u8], out: &mut [u8]) {
    widen(row, (1, 2, 2), out);
}

/// The row a quarter of the way from `near` to `far`, twice as wide. `sums` is a buffer.
#[inline(always)]
pub(super) fn twice_as_large(near: &[u8], far: &[u8], sums: &mut Vec<u16>, out: &mut [u8]) {
    sums.clear();
    sums.extend(
        near.iter()
            .zip(far)
            .map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)),
    );
    widen(sums, (8, 7, 4), out);
}

/// Pairs of `3 * value + left` and `3 * value + right`, rounded by the first two numbers and shifted by the third; at
/// the ends a value is its own neighbour.
#[inline(always)]
fn widen<T: Copy + Into<u16>>(values: &[T], (left, right, shift): (u16, u16, u32), out: &mut [u8]) {
    let pair = |before: T, this: T, after: T| {
        let (before, this, after): (u16, u16, u16) = (before.into(), this.into(), after.into());
        [
            (3 * this + before + left) >> shift,
            (3 * this + after + right) >> shift,
        ]
        .map(|sum| sum as u8)
    };
    let (out, _) = out.as_chunks_mut::<2>();
    if let ([first, second, ..], [.., before, last], Some(out)) =
        (values, values, out.get_mut(..values.len()))
    {
        out[0] = pair(*first, *first, *second);
        for (out, &[before, this, after]) in out[1..].iter_mut().zip(values.array_windows()) {
            *out = pair(before, this, after);
        }
        out[values.len() - 1] = pair(*before, *last, *last);
    }
}
