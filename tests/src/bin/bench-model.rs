//! This project as a contender of `cargo xtask bench`; tests/reference/peers.py says what it answers to what.

use std::io;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use bit_model::BitForImageClassification;
use bit_pretrained::{LoadOptions, Pretrained};
use bit_tests::runner::{Arguments, Outputs, milliseconds, say};
use burn::tensor::Tensor;

fn main() -> Result<()> {
    let arguments = Arguments::parse()?;
    let pixel_values = arguments.pixel_values()?;
    let start = Instant::now();
    let pretrained = Pretrained::open(&arguments.folder)?;
    let loaded = pretrained.load::<BitForImageClassification>(LoadOptions::default(), &arguments.device)?;
    let model = loaded.model.for_inference();
    say(&format!("ready {:.3}", milliseconds(start)))?;
    for line in io::stdin().lines() {
        let answer = answer(&model, &pixel_values, line?.trim())?;
        say(&answer)?;
    }
    Ok(())
}

fn answer(model: &BitForImageClassification, pixel_values: &Tensor<4>, line: &str) -> Result<String> {
    let start = Instant::now();
    let logits = model.forward(pixel_values.clone())?.logits;
    match line.split_once(' ') {
        None if line == "run" => {
            // Only reading the values waits for a device that works asynchronously.
            let _ = logits.into_data();
            Ok(format!("{:.3}", milliseconds(start)))
        }
        Some(("logits", path)) => {
            let mut outputs = Outputs::default();
            outputs.add("logits", &logits);
            outputs.write(Path::new(path))?;
            Ok("written".to_owned())
        }
        _ => bail!("`{line}` is neither `run` nor `logits FILE`"),
    }
}
