//! Files that want to crash, hang or fill the memory get one clear error.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bit_config::ImageProcessorConfig;
use bit_image::{
    BitImageProcessorPil, ImageError, ImageInput, Limits, Mode, PassOrder, Picture, PreprocessOptions,
    Processor, ProcessorKind,
};
use proptest::prelude::*;

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/files")
}

fn process(input: ImageInput<'_>) -> Result<(), ImageError> {
    let processor = BitImageProcessorPil::new(ImageProcessorConfig::default())?;
    processor
        .preprocess(&[input], &PreprocessOptions::default())
        .map(|_| ())
}

fn message(bytes: &[u8]) -> String {
    process(ImageInput::from(bytes)).unwrap_err().to_string()
}

/// A PNG's signature and header with a valid checksum, and nothing else.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&chunk);
    file.extend(crc32fast::hash(&chunk).to_be_bytes());
    file
}

/// A GIF's header whose screen has the given size.
fn gif_header(width: u16, height: u16) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    for side in [width, height] {
        file.extend(side.to_le_bytes());
    }
    // A table of two colours, then a frame of one pixel.
    file.extend([
        0x80, 0, 0, 0, 0, 0, 9, 9, 9, b',', 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, b';',
    ]);
    file
}

/// An uncompressed TIFF of 2x2 grays in either size of offsets; each field is tag, type, count and value or offset.
fn tiff(big: bool, fields: &[(u16, u16, u64, u64)]) -> Vec<u8> {
    let length = if big { 8 } else { 4 };
    let (entry, start) = if big { (20, 16 + 8) } else { (12, 8 + 2) };
    let usual = [
        (256, 4, 1, 2),
        (257, 4, 1, 2),
        (258, 3, 1, 8),
        (262, 3, 1, 1),
        (273, 4, 1, 0),
        (278, 3, 1, 2),
        (279, 4, 1, 4),
    ];
    let usual = usual
        .into_iter()
        .filter(|usual| fields.iter().all(|field| field.0 != usual.0));
    let mut all: Vec<_> = usual.chain(fields.iter().copied()).collect();
    all.sort_by_key(|field| field.0);
    let end = (start + entry * all.len() + length) as u64;
    let mut file = if big {
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec()
    } else {
        b"II*\0\x08\0\0\0".to_vec()
    };
    file.extend(&(all.len() as u64).to_le_bytes()[..if big { 8 } else { 2 }]);
    for (tag, kind, count, value) in all {
        let value = if (tag, value) == (273, 0) { end } else { value };
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(&count.to_le_bytes()[..length]);
        file.extend(&value.to_le_bytes()[..length]);
    }
    file.extend(vec![0; length]);
    file.extend([1, 2, 3, 4]);
    file
}

fn message_with(
    limits: Limits,
    kind: ProcessorKind,
    order: PassOrder,
    config: &str,
    input: ImageInput<'_>,
) -> String {
    let config = ImageProcessorConfig::from_json(config).unwrap();
    let processor = Processor::new(kind, config)
        .unwrap()
        .with_limits(limits)
        .with_pass_order(order);
    match processor.preprocess_one(&input, &PreprocessOptions::default()) {
        Ok(values) => format!("{:?}", values.shape),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_tag_that_claims_four_thousand_million_values_allocates_nothing() {
    const MANY: u64 = u32::MAX as u64;
    for big in [false, true] {
        let good = tiff(big, &[]);
        assert!(Picture::from_bytes(&good, &Limits::default()).is_ok());
        for tag in [
            256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 338, 339, 700,
        ] {
            for kind in [1, 2, 3, 4, 5, 7, 9, 11, 12, 13] {
                for value in [8, MANY] {
                    let file = tiff(big, &[(tag, kind, MANY, value)]);
                    let decoded = Picture::from_bytes(&file, &Limits::default());
                    // Pillow leaves out what does not lie in the file, too.
                    assert!(
                        decoded.is_err()
                            || matches!(
                                tag,
                                259 | 266 | 274 | 277 | 278 | 284 | 317 | 320 | 338 | 339 | 700
                            ),
                        "{tag} {kind}"
                    );
                }
            }
        }
        let palette = tiff(big, &[(262, 3, 1, 3), (320, 3, MANY, 8)]);
        let error = message(&palette);
        assert!(error.contains("the page has no ColorMap"), "{error}");
    }
}

#[test]
fn a_tile_may_not_be_longer_than_any_program_makes_it() {
    for side in [322, 323] {
        let tiles = [
            (side, 4, 1, 1 << 31),
            (645 - side, 4, 1, 16),
            (324, 4, 1, 8),
            (325, 4, 1, 4),
            (317, 3, 1, 3),
        ];
        let error = message(&tiff(false, &tiles));
        assert!(error.contains("a side of a tile is longer than 65536"), "{error}");
    }
}

#[test]
fn a_tiff_larger_than_the_decoders_own_limit_is_decoded_below_the_pixel_limit() {
    const SIDE: u64 = 9_500;
    // PackBits: 128 zeros in two bytes.
    let packed = [0x81, 0].repeat((SIDE * SIDE * 3).div_ceil(128) as usize);
    let sides = [
        (256, 4, 1, SIDE),
        (257, 4, 1, SIDE),
        (277, 3, 1, 3),
        (262, 3, 1, 2),
    ];
    let strip = [
        (259, 3, 1, 32_773),
        (278, 4, 1, SIDE),
        (279, 4, 1, packed.len() as u64),
    ];
    let mut file = tiff(false, &[&sides[..], &strip].concat());
    file.truncate(file.len() - 4);
    file.extend(packed);
    let picture = Picture::from_bytes(&file, &Limits::default()).unwrap();
    assert_eq!(
        (picture.width(), picture.height(), picture.mode()),
        (9_500, 9_500, Mode::Rgb)
    );
    let limits = Limits {
        max_pixels: SIDE * SIDE - 1,
        ..Limits::default()
    };
    assert!(Picture::from_bytes(&file, &limits).is_err());
}

#[test]
fn kinds_of_tiff_that_are_not_supported_are_named_by_their_tags() {
    let names = [
        "lab",
        "ycbcr",
        "gray-associated",
        "palette-alpha",
        "gray-12",
        "gray-nothing",
    ];
    for name in names {
        let path = files().join(format!("page-none-{name}.tif"));
        let error = process(ImageInput::from(&path)).unwrap_err().to_string();
        assert!(
            error.contains("PhotometricInterpretation") && error.ends_with("are not supported"),
            "{error}"
        );
    }
}

#[test]
fn the_picture_between_the_passes_has_the_limit_of_all_pictures() {
    use PassOrder::{Pillow12, Pillow13};
    use ProcessorKind::{Pil, Torchvision};
    const EXACT: &str = r#"{"size": {"height": 60, "width": 60}, "do_center_crop": false, "resample": 3}"#;
    let limits = Limits {
        max_pixels: 20_000,
        ..Limits::default()
    };
    let too_large = "between its passes the resize would have 60x900 pixels; the limit is 20000";
    for (kind, order, expected) in [
        (Pil, Pillow13, "[3, 60, 60]"),
        (Pil, Pillow12, too_large),
        (Torchvision, Pillow13, too_large),
    ] {
        let tall = bit_image::RawImage::u8(vec![7; 3 * 900], [900, 1, 3]);
        let answer = message_with(limits, kind, order, EXACT, ImageInput::Raw(tall));
        assert!(answer.ends_with(expected), "{kind:?} {order:?}: {answer}");
        let wide = bit_image::RawImage::u8(vec![7; 6 * 900], [2, 900, 3]);
        assert_eq!(
            message_with(limits, kind, order, EXACT, ImageInput::Raw(wide)),
            "[3, 60, 60]"
        );
    }
    let floats = bit_image::RawImage::f32(vec![0.5; 3 * 900], [900, 1, 3]);
    let answer = message_with(limits, Torchvision, Pillow13, EXACT, ImageInput::Raw(floats));
    assert!(answer.ends_with(too_large), "{answer}");
}

#[test]
fn a_picture_of_one_column_and_a_million_rows_is_not_resized_to_a_million_wide_rows() {
    const EXACT: &str = r#"{"size": {"height": 224, "width": 224}, "do_center_crop": false, "resample": 3}"#;
    let tall = || ImageInput::Raw(bit_image::RawImage::u8(vec![7; 3 * 1_000_000], [1_000_000, 1, 3]));
    let of = |kind, order| message_with(Limits::default(), kind, order, EXACT, tall());
    for answer in [
        of(ProcessorKind::Torchvision, PassOrder::Pillow13),
        of(ProcessorKind::Pil, PassOrder::Pillow12),
    ] {
        assert!(
            answer.contains("224x1000000 pixels; the limit is 178956970"),
            "{answer}"
        );
    }
    assert_eq!(of(ProcessorKind::Pil, PassOrder::Pillow13), "[3, 224, 224]");
}

#[test]
fn a_side_that_would_need_gigabytes_of_weights_is_an_error() {
    const EXACT: &str = r#"{"size": {"height": 2, "width": 224}, "do_center_crop": false, "resample": 3}"#;
    let wide = bit_image::RawImage::u8(vec![7; 12_000_000], [2, 2_000_000, 3]);
    let limits = Limits::default();
    let (kind, order) = (ProcessorKind::Pil, PassOrder::Pillow13);
    assert_eq!(
        message_with(limits, kind, order, EXACT, ImageInput::Raw(wide)),
        "[3, 2, 224]"
    );
    let wide = bit_image::RawImage::u8(vec![7; 36_000_000], [2, 6_000_000, 3]);
    let answer = message_with(limits, kind, order, EXACT, ImageInput::Raw(wide));
    assert!(
        answer.contains(
            "resizing a side of 6000000 pixels to 224 needs 24000256 weights; the limit is 16777216"
        ),
        "{answer}"
    );
}

#[test]
fn a_webp_whose_metadata_claims_gigabytes_allocates_nothing() {
    let mut file = std::fs::read(files().join("turned-8.webp")).unwrap();
    let at = file.windows(4).position(|name| name == b"EXIF").unwrap();
    let whole = u32::try_from(file.len()).unwrap() - 8;
    file[4..8].copy_from_slice(&whole.to_le_bytes());
    file[at + 4..at + 8].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    let picture = Picture::from_bytes(&file, &Limits::default()).unwrap();
    assert_eq!((picture.width(), picture.height()), (24, 16));
}

#[test]
fn a_picture_without_pixels_is_an_error() {
    for (width, height) in [(0, 0), (0, 3), (3, 0)] {
        for convert in [true, false] {
            let config = format!(r#"{{"do_convert_rgb": {convert}}}"#);
            for kind in [ProcessorKind::Pil, ProcessorKind::Torchvision] {
                let image = image::DynamicImage::new_rgba8(width, height);
                let answer = message_with(
                    Limits::default(),
                    kind,
                    PassOrder::default(),
                    &config,
                    ImageInput::from(image),
                );
                assert!(
                    answer.ends_with(&format!(
                        "the picture has {width}x{height} pixels: nothing to process"
                    )),
                    "{answer}"
                );
            }
        }
    }
}

#[test]
fn a_huge_header_is_refused_before_anything_is_allocated() {
    let message = message(&png_header(60_000, 60_000));
    assert!(
        message.contains("60000x60000 pixels; more than 178956970"),
        "{message}"
    );
    let wrap = process(ImageInput::from(png_header(u32::MAX >> 1, u32::MAX >> 1)));
    assert!(wrap.is_err());
    let gif = process(ImageInput::from(gif_header(65_535, 65_535)))
        .unwrap_err()
        .to_string();
    assert!(gif.contains("65535x65535"), "{gif}");
}

#[test]
fn an_empty_file_says_that_it_is_empty() {
    assert_eq!(
        message(b""),
        "image 0 (bytes): the file is empty: expected a JPEG, PNG, GIF, WebP, BMP or TIFF image"
    );
}

#[test]
fn a_text_named_png_is_named_with_its_first_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("note.png");
    std::fs::write(&path, "Dear picture, ").unwrap();
    let message = process(ImageInput::from(&path)).unwrap_err().to_string();
    assert!(message.contains("note.png: not an image"), "{message}");
    assert!(
        message.ends_with("found one that starts with \"Dear picture\""),
        "{message}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let message = process(ImageInput::from(Path::new("no/such.jpg")))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("no/such.jpg: cannot read the file"),
        "{message}"
    );
}

#[test]
fn a_file_beyond_the_size_limit_is_not_read() {
    let limits = Limits {
        max_file_bytes: 100,
        ..Limits::default()
    };
    let processor = BitImageProcessorPil::new(ImageProcessorConfig::default()).unwrap();
    let processor = Processor::from(processor).with_limits(limits);
    let path = files().join("rgb.png");
    let error = processor
        .preprocess_one(&ImageInput::from(&path), &PreprocessOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("more than 100 bytes"), "{error}");
}

#[test]
fn the_pixel_limit_can_be_lowered() {
    let limits = Limits {
        max_pixels: 1000,
        ..Limits::default()
    };
    for name in [
        "rgb.png",
        "rgb-420.jpg",
        "palette.gif",
        "rgb.bmp",
        "rgb.tif",
        "rgb-lossy.webp",
    ] {
        let error = bit_image::Picture::open(&files().join(name), &limits)
            .unwrap_err()
            .to_string();
        assert!(error.contains("53x37 pixels; more than 1000"), "{name}: {error}");
    }
}

#[test]
fn a_resize_cannot_make_what_a_file_may_not_be() {
    let config = r#"{"size": {"height": 100, "width": 90}, "do_center_crop": false}"#;
    let config = ImageProcessorConfig::from_json(config).unwrap();
    let limits = Limits {
        max_pixels: 5000,
        ..Limits::default()
    };
    let processor = Processor::new(ProcessorKind::Pil, config)
        .unwrap()
        .with_limits(limits);
    let path = files().join("rgb.png");
    let error = processor
        .preprocess_one(&ImageInput::from(&path), &PreprocessOptions::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the result would have 90x100 pixels; the limit is 5000"),
        "{error}"
    );
}

#[test]
fn a_thin_picture_is_not_blown_up_beyond_its_crop() {
    let thin = vec![77_u8; 2 * 20_000 * 3];
    let image = ImageInput::Raw(bit_image::RawImage::u8(thin, [2, 20_000, 3]));
    process(image).unwrap();
}

#[test]
fn truncated_files_are_errors_in_every_format() {
    for name in [
        "rgb.png",
        "rgb-420.jpg",
        "progressive.jpg",
        "palette.gif",
        "rgb.bmp",
        "rgb.tif",
        "rgb-lossy.webp",
    ] {
        let bytes = std::fs::read(files().join(name)).unwrap();
        for part in [4, 2, 1] {
            let half = &bytes[..bytes.len() - bytes.len() * part / 5];
            let error = process(ImageInput::from(half)).expect_err(name).to_string();
            assert!(error.starts_with("image 0 (bytes): "), "{name}: {error}");
        }
    }
}

#[test]
fn a_truncated_jpeg_names_the_byte_where_it_ends() {
    let bytes = std::fs::read(files().join("rgb-420.jpg")).unwrap();
    let half = bytes.len() / 2;
    let message = message(&bytes[..half]);
    assert!(
        message.contains(&format!(
            "broken JPEG file at byte {half}: Premature end of JPEG file"
        )),
        "{message}"
    );
}

#[test]
fn a_truncated_file_names_the_byte_where_it_ends_in_every_format() {
    for (name, format) in [
        ("rgb.png", "PNG"),
        ("palette-one-clear.gif", "GIF"),
        ("rgb-lossy.webp", "WebP"),
        ("rgb-lossless.webp", "WebP"),
        ("rgb.bmp", "BMP"),
        ("rgb.tif", "TIFF"),
        ("cmyk.tif", "TIFF"),
        ("cmyk.jpg", "JPEG"),
    ] {
        let bytes = std::fs::read(files().join(name)).unwrap();
        for end in [bytes.len() / 2, bytes.len() * 9 / 10] {
            let message = message(&bytes[..end]);
            let place = format!("broken {format} file at byte {end}: ");
            assert!(message.contains(&place), "{name}: {message}");
        }
    }
}

#[test]
fn a_thumbnail_that_ends_does_not_make_a_truncated_jpeg_whole() {
    let thumbnail = std::fs::read(files().join("turned-1.jpg")).unwrap();
    for name in ["cmyk.jpg", "progressive.jpg", "rgb-420.jpg"] {
        let picture = std::fs::read(files().join(name)).unwrap();
        let mut file = b"\xFF\xD8\xFF\xE1".to_vec();
        file.extend((thumbnail.len() as u16 + 2).to_be_bytes());
        file.extend(&thumbnail);
        file.extend(&picture[2..]);
        assert!(process(ImageInput::from(&file[..])).is_ok(), "{name}");
        let half = &file[..file.len() - picture.len() / 2];
        let message = message(half);
        assert!(
            message.contains(&format!("at byte {}: Premature end", half.len())),
            "{name}: {message}"
        );
    }
}

#[test]
fn raw_pixels_that_do_not_fill_their_shape_are_an_error() {
    for (length, shape) in [(11, [2, 2, 3]), (12, [usize::MAX, 2, 3]), (0, [0, 2, 3])] {
        let raw = bit_image::RawImage::u8(vec![0; length], shape);
        assert!(
            process(ImageInput::Raw(raw))
                .unwrap_err()
                .to_string()
                .contains("do not fill the shape")
        );
    }
}

#[test]
fn the_first_bad_image_of_a_batch_is_the_one_named() {
    let good = std::fs::read(files().join("rgb.png")).unwrap();
    let images = [&good[..], b"x", b"y"].map(ImageInput::from);
    let processor = BitImageProcessorPil::new(ImageProcessorConfig::default()).unwrap();
    let message = processor
        .preprocess(&images, &PreprocessOptions::default())
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("image 1 (bytes): not an image"), "{message}");
}

#[test]
fn an_empty_batch_is_an_error() {
    let processor = BitImageProcessorPil::new(ImageProcessorConfig::default()).unwrap();
    assert!(matches!(
        processor.preprocess(&[], &PreprocessOptions::default()),
        Err(ImageError::NoImages)
    ));
}

/// The committed pictures, as seeds to damage.
fn seeds() -> Vec<Vec<u8>> {
    let mut names: Vec<_> = std::fs::read_dir(files())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    names.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn damaged_pictures_never_panic(
        seed in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        keep in 0.0..=1.0_f64,
    ) {
        let seeds = seeds();
        let mut bytes = seed.get(&seeds).clone();
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        bytes.truncate((bytes.len() as f64 * keep.sqrt()) as usize);
        let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
        if let Ok(picture) = bit_image::Picture::from_bytes(&bytes, &limits) {
            // Pixels may be wrong, but they are there and can be processed.
            prop_assert!(process(ImageInput::from(picture)).is_ok());
        }
    }
}
