//! `ImageProcessorConfig`: what `preprocessor_config.json` says about preparing an image.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::ConfigError;
use crate::fields::{Fields, FromField, in_file, read_text, wrong};
use crate::json::{into_map, sorted_json};
use crate::pixel_values::{ChannelDimension, PerChannel, Resample};
use crate::size::{SizeDict, size_from_value};

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

    /// Checks the values with which no image can be prepared.
    ///
    /// # Errors
    /// [`ConfigError`] for an unknown processor type, a size of 0 or beyond any image, a `rescale_factor`,
    /// mean or std that is not finite, and a std of 0.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !PROCESSOR_TYPES.contains(&self.image_processor_type.as_str()) {
            let found = Value::String(self.image_processor_type.clone());
            return Err(wrong(
                "image_processor_type",
                &PROCESSOR_TYPES.join(" or "),
                &found,
            ));
        }
        for (field, size) in [
            ("size", self.size),
            ("crop_size", self.crop_size),
            ("pad_size", self.pad_size),
        ] {
            size.map_or(Ok(()), |size| size.validate(field))?;
        }
        let numbers = |stats: &Option<PerChannel>| match stats {
            None => Vec::new(),
            Some(PerChannel::All(value)) => vec![*value],
            Some(PerChannel::Each(values)) => values.clone(),
        };
        let (mean, std) = (numbers(&self.image_mean), numbers(&self.image_std));
        let finite = [
            ("rescale_factor", self.rescale_factor.as_slice()),
            ("image_mean", &mean),
            ("image_std", &std),
        ];
        for (field, values) in finite {
            if let Some(value) = values.iter().find(|v| !v.is_finite()) {
                return Err(number_fault(field, "finite", *value));
            }
        }
        match std.contains(&0.0) {
            true => Err(number_fault("image_std", "other than 0", 0.0)),
            false => Ok(()),
        }
    }

    /// The text of a `preprocessor_config.json` that transformers reads; keys are sorted as there, and those
    /// that transformers leaves out by default are left out.
    pub fn to_json(&self) -> String {
        const OPTIONAL: [&str; 5] = [
            "default_to_square",
            "do_pad",
            "pad_size",
            "data_format",
            "input_data_format",
        ];
        let mut known = self.entries();
        let default = Self::default().entries();
        known.retain(|key, value| !OPTIONAL.contains(&key.as_str()) || Some(&*value) != default.get(key));
        sorted_json(self.extra.clone().into_iter().chain(known))
    }

    /// All known fields.
    fn entries(&self) -> Map<String, Value> {
        let size = |size: Option<SizeDict>| size.map(SizeDict::to_value);
        let stats = |stats: &Option<PerChannel>| stats.as_ref().map(PerChannel::to_value);
        into_map(json!({
            "image_processor_type": self.image_processor_type,
            "do_convert_rgb": self.do_convert_rgb,
            "do_resize": self.do_resize,
            "size": size(self.size),
            "default_to_square": self.default_to_square,
            "resample": self.resample.map(|r| r as u8),
            "do_center_crop": self.do_center_crop,
            "crop_size": size(self.crop_size),
            "do_rescale": self.do_rescale,
            "rescale_factor": self.rescale_factor,
            "do_normalize": self.do_normalize,
            "image_mean": stats(&self.image_mean),
            "image_std": stats(&self.image_std),
            "do_pad": self.do_pad,
            "pad_size": size(self.pad_size),
            "data_format": self.data_format.map(|d| d.name()),
            "input_data_format": self.input_data_format.map(|d| d.name()),
        }))
    }
}

/// The names that transformers has given this processor.
const PROCESSOR_TYPES: [&str; 3] = [
    "BitImageProcessor",
    "BitImageProcessorFast",
    "BitImageProcessorPil",
];

fn number_fault(field: &str, expected: &str, found: f64) -> ConfigError {
    ConfigError::Field {
        field: field.into(),
        expected: expected.into(),
        found: found.to_string(),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(text: &str) -> ImageProcessorConfig {
        ImageProcessorConfig::from_json(text).unwrap()
    }

    fn fault(text: &str) -> String {
        ImageProcessorConfig::from_json(text).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_object_is_the_default() {
        assert_eq!(read("{}"), ImageProcessorConfig::default());
    }

    #[test]
    fn sizes_are_read_in_every_form() {
        let size = |text: &str| read(&format!("{{\"size\": {text}}}")).size.unwrap();
        assert_eq!(size("448"), SizeDict::ShortestEdge(448));
        assert_eq!(
            size("[30, 40]"),
            SizeDict::HeightWidth {
                height: 30,
                width: 40
            }
        );
        assert_eq!(size(r#"{"shortest_edge": 7}"#), SizeDict::ShortestEdge(7));
        assert_eq!(
            size(r#"{"shortest_edge": 7, "height": null}"#),
            SizeDict::ShortestEdge(7)
        );
        assert_eq!(size(r#"{"longest_edge": 7}"#), SizeDict::LongestEdge(7));
        assert_eq!(
            size(r#"{"width": 3, "height": 4}"#),
            SizeDict::HeightWidth { height: 4, width: 3 }
        );
        let both = SizeDict::ShortestLongest {
            shortest_edge: 3,
            longest_edge: 9,
        };
        assert_eq!(size(r#"{"shortest_edge": 3, "longest_edge": 9}"#), both);
        let most = SizeDict::MaxHeightWidth {
            max_height: 3,
            max_width: 9,
        };
        assert_eq!(size(r#"{"max_height": 3, "max_width": 9}"#), most);
        let square = read(r#"{"size": 9, "default_to_square": true, "crop_size": 5}"#);
        assert_eq!(
            (square.size, square.crop_size),
            (Some(SizeDict::square(9)), Some(SizeDict::square(5)))
        );
    }

    #[test]
    fn keys_that_do_not_belong_together_get_transformers_message() {
        assert_eq!(
            fault(r#"{"size": {"shortest_edge": 3, "height": 4}}"#),
            "size must have one of the following set of keys: ({'height', 'width'}, {'shortest_edge'}, \
             {'shortest_edge', 'longest_edge'}, {'longest_edge'}, {'max_height', 'max_width'}, \
             {'min_pixels', 'max_pixels'}), got dict_keys(['shortest_edge', 'height'])"
        );
    }

    #[test]
    fn values_that_cannot_work_are_named() {
        let cases = [
            (
                r#"{"size": 0}"#,
                "`size.shortest_edge` must be between 1 and 65536, found 0",
            ),
            (
                r#"{"crop_size": 65537}"#,
                "`crop_size.height` must be between 1 and 65536, found 65537",
            ),
            (
                r#"{"crop_size": 60000}"#,
                "`crop_size` must be at most 134217728 pixels, found 3600000000",
            ),
            (
                r#"{"size": {"shortest_edge": -1}}"#,
                "`size.shortest_edge` must be a whole number, 0 or more, found -1",
            ),
            (
                r#"{"resample": 6}"#,
                "`resample` must be 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming), found 6",
            ),
            (
                r#"{"image_mean": "x"}"#,
                "`image_mean` must be a number or a list of numbers, found \"x\"",
            ),
            (
                r#"{"image_std": [1, 0, 1]}"#,
                "`image_std` must be other than 0, found 0",
            ),
            (
                r#"{"image_processor_type": "ViTImageProcessor"}"#,
                "`image_processor_type` must be BitImageProcessor or BitImageProcessorFast or BitImageProcessorPil, found \"ViTImageProcessor\"",
            ),
            ("[]", "`the file` must be a JSON object, found []"),
        ];
        for (text, message) in cases {
            assert_eq!(fault(text), message);
        }
    }

    #[test]
    fn an_explicit_null_survives_and_differs_from_an_absent_key() {
        let config = read(r#"{"crop_size": null, "do_resize": null, "default_to_square": null}"#);
        assert_eq!(
            (config.crop_size, config.do_resize, config.default_to_square),
            (None, None, None)
        );
        assert_eq!(read(&config.to_json()), config);
        assert!(config.to_json().contains("\"crop_size\": null"));
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        let config = read(r#"{"rescale_factor": 0.00392156862745098, "image_mean": 0.44340764791661147}"#);
        assert_eq!(config.rescale_factor, Some(1.0 / 255.0));
        assert_eq!(config.image_mean, Some(PerChannel::All(0.44340764791661147)));
    }

    #[test]
    fn unknown_keys_are_written_back() {
        let config = read(r#"{"image_processor_type": "BitImageProcessorPil", "my_key": {"a": [1]}}"#);
        assert!(config.extra.contains_key("my_key"));
        assert_eq!(read(&config.to_json()), config);
    }

    #[test]
    fn one_number_is_for_every_channel_and_a_list_must_have_them_all() {
        let config = read(r#"{"image_mean": 0.5, "image_std": [1, 2]}"#);
        assert_eq!(config.image_mean.unwrap().values("mean", 3).unwrap(), [0.5; 3]);
        let message = config
            .image_std
            .unwrap()
            .values("std", 3)
            .unwrap_err()
            .to_string();
        assert_eq!(message, "std must have 3 elements if it is an iterable, got 2");
    }
}
