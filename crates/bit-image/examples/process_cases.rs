//! Runs many preprocessing cases for the comparison with transformers (`tests/reference/image_parity.py`).
//!
//! `process_cases CASES.jsonl OUTPUT.bin` reads one case a line and prints one answer a line: either
//! `{"shape": [images, channels, height, width]}`, with the values appended to OUTPUT.bin as little-endian `f32`, or
//! `{"error": "…"}`. A case has
//!
//! - `processor`: "pil" or "torchvision",
//! - `config`: a `preprocessor_config.json`,
//! - `inputs`: for each image of the batch `{"path": …}`, `{"picture": …}` (opened, not loaded) or
//!   `{"raw": …, "dtype": "u8" or "f32", "shape": […]}`,
//! - `options` (optional): settings of the configuration that the call overrides,
//! - `order` (optional): "pillow12".

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use bit_config::ImageProcessorConfig;
use bit_image::{
    ImageError, ImageInput, Limits, PassOrder, Picture, PreprocessOptions, Processor, ProcessorKind, RawImage,
};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(cases), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: process_cases CASES.jsonl OUTPUT.bin".into());
    };
    let mut output = BufWriter::new(File::create(output)?);
    let mut answers = BufWriter::new(std::io::stdout().lock());
    for line in BufReader::new(File::open(cases)?).lines() {
        let case: Value = serde_json::from_str(&line?)?;
        let answer = match run(&case) {
            Ok((shape, data)) => {
                data.iter()
                    .try_for_each(|value| output.write_all(&value.to_le_bytes()))?;
                json!({ "shape": shape })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        writeln!(answers, "{answer}")?;
    }
    output.flush()?;
    Ok(answers.flush()?)
}

fn run(case: &Value) -> Result<([usize; 4], Vec<f32>), ImageError> {
    let config = ImageProcessorConfig::from_json(&case["config"].to_string())?;
    let kind = match case["processor"].as_str() {
        Some("torchvision") => ProcessorKind::Torchvision,
        _ => ProcessorKind::Pil,
    };
    let order = match case["order"].as_str() {
        Some("pillow12") => PassOrder::Pillow12,
        _ => PassOrder::Pillow13,
    };
    let processor = Processor::new(kind, config)?.with_pass_order(order);
    let inputs = case["inputs"].as_array().map_or(&[][..], Vec::as_slice);
    let inputs = inputs.iter().map(input).collect::<Result<Vec<_>, _>>()?;
    let options = options(case)?;
    if let [input] = &inputs[..] {
        let values = processor.preprocess_one(input, &options)?;
        let [channels, height, width] = values.shape;
        return Ok(([1, channels, height, width], values.data));
    }
    let values = processor.preprocess(&inputs, &options)?;
    Ok((values.shape, values.data))
}

/// What the call overrides, read as the configuration would read it.
fn options(case: &Value) -> Result<PreprocessOptions, ImageError> {
    let mut merged = case["config"].clone();
    let overrides = case["options"].as_object().cloned().unwrap_or_default();
    if let Some(merged) = merged.as_object_mut() {
        merged.extend(overrides.clone());
    }
    let merged = ImageProcessorConfig::from_json(&merged.to_string())?;
    let mut options = PreprocessOptions::default();
    macro_rules! take {
        ($($field:ident)*) => {$(
            if overrides.contains_key(stringify!($field)) {
                options.$field = merged.$field;
            }
        )*};
    }
    take!(
        do_convert_rgb do_resize size resample do_center_crop crop_size do_rescale rescale_factor do_normalize
        image_mean image_std do_pad pad_size input_data_format
    );
    Ok(options)
}

fn input(input: &Value) -> Result<ImageInput<'static>, ImageError> {
    if let Some(path) = input["path"].as_str() {
        return Ok(PathBuf::from(path).into());
    }
    if let Some(path) = input["picture"].as_str() {
        return Ok(Picture::open(Path::new(path), &Limits::default())?.into());
    }
    let bytes = std::fs::read(input["raw"].as_str().unwrap_or_default())?;
    let shape = [0, 1, 2].map(|side| input["shape"][side].as_u64().unwrap_or(0) as usize);
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
