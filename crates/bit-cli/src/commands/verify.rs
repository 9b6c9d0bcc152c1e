//! Whether a converted checkpoint is the same model.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bit_config::BitConfig;
use bit_convert::{BitTensors, Checkpoint, DType, Tensor as Stored};
use bit_model::{BitForImageClassification, load_parameters};
use burn::tensor::{DType as BurnDType, Device, Tensor, TensorData};

use crate::device::DeviceName;

/// What was compared and found to agree.
pub struct Summary {
    tensors: usize,
    /// Largest difference of a weight.
    weights: f32,
    /// Largest difference of a logit for one image.
    logits: f32,
    /// Largest logit.
    size: f32,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tensors,
            weights,
            logits,
            size,
        } = self;
        write!(f, "verified: {tensors} tensors, ")?;
        match weights {
            0.0 => f.write_str("all bits equal")?,
            _ => write!(f, "rounded by at most {weights:.1e}")?,
        }
        write!(f, "; logits of one image differ by {logits:.1e} of {size:.3}")
    }
}

/// Reads `dest` back, compares every tensor with `source`'s, and runs one image through both.
pub fn verify(source: &Checkpoint, dest: &Path, config: &BitConfig) -> Result<Summary> {
    let written = Checkpoint::open(dest)?;
    let (source, written) = (source.to_transformers()?, written.to_transformers()?);
    let weights = compare_tensors(&source, &written)?;
    let expected = logits(&source, config)?;
    let found = logits(&written, config)?;
    let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
    Ok(Summary {
        tensors: source.tensors().len(),
        weights,
        logits: differences.fold(0.0, f32::max),
        size: expected.iter().fold(0.0, |size, logit| logit.abs().max(size)),
    })
}

/// The largest difference, which must not be more than rounding to the written type explains.
fn compare_tensors(source: &BitTensors<'_>, written: &BitTensors<'_>) -> Result<f32> {
    let (expected, found) = (source.tensors().len(), written.tensors().len());
    ensure!(
        expected == found,
        "{found} tensors were read back, expected {expected}"
    );
    let mut largest = 0f32;
    for info in source.tensors() {
        let (a, b) = (source.read(&info.name)?, written.read(&info.name)?);
        ensure!(
            a.shape == b.shape,
            "`{}` was read back as {:?}, expected {:?}",
            info.name,
            b.shape,
            a.shape
        );
        if a.dtype != b.dtype {
            largest = largest.max(rounding(&info.name, &a, &b)?);
        } else if a.bytes != b.bytes {
            bail!("`{}` was read back with other values", info.name);
        }
    }
    Ok(largest)
}

/// Compares value by value where the element type changed.
fn rounding(name: &str, source: &Stored, written: &Stored) -> Result<f32> {
    let (a, b) = (source.to_f32(), written.to_f32());
    let (a, b) = a
        .zip(b)
        .with_context(|| format!("`{name}` does not hold floating-point numbers"))?;
    let (from, to) = (precision(source.dtype), precision(written.dtype));
    let (relative, smallest) = (from.0.max(to.0), from.1.max(to.1));
    let mut largest = 0f32;
    for (a, b) in a.iter().zip(&b) {
        let difference = (a - b).abs();
        // Infinities and what is not a number have no difference; they must stay what they are.
        let close = difference <= a.abs() * relative + smallest || a.to_bits() == b.to_bits();
        ensure!(
            close || (a.is_nan() && b.is_nan()),
            "`{name}`: {a} was read back as {b}"
        );
        largest = largest.max(if difference.is_finite() { difference } else { 0.0 });
    }
    Ok(largest)
}

/// The largest error of rounding, relative to the value and, for the smallest numbers, absolute.
fn precision(dtype: DType) -> (f32, f32) {
    match dtype {
        DType::BF16 => (2f32.powi(-8), 0.0),
        DType::F16 => (2f32.powi(-11), 2f32.powi(-25)),
        _ => (f32::EPSILON, 0.0),
    }
}

/// The logits of one image, or the pooled features where there is no classifier.
fn logits(tensors: &BitTensors<'_>, config: &BitConfig) -> Result<Vec<f32>> {
    let has_head = tensors.info("classifier.1.weight").is_some();
    let config = if has_head {
        config.clone()
    } else {
        config.clone().with_num_labels(0)
    };
    let device = "cpu".parse::<DeviceName>().map_err(anyhow::Error::msg)?.open()?;
    let mut failed = None;
    let model = BitForImageClassification::new(&config, &device)?;
    let model = load_parameters(model, BurnDType::F32, |name, _| {
        let read = tensors.read(name).map_err(anyhow::Error::from);
        match read.and_then(|tensor| values(name, &tensor)) {
            Ok(values) => Some(values),
            Err(error) => {
                failed.get_or_insert(error);
                None
            }
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(model
            .forward(image(config.num_channels, &device))?
            .logits
            .into_data()
            .iter()
            .collect()),
    }
}

fn values(name: &str, tensor: &Stored) -> Result<TensorData> {
    let values = tensor
        .to_f32()
        .with_context(|| format!("`{name}` does not hold floating-point numbers"))?;
    Ok(TensorData::new(values, tensor.shape.clone()))
}

/// Waves of several lengths, the same each time.
fn image(channels: usize, device: &Device) -> Tensor<4> {
    const SIDE: usize = 64;
    let values: Vec<f32> = (0..channels * SIDE * SIDE)
        .map(|i| ((i % 97) as f32 * 0.37 + i as f32 * 0.011).sin())
        .collect();
    Tensor::from_data(TensorData::new(values, [1, channels, SIDE, SIDE]), device)
}
