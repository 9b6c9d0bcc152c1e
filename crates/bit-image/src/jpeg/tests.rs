#![allow(clippy::unwrap_used)]

use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::*;
use crate::Limits;
use crate::decode::JpegDecoder;
use crate::picture::Samples;

const RATIOS: [Subsamp; 3] = [Subsamp::None, Subsamp::Sub2x1, Subsamp::Sub2x2];

/// Numbers that are the same at each run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    }
}

/// A file of a picture of waves and, with `noise`, values that differ from pixel to pixel.
fn file(width: usize, height: usize, noise: usize, quality: i32, subsamp: Subsamp) -> Vec<u8> {
    let mut next = numbers();
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        let wave = (x as f64 / 9.0 + c as f64).sin() + (y as f64 / 7.0 - c as f64).cos();
        (128.0 + 60.0 * wave + next(noise + 1) as f64 - noise as f64 / 2.0) as u8
    };
    let pixels: Vec<u8> = (0..3 * width * height).map(value).collect();
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(quality).unwrap();
    compressor.set_subsamp(subsamp).unwrap();
    let image = Image {
        pixels: &pixels[..],
        width,
        pitch: 3 * width,
        height,
        format: PixelFormat::RGB,
    };
    compressor.compress_to_vec(image).unwrap()
}

fn ours(file: &[u8]) -> Option<Vec<u8>> {
    let (mut buffers, mut pixels) = (Buffers::default(), Vec::new());
    Baseline::open(file, &mut buffers)?.whole(&mut buffers, &mut pixels)?;
    Some(pixels)
}

/// What the rest of the crate gets from libjpeg-turbo.
fn theirs(file: &[u8]) -> Option<Vec<u8>> {
    let picture = JpegDecoder::default().decode_with_library(file, &Limits::default(), Vec::new());
    match picture.ok()?.samples {
        Samples::Bytes(pixels) => Some(pixels),
        Samples::Words(_) => None,
    }
}

#[test]
fn pixels_are_libjpeg_turbos_at_every_size_ratio_and_quality() {
    for subsamp in RATIOS {
        for (width, height) in [
            (8, 8),
            (16, 16),
            (17, 23),
            (33, 40),
            (50, 9),
            (64, 48),
            (131, 67),
            (95, 130),
        ] {
            for (noise, quality) in [(0, 30), (255, 1), (20, 75), (255, 92), (40, 100)] {
                let file = file(width, height, noise, quality, subsamp);
                let ours = ours(&file).unwrap();
                assert!(
                    Some(ours) == theirs(&file),
                    "{width}x{height} {noise} {quality} {subsamp:?}"
                );
            }
        }
    }
}

#[test]
fn a_window_is_a_part_of_the_picture() {
    let (width, height) = (203, 157);
    let mut next = numbers();
    for subsamp in RATIOS {
        let file = file(width, height, 60, 80, subsamp);
        let whole = ours(&file).unwrap();
        let mut buffers = Buffers::default();
        let jpeg = Baseline::open(&file, &mut buffers).unwrap();
        for _ in 0..60 {
            let mut range = |side: usize| {
                let start = next(side);
                start..start + 1 + next(side - start)
            };
            let (rows, columns) = (range(height), range(width));
            let window = jpeg.window(rows.clone(), columns.clone());
            let mut seen = rows.start;
            jpeg.decode(&window, &mut buffers, &mut |first, plane| {
                assert_eq!(first, seen);
                seen += plane.height;
                for y in 0..plane.height {
                    let ours =
                        &plane.row(y)[3 * (columns.start - window.first_column)..][..3 * columns.len()];
                    let all = &whole[3 * ((first + y) * width + columns.start)..][..3 * columns.len()];
                    assert!(
                        ours == all,
                        "row {} of {rows:?}, {columns:?}, {subsamp:?}",
                        first + y
                    );
                }
            })
            .unwrap();
            assert_eq!(seen, rows.end);
        }
    }
}

#[test]
fn damaged_files_are_left_to_libjpeg_turbo_or_give_its_pixels() {
    let (mut next, mut taken) = (numbers(), 0);
    for subsamp in RATIOS {
        for quality in [20, 95] {
            let whole = file(70, 51, 90, quality, subsamp);
            for _ in 0..500 {
                let mut damaged = whole.clone();
                for _ in 0..1 + next(3) {
                    // Not the JFIF segment: libjpeg-turbo's interface takes a revision it does not know for an error.
                    let at = 20 + next(damaged.len() - 20);
                    damaged[at] = next(256) as u8;
                }
                if let Some(pixels) = ours(&damaged) {
                    taken += 1;
                    assert!(Some(pixels) == theirs(&damaged), "{subsamp:?} {quality}");
                }
            }
        }
    }
    assert!(taken > 100, "{taken}");
}

#[test]
fn a_shortened_file_is_left_to_libjpeg_turbo() {
    let whole = file(40, 40, 50, 80, Subsamp::Sub2x2);
    assert!(ours(&whole).is_some());
    for length in 0..whole.len() {
        assert_eq!(ours(&whole[..length]), None, "{length}");
    }
}

#[test]
fn fixtures_with_restart_markers_are_taken_and_progressive_ones_are_not() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/files");
    for (name, taken) in [
        ("restart.jpg", true),
        ("rgb-420.jpg", true),
        ("rgb-422.jpg", true),
        ("rgb-444.jpg", true),
        ("progressive.jpg", false),
        ("gray.jpg", false),
        ("cmyk.jpg", false),
    ] {
        let file = std::fs::read(folder.join(name)).unwrap();
        let pixels = ours(&file);
        assert_eq!(pixels.is_some(), taken, "{name}");
        assert!(!taken || pixels == theirs(&file), "{name}");
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn vector_code_equals_plain_code_also_where_sums_overflow() {
    let Some(simd) = pulp::x86::V3::try_new() else {
        return;
    };
    let mut next = numbers();
    for round in 0..5000 {
        let mut block = Block::EMPTY;
        for _ in 0..1 + next(64) {
            let at = next(64);
            // From values of real pictures to any that fit.
            let range = 1 << (4 + round % 13);
            block.values[at] = (next(range) as i32 - range as i32 / 2) as i16;
            block.present |= 1 << at;
        }
        block.present |= 1 << 63;
        assert_eq!(
            avx2::samples(simd, &block),
            idct::samples(&block),
            "{:?}",
            block.values
        );
    }
    for chroma in (0..1_u32 << 16).step_by(16) {
        for y in [0, 77, 128, 255] {
            let blue: [u8; 16] = std::array::from_fn(|_| (chroma >> 8) as u8);
            let red: [u8; 16] = std::array::from_fn(|i| chroma as u8 + i as u8);
            assert_eq!(simd.rgb(&[y; 16], &blue, &red), Plain.rgb(&[y; 16], &blue, &red));
        }
    }
}

#[test]
fn colours_are_libjpegs_tables() {
    let fix = |value: f64| (value * 65536.0 + 0.5) as i32;
    for chroma in 0..=0xFFFF_u32 {
        let (cb, cr) = ((chroma >> 8) as u8, chroma as u8);
        let (u, v) = (i32::from(cb) - 128, i32::from(cr) - 128);
        let expected = [
            (fix(1.402) * v + 32768) >> 16,
            (-fix(0.34414) * u - fix(0.71414) * v + 32768) >> 16,
            (fix(1.772) * u + 32768) >> 16,
        ];
        let expected = expected.map(|colour| (100 + colour).clamp(0, 255) as u8);
        assert_eq!(colour::rgb(100, cb, cr), expected);
    }
}
