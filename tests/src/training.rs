//! Training on batches from a file, to be compared step by step with google's code.

use std::path::Path;

use anyhow::{Context, Result};
use bit_convert::{Checkpoint, DType, Tensor as Stored};
use bit_pretrained::Pretrained;
use bit_transfer::data::{Batch, Targets};
use bit_transfer::train::{Mix, Recipe, Trainer};
use burn::tensor::Device;

/// Trains the network in `folder` by the recipe `VARIANT.json` on `batches.safetensors`, both in that folder: the
/// loss of every step, and the trainer at the end.
///
/// # Errors
///
/// When the files are not as `tests/reference/training.py` writes them.
pub fn train(folder: &Path, variant: &str, device: &Device) -> Result<(Vec<f32>, Trainer)> {
    let recipe: Recipe =
        serde_json::from_str(&std::fs::read_to_string(folder.join(format!("{variant}.json")))?)?;
    let pretrained = Pretrained::open(folder.to_str().context("the path is not UTF-8")?)?;
    let batches = Checkpoint::open(&folder.join("batches.safetensors"))?;
    let classes: Vec<String> = (0..recipe.classes).map(|class| class.to_string()).collect();
    let (steps, mixed) = (recipe.schedule.end, recipe.mixup_alpha > 0.0);
    let mut trainer = Trainer::new(&pretrained, &classes, recipe, device)?;
    let mut losses = Vec::with_capacity(steps);
    for step in 0..steps {
        let mix = if mixed { Some(mix(&batches, step)?) } else { None };
        let report = trainer.take_mixed_step(batch(&batches, step)?, mix.as_ref())?;
        losses.push(report.loss as f32);
    }
    Ok((losses, trainer))
}

fn batch(file: &Checkpoint, step: usize) -> Result<Batch> {
    let pixels = file.read(&format!("pixels.{step}"))?;
    let shape: [usize; 4] = pixels
        .shape
        .as_slice()
        .try_into()
        .context("pixels of four dimensions")?;
    let labels = integers(&file.read(&format!("labels.{step}"))?)?;
    Ok(Batch {
        pixels: pixels
            .bytes
            .iter()
            .map(|&byte| f32::from(byte) / 127.5 - 1.0)
            .collect(),
        shape,
        examples: (0..labels.len()).collect(),
        labels: Targets::Classes(labels),
    })
}

fn mix(file: &Checkpoint, step: usize) -> Result<Mix> {
    let lambda = file
        .read(&format!("lambda.{step}"))?
        .to_f32()
        .context("a lambda")?;
    Ok(Mix {
        lambda: f64::from(*lambda.first().context("a lambda")?),
        partner: integers(&file.read(&format!("partner.{step}"))?)?,
    })
}

fn integers(tensor: &Stored) -> Result<Vec<usize>> {
    anyhow::ensure!(
        tensor.dtype == DType::I64,
        "integers are {}, not int64",
        tensor.dtype
    );
    let (numbers, _) = tensor.bytes.as_chunks();
    numbers
        .iter()
        .map(|bytes| Ok(usize::try_from(i64::from_le_bytes(*bytes))?))
        .collect()
}
