//! Trains a network on batches from a file: `FOLDER VARIANT OUTPUT.safetensors [--device D]`, as
//! `tests/reference/training.py` calls it. Writes the losses and the final weights.

use std::path::Path;

use anyhow::{Result, bail};
use bit_model::named_parameters;
use bit_tests::{runner, training};
use burn::tensor::{Tensor, TensorData};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, variant, output, device) = match words[..] {
        [folder, variant, output] => (folder, variant, output, "cpu"),
        [folder, variant, output, "--device", device] => (folder, variant, output, device),
        _ => bail!("usage: FOLDER VARIANT OUTPUT.safetensors [--device D]"),
    };
    let device = runner::device(device)?;
    let (losses, trainer) = training::train(Path::new(folder), variant, &device)?;
    let mut outputs = runner::Outputs::default();
    outputs.add("losses", &Tensor::<1>::from_floats(losses.as_slice(), &device));
    for parameter in named_parameters(&trainer.network()) {
        let (name, shape) = (parameter.name.clone(), parameter.shape.clone());
        let data: TensorData = parameter.into_data();
        outputs.add_shaped(&name, &shape, data.iter::<f32>().collect());
    }
    outputs.write(Path::new(output))
}
