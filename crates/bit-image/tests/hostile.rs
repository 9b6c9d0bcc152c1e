//! Files that want to crash, hang or fill the memory get one clear error.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bit_config::ImageProcessorConfig;
use bit_image::{
    BitImageProcessorPil, ImageError, ImageInput, Limits, PassOrder, PreprocessOptions, Processor,
    ProcessorKind,
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
