//! `ImageProcessorConfig`: what `preprocessor_config.json` says about preparing an image.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::ConfigError;
use crate::fields::{Fields, FromField, in_file, read_text, wrong};
use crate::json::{into_map, sorted_json};
use crate::size::{SizeDict, size_from_value};

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
    /// [`ConfigError::PerChannel`] with transformers' message when the list has another length; `name` is `mean`
    /// or `std`.
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

    fn to_value(&self) -> Value {
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

/// The settings of transformers' `BitImageProcessor`; `None` is an explicit null.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageProcessorConfig {
    /// `BitImageProcessor`, `BitImageProcessorFast` or `BitImageProcessorPil`.
    pub image_processor_type: String,
    /// Whether to convert to RGB.
    pub do_convert_rgb: Option<bool>,
    /// Whether to resize.
    pub do_resize: Option<bool>,
    /// The size after resizing.
    pub size: Option<SizeDict>,
    /// Whether a `size` that is one number means a square; otherwise it is the shorter edge.
    pub default_to_square: Option<bool>,
    /// The filter of the resize.
    pub resample: Option<Resample>,
    /// Whether to crop the center.
    pub do_center_crop: Option<bool>,
    /// The size of the crop.
    pub crop_size: Option<SizeDict>,
    /// Whether to multiply with `rescale_factor`.
    pub do_rescale: Option<bool>,
    /// Usually 1/255.
    pub rescale_factor: Option<f64>,
    /// Whether to subtract `image_mean` and divide by `image_std`.
    pub do_normalize: Option<bool>,
    /// Mean of each channel, after rescaling.
    pub image_mean: Option<PerChannel>,
    /// Standard deviation of each channel, after rescaling.
    pub image_std: Option<PerChannel>,
    /// Whether to pad a batch to one size.
    pub do_pad: Option<bool>,
    /// The size to pad to; the batch's largest when absent.
    pub pad_size: Option<SizeDict>,
    /// Order of the output's dimensions; channels first when absent.
    pub data_format: Option<ChannelDimension>,
    /// Order of an input array's dimensions; guessed when absent.
    pub input_data_format: Option<ChannelDimension>,
    /// All keys that are not above, written back as they were.
    pub extra: Map<String, Value>,
}

impl Default for ImageProcessorConfig {
    /// As `BitImageProcessor()` in transformers: shorter edge to 224, bicubic, crop 224, CLIP's mean and std.
    fn default() -> Self {
        Self {
            image_processor_type: "BitImageProcessor".into(),
            do_convert_rgb: Some(true),
            do_resize: Some(true),
            size: Some(SizeDict::ShortestEdge(224)),
            default_to_square: Some(false),
            resample: Some(Resample::Bicubic),
            do_center_crop: Some(true),
            crop_size: Some(SizeDict::square(224)),
            do_rescale: Some(true),
            rescale_factor: Some(1.0 / 255.0),
            do_normalize: Some(true),
            image_mean: Some(PerChannel::Each(vec![0.48145466, 0.4578275, 0.40821073])),
            image_std: Some(PerChannel::Each(vec![0.26862954, 0.26130258, 0.27577711])),
            do_pad: None,
            pad_size: None,
            data_format: None,
            input_data_format: None,
            extra: Map::new(),
        }
    }
}

impl ImageProcessorConfig {
    /// Reads a `preprocessor_config.json`.
    ///
    /// # Errors
    /// Any [`ConfigError`], with the file named.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        Self::from_json(&read_text(path)?).map_err(|source| in_file(path, source))
    }

    /// Reads the text of a `preprocessor_config.json`.
    ///
    /// # Errors
    /// [`ConfigError`] that names the field.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let mut fields = Fields::parse(text)?;
        let d = Self::default();
        let default_to_square = or_null(&mut fields, "default_to_square", d.default_to_square)?;
        let square = default_to_square.unwrap_or(false);
        let config = Self {
            image_processor_type: fields.take_or("image_processor_type", d.image_processor_type)?,
            do_convert_rgb: or_null(&mut fields, "do_convert_rgb", d.do_convert_rgb)?,
            do_resize: or_null(&mut fields, "do_resize", d.do_resize)?,
            size: size_or_null(&mut fields, "size", square, d.size)?,
            default_to_square,
            resample: or_null(&mut fields, "resample", d.resample)?,
            do_center_crop: or_null(&mut fields, "do_center_crop", d.do_center_crop)?,
            crop_size: size_or_null(&mut fields, "crop_size", true, d.crop_size)?,
            do_rescale: or_null(&mut fields, "do_rescale", d.do_rescale)?,
            rescale_factor: or_null(&mut fields, "rescale_factor", d.rescale_factor)?,
            do_normalize: or_null(&mut fields, "do_normalize", d.do_normalize)?,
            image_mean: or_null(&mut fields, "image_mean", d.image_mean)?,
            image_std: or_null(&mut fields, "image_std", d.image_std)?,
            do_pad: or_null(&mut fields, "do_pad", d.do_pad)?,
            pad_size: size_or_null(&mut fields, "pad_size", true, d.pad_size)?,
            data_format: or_null(&mut fields, "data_format", d.data_format)?,
            input_data_format: or_null(&mut fields, "input_data_format", d.input_data_format)?,
            extra: fields.rest(),
        };
        config.validate()?;
        Ok(config)
    }

    /// Checks the values that no image can be prepared with.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown processor type, and for a `rescale_factor`, mean or std that is not finite.
    pub fn validate(&self) -> Result<(), ConfigError> {
        const KNOWN: [&str; 3] = [
            "BitImageProcessor",
            "BitImageProcessorFast",
            "BitImageProcessorPil",
        ];
        if !KNOWN.contains(&self.image_processor_type.as_str()) {
            return Err(wrong(
                "image_processor_type",
                &KNOWN.join(", "),
                &Value::String(self.image_processor_type.clone()),
            ));
        }
        Ok(())
    }

    /// The text of a `preprocessor_config.json` that transformers reads; keys are sorted as there.
    pub fn to_json(&self) -> String {
        let size = |size: &Option<SizeDict>| size.as_ref().map(SizeDict::to_value);
        let stats = |stats: &Option<PerChannel>| stats.as_ref().map(PerChannel::to_value);
        let known = json!({
            "image_processor_type": self.image_processor_type,
            "do_convert_rgb": self.do_convert_rgb,
            "do_resize": self.do_resize,
            "size": size(&self.size),
            "default_to_square": self.default_to_square,
            "resample": self.resample.map(|r| r as u8),
            "do_center_crop": self.do_center_crop,
            "crop_size": size(&self.crop_size),
            "do_rescale": self.do_rescale,
            "rescale_factor": self.rescale_factor,
            "do_normalize": self.do_normalize,
            "image_mean": stats(&self.image_mean),
            "image_std": stats(&self.image_std),
            "do_pad": self.do_pad,
            "pad_size": size(&self.pad_size),
            "data_format": self.data_format.map(|d| d.name()),
            "input_data_format": self.input_data_format.map(|d| d.name()),
        });
        sorted_json(self.extra.clone().into_iter().chain(into_map(known)))
    }
}

/// Takes a field in which null is a value of its own.
fn or_null<T: FromField>(
    fields: &mut Fields,
    field: &str,
    default: Option<T>,
) -> Result<Option<T>, ConfigError> {
    match fields.take_value(field) {
        None => Ok(default),
        Some(Value::Null) => Ok(None),
        Some(value) => T::from_field(&value)
            .map(Some)
            .ok_or_else(|| wrong(field, T::EXPECTED, &value)),
    }
}

fn size_or_null(
    fields: &mut Fields,
    field: &str,
    square: bool,
    default: Option<SizeDict>,
) -> Result<Option<SizeDict>, ConfigError> {
    match fields.take_value(field) {
        None => Ok(default),
        Some(Value::Null) => Ok(None),
        Some(value) => size_from_value(field, &value, square).map(Some),
    }
}
