//! The committed pictures give transformers' values, bit for bit. `tests/reference/make_fixtures.py` made them.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bit_config::ImageProcessorConfig;
use bit_image::{
    ImageError, ImageInput, Limits, Mode, PassOrder, Picture, PreprocessOptions, Processor, ProcessorKind,
    RawImage,
};
use serde_json::Value;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(reference().join("cases.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn input(input: &Value) -> Result<ImageInput<'static>, ImageError> {
    let file = |name: &Value| reference().join("files").join(name.as_str().unwrap());
    if let Some(name) = input.get("path") {
        return Ok(file(name).into());
    }
    if let Some(name) = input.get("picture") {
        return Picture::open(&file(name), &Limits::default()).map(ImageInput::from);
    }
    let bytes = std::fs::read(file(&format!("{}.bin", input["raw"].as_str().unwrap()).into())).unwrap();
    let shape = [0, 1, 2].map(|side| input["shape"][side].as_u64().unwrap() as usize);
    Ok(ImageInput::Raw(match input["dtype"].as_str() {
        Some("f32") => {
            let floats = bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|&value| f32::from_le_bytes(value));
            RawImage::f32(floats.collect::<Vec<_>>(), shape)
        }
        _ => RawImage::u8(bytes, shape),
    }))
}

fn answer(case: &Value) -> Result<(Vec<usize>, Vec<f32>), ImageError> {
    let config = ImageProcessorConfig::from_json(&case["config"].to_string())?;
    let kind = if case["processor"] == "pil" {
        ProcessorKind::Pil
    } else {
        ProcessorKind::Torchvision
    };
    let order = match case.get("order") {
        Some(_) => PassOrder::Pillow12,
        None => PassOrder::Pillow13,
    };
    let processor = Processor::new(kind, config)?.with_pass_order(order);
    let values = processor.preprocess_one(&input(&case["input"])?, &PreprocessOptions::default())?;
    Ok((values.shape.to_vec(), values.data))
}

/// The first complaint about a case, if there is one.
fn complaint(case: &Value) -> Option<String> {
    let (shape, data) = match (answer(case), case.get("error")) {
        (Err(error), Some(expected)) if error.to_string().contains(expected.as_str().unwrap()) => {
            return None;
        }
        (Err(error), Some(expected)) => {
            return Some(format!("{case}\n    {error}\n    instead of {expected}"));
        }
        (Err(error), None) => return Some(format!("{case}\n    {error}")),
        (Ok(_), Some(expected)) => return Some(format!("{case}\n    is no error; expected {expected}")),
        (Ok(answer), None) => answer,
    };
    let bytes: Vec<u8> = data.iter().flat_map(|value| value.to_le_bytes()).collect();
    let right = serde_json::json!(shape) == case["shape"] && crc32fast::hash(&bytes) == case["crc32"];
    (!right).then(|| {
        format!(
            "{case}\n    got shape {shape:?}, first values {:?}",
            &data[..4.min(data.len())]
        )
    })
}

/// The names of the JPEG pictures that need libjpeg-turbo for Pillow's pixels; the others are baseline in colour.
fn for_libjpeg() -> Vec<String> {
    let decoded = std::fs::read_dir(reference().join("decoded")).unwrap();
    let name = |path: &Path| format!("{}.jpg", path.file_stem().unwrap().display());
    decoded.map(|entry| name(&entry.unwrap().path())).collect()
}

/// Checks the cases with this note; without libjpeg-turbo, those that need it are left out.
fn check(note: &str) {
    let for_libjpeg = for_libjpeg();
    let jpeg = |case: &Value| {
        let input = &case["input"];
        let name = input.get("path").or(input.get("picture"));
        name.is_some_and(|name| for_libjpeg.iter().any(|other| name == other))
    };
    let cases: Vec<_> = cases().into_iter().filter(|case| case["note"] == note).collect();
    assert!(!cases.is_empty(), "no case is about {note}");
    let cases = cases
        .iter()
        .filter(|case| cfg!(feature = "jpeg-turbo") || !jpeg(case));
    let complaints: Vec<_> = cases.filter_map(complaint).collect();
    assert!(
        complaints.is_empty(),
        "{} cases differ:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn every_filter_gives_the_peers_pixels() {
    check("filters");
}

#[test]
fn the_order_of_pillow_12_gives_its_pixels() {
    check("order");
}

#[test]
fn the_order_of_passes_shows_in_the_pixels() {
    let differs = |case: &Value| {
        let mut newer = case.clone();
        newer.as_object_mut().unwrap().remove("order");
        answer(case).unwrap() != answer(&newer).unwrap()
    };
    let (cases, ordered) = (cases(), |case: &&Value| case.get("order").is_some());
    let ordered: Vec<_> = cases.iter().filter(ordered).collect();
    let different = ordered.iter().filter(|case| differs(case)).count();
    // Some results round to the same bytes.
    assert!(
        different * 4 > ordered.len() * 3,
        "{different} of {} cases differ",
        ordered.len()
    );
}

#[test]
fn every_file_format_and_mode_gives_the_peers_pixels() {
    check("files");
}

#[test]
fn files_that_few_programs_write_give_the_peers_pixels() {
    check("odd files");
}

#[test]
fn every_size_dictionary_gives_the_peers_size_and_pixels() {
    check("sizes");
}

#[test]
fn crops_smaller_and_larger_than_the_picture_are_the_peers() {
    check("crops");
}

#[test]
fn rescaling_and_normalizing_give_the_peers_floats() {
    check("values");
}

#[test]
fn padding_gives_the_peers_zeros() {
    check("padding");
}

#[test]
fn raw_bytes_and_floats_give_the_peers_values() {
    check("raw");
}

/// The pixels of an opened picture, in RGB.
fn rgb(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let config =
        r#"{"do_resize": false, "do_center_crop": false, "do_rescale": false, "do_normalize": false}"#;
    let config = ImageProcessorConfig::from_json(config).unwrap();
    let processor = Processor::new(ProcessorKind::Pil, config).unwrap();
    let picture = Picture::open(path, &Limits::default()).unwrap();
    let values = processor
        .preprocess_one(&ImageInput::from(picture), &PreprocessOptions::default())
        .unwrap();
    (values.shape.to_vec(), values.data)
}

#[test]
fn jpegs_are_pillows_or_without_libjpeg_turbo_close_to_them() {
    for name in for_libjpeg() {
        let (shape, values) = rgb(&reference().join("files").join(&name));
        let (right_shape, right) = rgb(&reference().join("decoded").join(name.replace("jpg", "png")));
        assert_eq!(shape, right_shape, "{name}");
        let levels = values.iter().zip(&right).map(|(a, b)| (a - b).abs());
        let pixels = levels.clone().filter(|&levels| levels > 0.0).count() as f64 / values.len() as f64;
        let most = levels.fold(0.0, f32::max);
        // What the documentation promises.
        let (most_right, pixels_right) = if cfg!(feature = "jpeg-turbo") {
            (0.0, 0.0)
        } else {
            (8.0, 1.0 / 3.0)
        };
        assert!(
            most <= most_right && pixels <= pixels_right,
            "{name}: {most} levels in {pixels} of the values"
        );
    }
}

#[test]
fn a_cmyk_jpeg_keeps_its_mode_only_with_libjpeg_turbo() {
    let path = reference().join("files/cmyk.jpg");
    let mode = Picture::open(&path, &Limits::default()).unwrap().mode();
    assert_eq!(
        mode,
        if cfg!(feature = "jpeg-turbo") {
            Mode::Cmyk
        } else {
            Mode::Rgb
        }
    );
}
