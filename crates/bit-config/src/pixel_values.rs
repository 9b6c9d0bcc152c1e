//! The values in a processor's settings: filters, dimension orders, and numbers a channel.

use serde_json::{Value, json};

use crate::error::ConfigError;
use crate::fields::FromField;

/// Pillow's resampling filters, with Pillow's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Resample {
    /// The nearest pixel.
    Nearest = 0,
    /// Lanczos with three lobes.
    Lanczos = 1,
    /// Triangle.
    Bilinear = 2,
    /// Cubic with a = -0.5.
    Bicubic = 3,
    /// Mean over the covered pixels.
    Box = 4,
    /// Hamming window.
    Hamming = 5,
}

impl Resample {
    /// All filters in the order of their numbers.
    pub const ALL: [Resample; 6] = [
        Self::Nearest,
        Self::Lanczos,
        Self::Bilinear,
        Self::Bicubic,
        Self::Box,
        Self::Hamming,
    ];

    /// The name in lower case, as timm writes it.
    pub const fn name(self) -> &'static str {
        ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"][self as usize]
    }
}

impl FromField for Resample {
    const EXPECTED: &'static str =
        "0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)";

    fn from_field(value: &Value) -> Option<Self> {
        Self::ALL.get(usize::from_field(value)?).copied()
    }
}

/// Order of an image's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelDimension {
    /// `[channels, height, width]`
    First,
    /// `[height, width, channels]`
    Last,
}

impl ChannelDimension {
    /// The name in `preprocessor_config.json`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "channels_first",
            Self::Last => "channels_last",
        }
    }
}

impl FromField for ChannelDimension {
    const EXPECTED: &'static str = "channels_first or channels_last";

    fn from_field(value: &Value) -> Option<Self> {
        [Self::First, Self::Last].into_iter().find(|d| value == d.name())
    }
}

/// A mean or standard deviation: one number for all channels or one for each.
#[derive(Clone, Debug, PartialEq)]
pub enum PerChannel {
    /// The same for all channels.
    All(f64),
    /// One for each channel.
    Each(Vec<f64>),
}

impl PerChannel {
    /// One number a channel.
    ///
    /// # Errors
    /// [`ConfigError::PerChannel`] with transformers' message when the list has another length; `name` is
    /// `mean` or `std`.
    pub fn values(&self, name: &'static str, channels: usize) -> Result<Vec<f64>, ConfigError> {
        match self {
            Self::All(value) => Ok(vec![*value; channels]),
            Self::Each(values) if values.len() == channels => Ok(values.clone()),
            Self::Each(values) => Err(ConfigError::PerChannel {
                name,
                channels,
                found: values.len(),
            }),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::All(value) => json!(value),
            Self::Each(values) => json!(values),
        }
    }
}

impl FromField for PerChannel {
    const EXPECTED: &'static str = "a number or a list of numbers";

    fn from_field(value: &Value) -> Option<Self> {
        f64::from_field(value)
            .map(Self::All)
            .or_else(|| Vec::from_field(value).map(Self::Each))
    }
}
