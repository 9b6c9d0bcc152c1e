//! Whether a converted checkpoint is the same model.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use bit_config::{BitConfig, ImageProcessorConfig, PerChannel};
use bit_convert::{BitTensors, Checkpoint, Converted, DType, Target, Tensor as Stored};
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

/// Reads back what was written, compares every tensor and the configurations with the source's, and runs one image
/// through both.
pub fn verify(source: &Checkpoint, converted: &Converted, target: Target) -> Result<Summary> {
    let written = Checkpoint::open(&converted.weights)?;
    let (source, written) = (source.to_transformers()?, written.to_transformers()?);
    let weights = compare_tensors(&source, &written)?;
    compare_configurations(&written, converted, target)?;
    let expected = logits(&source, &converted.config)?;
    let found = logits(&written, &converted.config)?;
    let (logits, size) = compare_logits(&expected, &found, bar(&written))?;
    Ok(Summary {
        tensors: source.tensors().len(),
        weights,
        logits,
        size,
    })
}

/// What was written beside the weights or into their file must say what it was made from.
fn compare_configurations(written: &BitTensors<'_>, converted: &Converted, target: Target) -> Result<()> {
    let is_beside = converted.files.iter().any(|file| file.ends_with("config.json"));
    if !is_beside && target != Target::Burnpack {
        return Ok(()); // tensors and nothing else
    }
    let (found, expected) = (written.config()?, &converted.config);
    let same = match target {
        // timm's has no more than the architecture and the number of classes.
        Target::Timm => found.parameters() == expected.parameters(),
        _ => found.to_json() == expected.to_json(),
    };
    ensure!(same, "the configuration was read back with other values");
    let Some(expected) = converted
        .processor
        .as_ref()
        .filter(|_| converted.no_processor.is_none())
    else {
        return Ok(());
    };
    let found = written.processor()?;
    let same = match target {
        Target::Timm => timm_steps(&found) == timm_steps(expected),
        _ => found.to_json() == expected.to_json(),
    };
    ensure!(same, "the image processor was read back with other values");
    Ok(())
}

/// The part of a processor that timm has words for.
fn timm_steps(processor: &ImageProcessorConfig) -> impl PartialEq + use<> {
    let each = |values: &Option<PerChannel>| match values {
        Some(PerChannel::Each(values)) => values.clone(),
        Some(PerChannel::All(value)) => vec![*value; 3],
        None => vec![],
    };
    let (mean, std) = (each(&processor.image_mean), each(&processor.image_std));
    (processor.size, processor.crop_size, processor.resample, mean, std)
}

/// How far logits may be apart for the largest of them: the same arithmetic, after rounding to the written type. Depth
/// adds to it: R50x1 with random weights is off by 6e-3 in f16 and by 5e-2 in bf16, and deeper ones are allowed more.
fn bar(written: &BitTensors<'_>) -> f32 {
    let of_type = |dtype| match dtype {
        DType::BF16 => 0.25,
        DType::F16 => 0.03,
        _ => 1e-4,
    };
    let bars = written.tensors().iter().map(|info| of_type(info.dtype));
    bars.fold(0.0, f32::max)
}

/// The largest difference and the largest logit. What is no number must stay so, position by position.
fn compare_logits(expected: &[f32], found: &[f32], bar: f32) -> Result<(f32, f32)> {
    let (wanted, given) = (expected.len(), found.len());
    ensure!(wanted == given, "{given} logits were computed, expected {wanted}");
    let finite = expected.iter().filter(|logit| logit.is_finite());
    let size = finite.fold(0f32, |size, logit| logit.abs().max(size));
    let mut largest = 0f32;
    for (i, (a, b)) in expected.iter().zip(found).enumerate() {
        if a == b || (a.is_nan() && b.is_nan()) {
            continue;
        }
        let difference = (a - b).abs();
        ensure!(
            difference <= bar * size,
            "logit {i} is {b}, expected {a} give or take {:.1e}",
            bar * size
        );
        largest = largest.max(difference);
    }
    Ok((largest, size))
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
            .for_inference()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn logits_may_differ_by_rounding_and_no_more() {
        assert_eq!(
            compare_logits(&[1.0, -4.0], &[1.0, -4.0], 0.0).unwrap(),
            (0.0, 4.0)
        );
        assert!(compare_logits(&[1.0, -4.0], &[1.01, -4.0], 5e-3).is_ok());
        let message = compare_logits(&[1.0, -4.0], &[1.5, -4.0], 5e-2)
            .unwrap_err()
            .to_string();
        assert!(message.contains("logit 0 is 1.5, expected 1"), "{message}");
        assert!(compare_logits(&[1.0], &[1.0, 2.0], 1.0).is_err());
    }

    #[test]
    fn what_is_no_number_must_stay_so_position_by_position() {
        let (nan, infinite) = (f32::NAN, f32::INFINITY);
        assert!(compare_logits(&[nan, infinite, 1.0], &[nan, infinite, 1.0], 0.0).is_ok());
        for found in [[1.0, nan], [nan, nan], [infinite, 1.0], [nan, 1.0]] {
            assert!(compare_logits(&[1.0, 1.0], &found, 5e-2).is_err(), "{found:?}");
        }
    }
}
