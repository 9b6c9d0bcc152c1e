//! Rescaling and normalizing, in the arithmetic of numpy (Pillow processor) or torch.

use crate::ImageError;
use crate::options::Settings;
use crate::processor::ProcessorKind;

/// The map from a pixel value to its place in the tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueMap {
    rescale: Rescale,
    /// Mean and standard deviation of each channel.
    stats: Option<Vec<(f32, f32)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rescale {
    None,
    /// numpy: multiplied in `f64`, then rounded.
    Double(f64),
    /// torch: multiplied in `f32`.
    Single(f32),
}

impl ValueMap {
    pub(crate) fn new(settings: &Settings, kind: ProcessorKind, channels: usize) -> Result<Self, ImageError> {
        let stats = match &settings.normalize {
            None => None,
            Some((mean, std)) => {
                let (mean, std) = match kind {
                    ProcessorKind::Pil => (mean.values("mean", channels)?, std.values("std", channels)?),
                    ProcessorKind::Torchvision => (broadcast(mean, channels)?, broadcast(std, channels)?),
                };
                let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32);
                Some(single(mean).zip(single(std)).collect::<Vec<_>>())
            }
        };
        let map = match (kind, settings.rescale, stats) {
            (ProcessorKind::Pil, Some(factor), stats) => Self {
                rescale: Rescale::Double(factor),
                stats,
            },
            (ProcessorKind::Torchvision, Some(factor), Some(stats)) => {
                // torchvision's backend folds the factor into mean and std.
                let unit = (1.0 / factor) as f32;
                let stats = stats.into_iter().map(|(mean, std)| (mean * unit, std * unit));
                Self {
                    rescale: Rescale::None,
                    stats: Some(stats.collect()),
                }
            }
            (ProcessorKind::Torchvision, Some(factor), None) => Self {
                rescale: Rescale::Single(factor as f32),
                stats: None,
            },
            (ProcessorKind::Torchvision, None, Some(stats)) if stats.iter().any(|&(_, std)| std == 0.0) => {
                let message = "std evaluated to zero, leading to division by zero.";
                return Err(ImageError::Argument(message.into()));
            }
            (_, None, stats) => Self {
                rescale: Rescale::None,
                stats,
            },
        };
        Ok(map)
    }

    /// The tensor's value for a pixel value of channel `channel`.
    pub(crate) fn apply(&self, value: f32, channel: usize) -> f32 {
        let value = match self.rescale {
            Rescale::None => value,
            Rescale::Double(factor) => (f64::from(value) * factor) as f32,
            Rescale::Single(factor) => value * factor,
        };
        match self.stats.as_deref().and_then(|stats| stats.get(channel)) {
            Some((mean, std)) => (value - mean) / std,
            None => value,
        }
    }

    /// [`apply`](Self::apply) for every byte; `unit` bytes stand for `byte / 255`.
    pub(crate) fn table(&self, channel: usize, unit: bool) -> [f32; 256] {
        std::array::from_fn(|byte| {
            let value = if unit {
                (byte as f64 * (1.0 / 255.0)) as f32
            } else {
                byte as f32
            };
            self.apply(value, channel)
        })
    }
}

/// torch broadcasts one value over all channels.
fn broadcast(values: &bit_config::PerChannel, channels: usize) -> Result<Vec<f64>, ImageError> {
    use bit_config::PerChannel::{All, Each};
    match values {
        All(value) => Ok(vec![*value; channels]),
        Each(values) if values.len() == 1 => Ok(vec![values[0]; channels]),
        Each(values) if values.len() == channels => Ok(values.clone()),
        Each(values) => Err(ImageError::Channels(format!(
            "The size of tensor a ({channels}) must match the size of tensor b ({}) at non-singleton dimension 1: \
             the image has {channels} channels, image_mean or image_std has {} values",
            values.len(),
            values.len()
        ))),
    }
}
