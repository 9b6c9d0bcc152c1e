//! Rescaling and normalizing, in the arithmetic of numpy (Pillow processor) or torch.

use bit_config::{ConfigError, PerChannel};

use crate::ImageError;
use crate::options::Settings;
use crate::processor::ProcessorKind;

/// The map from a pixel value to its place in the tensor.
#[derive(Debug, Default)]
pub(crate) struct ValueMap {
    rescale: Rescale,
    /// Mean and standard deviation of each channel; empty when nothing is normalized.
    stats: Vec<(f32, f32)>,
    tables: Vec<[f32; 256]>,
}

#[derive(Debug, Clone, Copy, Default)]
enum Rescale {
    #[default]
    None,
    /// numpy: multiplied in `f64`, then rounded.
    Double(f64),
    /// torch: multiplied in `f32`.
    Single(f32),
}

impl ValueMap {
    /// Becomes the map of these settings for an image of so many channels.
    pub(crate) fn fill(
        &mut self,
        settings: &Settings<'_>,
        kind: ProcessorKind,
        channels: usize,
    ) -> Result<(), ImageError> {
        self.stats.clear();
        if let Some((mean, std)) = settings.normalize {
            check_length(mean, "mean", channels, kind)?;
            check_length(std, "std", channels, kind)?;
            let stats = |c| (at(mean, c) as f32, at(std, c) as f32);
            self.stats.extend((0..channels).map(stats));
        }
        let zero = self.stats.iter().any(|&(_, std)| std == 0.0);
        self.rescale = match (kind, settings.rescale) {
            (ProcessorKind::Pil, Some(factor)) => Rescale::Double(factor),
            (ProcessorKind::Torchvision, Some(factor)) if !self.stats.is_empty() => {
                // torchvision's backend folds the factor into mean and std.
                let unit = (1.0 / factor) as f32;
                let fold = |(mean, std): &mut (f32, f32)| (*mean, *std) = (*mean * unit, *std * unit);
                self.stats.iter_mut().for_each(fold);
                Rescale::None
            }
            (ProcessorKind::Torchvision, Some(factor)) => Rescale::Single(factor as f32),
            (ProcessorKind::Torchvision, None) if zero => {
                let message = "std evaluated to zero, leading to division by zero.";
                return Err(ImageError::Argument(message.into()));
            }
            (_, None) => Rescale::None,
        };
        Ok(())
    }

    /// The tensor's value for a pixel value of channel `channel`.
    pub(crate) fn apply(&self, value: f32, channel: usize) -> f32 {
        let value = match self.rescale {
            Rescale::None => value,
            Rescale::Double(factor) => (f64::from(value) * factor) as f32,
            Rescale::Single(factor) => value * factor,
        };
        match self.stats.get(channel) {
            Some((mean, std)) => (value - mean) / std,
            None => value,
        }
    }

    /// [`apply`](Self::apply) for every byte of each channel; `unit` bytes stand for `byte / 255`.
    pub(crate) fn tables(&mut self, channels: usize, unit: bool) -> &[[f32; 256]] {
        let mut tables = std::mem::take(&mut self.tables);
        tables.clear();
        tables.extend((0..channels).map(|channel| {
            std::array::from_fn(|byte| {
                let value = if unit {
                    (byte as f64 * (1.0 / 255.0)) as f32
                } else {
                    byte as f32
                };
                self.apply(value, channel)
            })
        }));
        self.tables = tables;
        &self.tables
    }
}

/// The value of a channel; one value stands for all.
fn at(values: &PerChannel, channel: usize) -> f64 {
    match values {
        PerChannel::All(value) => *value,
        PerChannel::Each(values) => values[channel.min(values.len() - 1)],
    }
}

/// Fails unless there is one value for all channels, or one for each. torch broadcasts a list of one too.
fn check_length(
    values: &PerChannel,
    name: &'static str,
    channels: usize,
    kind: ProcessorKind,
) -> Result<(), ImageError> {
    let found = match values {
        PerChannel::All(_) => return Ok(()),
        PerChannel::Each(values) => values.len(),
    };
    match kind {
        _ if found == channels => Ok(()),
        ProcessorKind::Torchvision if found == 1 => Ok(()),
        ProcessorKind::Torchvision => Err(ImageError::Channels(format!(
            "The size of tensor a ({channels}) must match the size of tensor b ({found}) at non-singleton dimension 1: \
             the image has {channels} channels, image_mean or image_std has {found} values"
        ))),
        ProcessorKind::Pil => Err(ImageError::Config(ConfigError::PerChannel {
            name,
            channels,
            found,
        })),
    }
}
