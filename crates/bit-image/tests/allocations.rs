//! In the steady state an image takes no memory: what its steps need is kept from the images before it.
//!
//! `allocation-counter` counts what Rust code allocates on the thread of a test; libjpeg-turbo's C code is not seen.

#![allow(clippy::unwrap_used)]

use std::io::Cursor;
use std::path::{Path, PathBuf};

use allocation_counter::{AllocationInfo, measure};
use bit_config::{ImageProcessorConfig, PerChannel, Resample, SizeDict};
use bit_image::{ImageInput, Limits, Picture, PreprocessOptions, Processor, ProcessorKind, RawImage};
use image::{DynamicImage, ImageFormat};
use tiff::encoder::TiffEncoder;
use tiff::encoder::colortype::RGB8;

const BOTH: [ProcessorKind; 2] = [ProcessorKind::Pil, ProcessorKind::Torchvision];

/// Rounds over the images before anything is counted: vectors that change places have then seen the largest use of each.
const WARM_UP: usize = 12;

fn processor(kind: ProcessorKind) -> Processor {
    let small = r#"{"size": {"shortest_edge": 20}, "crop_size": {"height": 18, "width": 18}}"#;
    Processor::new(kind, ImageProcessorConfig::from_json(small).unwrap()).unwrap()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/reference/files")
        .join(name)
}

fn bytes(name: &str) -> ImageInput<'static> {
    std::fs::read(file(name)).unwrap().into()
}

fn opened(name: &str) -> ImageInput<'static> {
    Picture::open(&file(name), &Limits::default()).unwrap().into()
}

fn raw(channels: usize) -> ImageInput<'static> {
    ImageInput::Raw(RawImage::u8(noise(50 * 60 * channels), [50, 60, channels]))
}

fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 37) ^ (i / 7)) as u8).collect()
}

/// What one more round over the images allocates, one image after the other.
fn steady(kind: ProcessorKind, images: &[ImageInput<'_>], options: &PreprocessOptions) -> AllocationInfo {
    let (processor, mut out) = (processor(kind), Vec::new());
    let mut round = || {
        for image in images {
            processor.preprocess_into(image, options, &mut out).unwrap();
        }
    };
    (0..WARM_UP).for_each(|_| round());
    measure(round)
}

fn assert_none(images: &[ImageInput<'_>], options: &PreprocessOptions) {
    for kind in BOTH {
        for image in images {
            let one = std::slice::from_ref(image);
            assert_eq!(steady(kind, one, options).count_total, 0, "{kind:?}, {image:?}");
        }
        assert_eq!(steady(kind, images, options).count_total, 0, "{kind:?}, all");
    }
}

#[test]
fn baseline_jpegs_of_many_sizes_take_no_memory() {
    let names = [
        "rgb-444.jpg",
        "rgb-422.jpg",
        "rgb-420.jpg",
        "wide-444.jpg",
        "wide-422.jpg",
        "wide-420.jpg",
        "restart.jpg",
        "turned-1.jpg",
        "turned-3.jpg",
        "turned-6.jpg",
    ];
    let paths = names.map(|name| ImageInput::from(file(name)));
    assert_none(&paths, &PreprocessOptions::default());
    assert_none(&names.map(bytes), &PreprocessOptions::default());
}

#[cfg(feature = "jpeg-turbo")]
#[test]
fn other_jpegs_take_no_memory_but_libjpegs() {
    assert_none(
        &["progressive.jpg", "gray.jpg", "cmyk.jpg"].map(bytes),
        &PreprocessOptions::default(),
    );
}

#[test]
fn raw_pixels_take_no_memory() {
    let floats = |channels: usize| {
        let unit = noise(50 * 60 * channels)
            .into_iter()
            .map(|v| f32::from(v) / 255.0);
        ImageInput::Raw(RawImage::f32(unit.collect::<Vec<_>>(), [channels, 50, 60]))
    };
    let images = [raw(1), raw(3), raw(4), floats(1), floats(3), floats(4)];
    assert_none(&images, &PreprocessOptions::default());
}

#[test]
fn opened_pictures_of_every_mode_take_no_memory() {
    let names = [
        "rgb.png",
        "rgba.png",
        "gray.png",
        "gray-alpha.png",
        "bilevel.png",
        "palette.png",
        "palette-alphas.png",
        "rgb-key.png",
        "gray-16.png",
        "cmyk.tif",
    ];
    assert_none(&names.map(opened), &PreprocessOptions::default());
    let as_they_are = PreprocessOptions {
        do_convert_rgb: Some(false),
        do_normalize: Some(false),
        ..Default::default()
    };
    // Pillow's processor refuses 16 bits that are not converted.
    for name in names.into_iter().filter(|&name| name != "gray-16.png") {
        assert_none(&[opened(name)], &as_they_are);
    }
}

#[test]
fn images_of_the_image_crate_take_no_memory() {
    let rgb = DynamicImage::from(image::RgbImage::from_raw(60, 50, noise(9000)).unwrap());
    let images = [
        ImageInput::from(DynamicImage::from(rgb.to_luma8())),
        ImageInput::from(DynamicImage::from(rgb.to_rgba8())),
        ImageInput::from(DynamicImage::from(rgb.to_rgb16())),
        ImageInput::from(DynamicImage::from(rgb.to_luma_alpha16())),
        ImageInput::from(rgb),
    ];
    assert_none(&images, &PreprocessOptions::default());
}

#[test]
fn no_filter_padding_or_override_takes_memory() {
    for resample in Resample::ALL {
        let options = PreprocessOptions {
            resample: Some(resample),
            size: Some(SizeDict::HeightWidth {
                height: 30,
                width: 70,
            }),
            crop_size: Some(SizeDict::square(40)),
            image_mean: Some(PerChannel::Each(vec![0.1, 0.2, 0.3])),
            image_std: Some(PerChannel::All(0.5)),
            do_pad: Some(true),
            pad_size: Some(SizeDict::square(90)),
            ..Default::default()
        };
        let images = [raw(3), bytes("wide-420.jpg"), bytes("turned-6.jpg")];
        for kind in BOTH {
            let missing = matches!(resample, Resample::Box | Resample::Hamming);
            if kind == ProcessorKind::Pil || !missing {
                assert_eq!(
                    steady(kind, &images, &options).count_total,
                    0,
                    "{kind:?}, {resample:?}"
                );
            }
        }
    }
}

/// Bytes of the picture that [`large`] writes.
const LARGE: u64 = 3 * 900 * 700;

fn large(format: ImageFormat) -> ImageInput<'static> {
    let picture = image::RgbImage::from_raw(900, 700, noise(LARGE as usize)).unwrap();
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner().into()
}

fn large_tiff() -> ImageInput<'static> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let pixels = noise(LARGE as usize);
    encoder.write_image::<RGB8>(900, 700, &pixels).unwrap();
    file.into_inner().into()
}

fn large_png() -> ImageInput<'static> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 900, 700);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&noise(LARGE as usize)).unwrap();
    writer.finish().unwrap();
    file.into()
}

/// The `png` crate has windows and rows for itself, however large the picture is, which lies in memory that is kept.
#[test]
fn of_a_png_only_the_decoders_windows_are_allocated() {
    let names = [
        "rgb.png",
        "rgba.png",
        "gray.png",
        "gray-alpha.png",
        "palette.png",
        "rgb-key.png",
    ];
    for kind in BOTH {
        for png in names.map(bytes).into_iter().chain([large_png()]) {
            let taken = steady(kind, &[png], &PreprocessOptions::default());
            assert!(taken.count_total <= 16, "{kind:?}: {taken:?}");
            assert!(taken.bytes_max < 512 << 10, "{kind:?}: {taken:?}");
        }
    }
}

/// The decoders of the crates `image` and `tiff` make the picture's memory, and have some for themselves; nothing else is allocated.
#[test]
fn of_other_formats_only_the_decoders_memory_is_allocated() {
    let most = [
        ("BMP", large(ImageFormat::Bmp), LARGE + 4096),
        ("WebP", large(ImageFormat::WebP), 3 * LARGE),
        ("TIFF", large_tiff(), 3 * LARGE),
    ];
    for kind in BOTH {
        for (format, file, most) in &most {
            let taken = steady(kind, std::slice::from_ref(file), &PreprocessOptions::default());
            assert!(taken.bytes_total <= *most, "{format}, {kind:?}: {taken:?}");
        }
    }
}

#[test]
fn a_batch_takes_no_more_memory_for_more_images() {
    // The pool's only thread is this one, which is counted.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread();
    let pool = pool.build().unwrap();
    for kind in BOTH {
        let taken = [4, 40].map(|count| {
            let images = vec![bytes("rgb-420.jpg"); count];
            let (processor, mut out) = (processor(kind), Vec::new());
            let options = PreprocessOptions::default();
            let mut batch = || {
                let shape = processor.preprocess_batch_into(&images, &options, &mut out);
                assert_eq!(shape.unwrap(), [count, 3, 18, 18]);
            };
            pool.install(|| {
                (0..WARM_UP).for_each(|_| batch());
                measure(batch).count_total
            })
        });
        // The list of prepared images.
        assert_eq!(taken, [1, 1], "{kind:?}");
    }
}

#[test]
fn the_first_image_does_take_memory() {
    for kind in BOTH {
        let (processor, mut out) = (processor(kind), Vec::new());
        let first = measure(|| {
            let options = PreprocessOptions::default();
            processor.preprocess_into(&raw(3), &options, &mut out).unwrap();
        });
        assert!(first.count_total > 5, "{first:?}");
    }
}
