//! The inverse DCT and the conversion to RGB with AVX2, through `pulp`'s safe intrinsics: libjpeg-turbo's vector code.

use std::arch::x86_64::{__m128i, __m256i};

use pulp::x86::V3;

use super::colour::{BLUE, GREEN, RED};
use super::huffman::Block;
use super::idct::{CONST_BITS, FACTORS, SHIFTS};

/// Pixels that are converted at a time.
pub(super) const PIXELS: usize = 16;

/// [`idct::samples`](super::idct::samples), except for blocks with nothing below their first row.
#[inline(always)]
pub(super) fn samples(simd: V3, block: &Block) -> [[u8; 8]; 8] {
    let avx2 = simd.avx2;
    let (pairs, _) = block.values.as_chunks::<16>();
    let row = |pair: usize| pulp::cast::<[i16; 16], __m256i>(pairs[pair]);
    let (v01, v23, v45, v67) = (row(0), row(1), row(2), row(3));
    let rows = [
        avx2._mm256_permute2x128_si256::<0x20>(v01, v45),
        avx2._mm256_permute2x128_si256::<0x31>(v23, v01),
        avx2._mm256_permute2x128_si256::<0x20>(v23, v67),
        avx2._mm256_permute2x128_si256::<0x31>(v67, v45),
    ];
    let [c04, c15, c26, c37] = transposed(simd, pass::<{ SHIFTS[0] }>(simd, rows));
    let columns = [
        c04,
        avx2._mm256_permute2x128_si256::<0x20>(c37, c15),
        c26,
        avx2._mm256_permute2x128_si256::<0x31>(c37, c15),
    ];
    let [r04, r15, r26, r37] = transposed(simd, pass::<{ SHIFTS[1] }>(simd, columns));
    let centre = simd.avx._mm256_set1_epi8(-128);
    let bytes = |a, b| avx2._mm256_add_epi8(avx2._mm256_packs_epi16(a, b), centre);
    let [r0, r1, r4, r5]: [[u8; 8]; 4] = pulp::cast(bytes(r04, r15));
    let [r2, r3, r6, r7]: [[u8; 8]; 4] = pulp::cast(bytes(r26, r37));
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// The transform of the rows (0, 4), (3, 1), (2, 6), (7, 5) to (0, 1), (3, 2), (4, 5), (7, 6).
#[inline(always)]
fn pass<const SHIFT: i32>(simd: V3, [v04, v31, v26, v75]: [__m256i; 4]) -> [__m256i; 4] {
    let (avx, avx2) = (simd.avx, simd.avx2);
    let swapped = |v| avx2._mm256_permute2x128_si256::<0x01>(v, v);
    let pairs = |a, b| [avx2._mm256_unpacklo_epi16(a, b), avx2._mm256_unpackhi_epi16(a, b)];
    let product = |[low, high]: [__m256i; 2], factors| {
        [
            avx2._mm256_madd_epi16(low, factors),
            avx2._mm256_madd_epi16(high, factors),
        ]
    };
    let add = |[a, b]: [__m256i; 2], [c, d]: [__m256i; 2]| {
        [avx2._mm256_add_epi32(a, c), avx2._mm256_add_epi32(b, d)]
    };
    let subtract = |[a, b]: [__m256i; 2], [c, d]: [__m256i; 2]| {
        [avx2._mm256_sub_epi32(a, c), avx2._mm256_sub_epi32(b, d)]
    };
    let factors = |kind: usize| pulp::cast::<[[[i16; 2]; 4]; 2], __m256i>(FACTOR_LANES[kind]);

    let t32 = product(pairs(v26, swapped(v26)), factors(0));
    let signs = pulp::cast::<[i16; 16], _>([1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1]);
    let t01 = avx2._mm256_add_epi16(swapped(v04), avx2._mm256_sign_epi16(v04, signs));
    let [low, high] = pairs(avx._mm256_setzero_si256(), t01);
    let t01 = [
        avx2._mm256_srai_epi32::<{ 16 - CONST_BITS }>(low),
        avx2._mm256_srai_epi32::<{ 16 - CONST_BITS }>(high),
    ];
    let (e01, e32) = (add(t01, t32), subtract(t01, t32));

    let z34 = avx2._mm256_add_epi16(v75, v31);
    let z34 = product(pairs(z34, swapped(z34)), factors(1));
    let odd = pairs(v75, swapped(v31));
    let o32 = add(product(odd, factors(2)), z34);
    let o01 = add(product(odd, factors(3)), [swapped(z34[0]), swapped(z34[1])]);

    let half = avx._mm256_set1_epi32(1 << (SHIFT - 1));
    let descale = |[low, high]: [__m256i; 2]| {
        avx2._mm256_packs_epi32(
            avx2._mm256_srai_epi32::<SHIFT>(avx2._mm256_add_epi32(low, half)),
            avx2._mm256_srai_epi32::<SHIFT>(avx2._mm256_add_epi32(high, half)),
        )
    };
    [
        descale(add(e01, o01)),
        descale(add(e32, o32)),
        descale(subtract(e32, o32)),
        descale(subtract(e01, o01)),
    ]
}

/// [`FACTORS`] as vectors: four pairs of one kind and four of the other.
const FACTOR_LANES: [[[[i16; 2]; 4]; 2]; 4] = {
    let mut lanes = [[[[0; 2]; 4]; 2]; 4];
    let mut i = 0;
    while i < 4 * 2 * 4 * 2 {
        let (kind, half, lane, of_pair) = (i / 16, i / 8 % 2, i / 2 % 4, i % 2);
        lanes[kind][half][lane][of_pair] = FACTORS[kind][half][of_pair] as i16;
        i += 1;
    }
    lanes
};

/// From the rows (0, 1), (3, 2), (4, 5), (7, 6) to the columns (0, 4), (1, 5), (2, 6), (3, 7).
#[inline(always)]
fn transposed(simd: V3, [r01, r32, r45, r76]: [__m256i; 4]) -> [__m256i; 4] {
    let avx2 = simd.avx2;
    let a = avx2._mm256_permute4x64_epi64::<0xD8>(r01);
    let b = avx2._mm256_permute4x64_epi64::<0x72>(r32);
    let c = avx2._mm256_permute4x64_epi64::<0xD8>(r45);
    let d = avx2._mm256_permute4x64_epi64::<0x72>(r76);
    let words = |a, b| (avx2._mm256_unpacklo_epi16(a, b), avx2._mm256_unpackhi_epi16(a, b));
    let ((e, f), (g, h)) = (words(a, b), words(c, d));
    let ((a, c), (b, d)) = (words(e, f), words(g, h));
    [
        avx2._mm256_unpacklo_epi64(a, b),
        avx2._mm256_unpackhi_epi64(a, b),
        avx2._mm256_unpacklo_epi64(c, d),
        avx2._mm256_unpackhi_epi64(c, d),
    ]
}

/// [`colour::rgb`](super::colour::rgb) for neighbouring pixels.
#[inline(always)]
pub(super) fn rgb(simd: V3, y: &[u8; PIXELS], cb: &[u8; PIXELS], cr: &[u8; PIXELS]) -> [u8; 3 * PIXELS] {
    let (avx, avx2) = (simd.avx, simd.avx2);
    let words = |bytes: &[u8; PIXELS]| avx2._mm256_cvtepu8_epi16(pulp::cast(*bytes));
    let centred = |bytes| avx2._mm256_sub_epi16(words(bytes), avx._mm256_set1_epi16(128));
    let (y, cb, cr) = (words(y), centred(cb), centred(cr));
    let add = |a, b| avx2._mm256_add_epi16(a, b);
    // Half of (twice the value times the factor, without its low word, plus one): the product rounded.
    let rounded = |value, factor| {
        let product = avx2._mm256_mulhi_epi16(add(value, value), avx._mm256_set1_epi16(factor));
        avx2._mm256_srai_epi16::<1>(add(product, avx._mm256_set1_epi16(1)))
    };
    let red = add(y, add(cr, rounded(cr, RED)));
    let blue = add(y, add(add(cb, cb), rounded(cb, BLUE)));
    let factors = pulp::cast([GREEN; 8]);
    let half = avx._mm256_set1_epi32(1 << 15);
    let sum = |pairs| {
        let sum = avx2._mm256_add_epi32(avx2._mm256_madd_epi16(pairs, factors), half);
        avx2._mm256_srai_epi32::<16>(sum)
    };
    let sums = avx2._mm256_packs_epi32(
        sum(avx2._mm256_unpacklo_epi16(cb, cr)),
        sum(avx2._mm256_unpackhi_epi16(cb, cr)),
    );
    let green = add(y, avx2._mm256_sub_epi16(sums, cr));
    let bytes = |words: __m256i| {
        let [low, high]: [__m128i; 2] = pulp::cast(words);
        simd.sse2._mm_packus_epi16(low, high)
    };
    let planes = [bytes(red), bytes(green), bytes(blue)];
    // Written out: closures of `map` would be compiled without AVX2.
    pulp::cast([
        interleaved(simd, planes, 0),
        interleaved(simd, planes, 1),
        interleaved(simd, planes, 2),
    ])
}

/// A third of the pixels.
#[inline(always)]
fn interleaved(simd: V3, [red, green, blue]: [__m128i; 3], third: usize) -> __m128i {
    let [r, g, b] = SPREAD[third];
    let spread = |plane, mask: [u8; 16]| simd.ssse3._mm_shuffle_epi8(plane, pulp::cast(mask));
    let two = simd.sse2._mm_or_si128(spread(red, r), spread(green, g));
    simd.sse2._mm_or_si128(two, spread(blue, b))
}

/// Which pixel's value comes to each byte of interleaved RGB, for the three colours; all others become zero.
const SPREAD: [[[u8; 16]; 3]; 3] = {
    let mut masks = [[[0x80; 16]; 3]; 3];
    let mut byte = 0;
    while byte < 3 * PIXELS {
        masks[byte / 16][byte % 3][byte % 16] = (byte / 3) as u8;
        byte += 1;
    }
    masks
};
