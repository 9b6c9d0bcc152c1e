//! Per-call overrides, and the settings that result from a configuration and its overrides.

use bit_config::{ChannelDimension, ConfigError, ImageProcessorConfig, PerChannel, Resample, SizeDict};

use crate::{ImageError, ProcessorKind};

/// Overrides for one call of `preprocess`; what is `None` is taken from the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PreprocessOptions {
    /// Whether to convert to RGB.
    pub do_convert_rgb: Option<bool>,
    /// Whether to resize.
    pub do_resize: Option<bool>,
    /// The size after resizing.
    pub size: Option<SizeDict>,
    /// The filter of the resize.
    pub resample: Option<Resample>,
    /// Whether to crop the center.
    pub do_center_crop: Option<bool>,
    /// The size of the crop, exact.
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
    /// Whether to pad with zeros on the right and at the bottom.
    pub do_pad: Option<bool>,
    /// The size to pad to; the batch's largest when absent.
    pub pad_size: Option<SizeDict>,
    /// Order of the output's dimensions; channels first when absent. transformers accepts this option and ignores
    /// it.
    pub data_format: Option<ChannelDimension>,
    /// Order of a raw image's dimensions; guessed when absent.
    pub input_data_format: Option<ChannelDimension>,
}

/// A configuration with overrides applied and checked: what is done, with what.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings<'a> {
    pub(crate) convert_rgb: bool,
    pub(crate) resize: Option<(SizeDict, Resample)>,
    /// (height, width)
    pub(crate) crop: Option<(usize, usize)>,
    pub(crate) rescale: Option<f64>,
    /// Mean and standard deviation.
    pub(crate) normalize: Option<(&'a PerChannel, &'a PerChannel)>,
    pub(crate) pad: Option<Padding>,
    pub(crate) data_format: ChannelDimension,
    pub(crate) input_data_format: Option<ChannelDimension>,
}

/// How far to pad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// To the largest height and width of the batch.
    Batch,
    /// To this height and width.
    To(usize, usize),
}

impl<'a> Settings<'a> {
    /// Fails with transformers' messages, in transformers' order, and for numbers with which nothing can be computed.
    pub(crate) fn new(
        config: &'a ImageProcessorConfig,
        call: &'a PreprocessOptions,
        kind: ProcessorKind,
    ) -> Result<Self, ImageError> {
        let settings = Self::merged(config, call)?;
        settings.check_numbers(kind)?;
        Ok(settings)
    }

    fn merged(config: &'a ImageProcessorConfig, call: &'a PreprocessOptions) -> Result<Self, ImageError> {
        macro_rules! setting {
            ($field:ident) => {
                call.$field.or(config.$field)
            };
        }
        macro_rules! enabled {
            ($field:ident) => {
                setting!($field).unwrap_or(false)
            };
        }
        let rescale = enabled!(do_rescale).then(|| {
            setting!(rescale_factor).ok_or("`rescale_factor` must be specified if `do_rescale` is `True`.")
        });
        let normalize = enabled!(do_normalize).then(|| {
            let mean = call.image_mean.as_ref().or(config.image_mean.as_ref());
            let std = call.image_std.as_ref().or(config.image_std.as_ref());
            mean.zip(std)
                .ok_or("`image_mean` and `image_std` must both be specified if `do_normalize` is `True`.")
        });
        let crop = enabled!(do_center_crop).then(|| {
            setting!(crop_size).ok_or("`crop_size` must be specified if `do_center_crop` is `True`.")
        });
        let resize = enabled!(do_resize).then(|| {
            setting!(size)
                .zip(setting!(resample))
                .ok_or("`size` and `resample` must be specified if `do_resize` is `True`.")
        });
        let pad = enabled!(do_pad).then(|| setting!(pad_size));
        let argument = |message: &str| ImageError::Argument(message.into());
        Ok(Self {
            rescale: rescale.transpose().map_err(argument)?,
            normalize: normalize.transpose().map_err(argument)?,
            crop: crop.transpose().map_err(argument)?.map(crop_sides).transpose()?,
            resize: resize.transpose().map_err(argument)?,
            pad: pad.map(padding).transpose()?,
            convert_rgb: enabled!(do_convert_rgb),
            data_format: setting!(data_format).unwrap_or(ChannelDimension::First),
            input_data_format: setting!(input_data_format),
        })
    }

    /// What `ImageProcessorConfig::validate` demands, of a call's numbers too.
    fn check_numbers(&self, kind: ProcessorKind) -> Result<(), ImageError> {
        let factor = self.rescale.as_slice();
        check_all("rescale_factor", factor, "finite", f64::is_finite)?;
        let Some((mean, std)) = self.normalize else {
            return Ok(());
        };
        check_all("image_mean", listed(mean), "finite", f64::is_finite)?;
        check_all("image_std", listed(std), "finite", f64::is_finite)?;
        check_all("image_std", listed(std), "other than 0", |value| value != 0.0)?;
        // torchvision's backend scales mean and std by the factor's inverse.
        match kind {
            ProcessorKind::Pil => Ok(()),
            ProcessorKind::Torchvision => {
                let expected = "other than 0 (with do_normalize: float division by zero)";
                check_all("rescale_factor", factor, expected, |value| value != 0.0)
            }
        }
    }
}

fn listed(values: &PerChannel) -> &[f64] {
    match values {
        PerChannel::All(value) => std::slice::from_ref(value),
        PerChannel::Each(values) => values,
    }
}

fn check_all(
    field: &str,
    values: &[f64],
    expected: &str,
    right: impl Fn(f64) -> bool,
) -> Result<(), ImageError> {
    match values.iter().find(|&&value| !right(value)) {
        None => Ok(()),
        Some(found) => Err(ImageError::Config(ConfigError::Field {
            field: field.into(),
            expected: expected.into(),
            found: found.to_string(),
        })),
    }
}

fn crop_sides(size: SizeDict) -> Result<(usize, usize), ImageError> {
    match size {
        SizeDict::HeightWidth { height, width } if height > 0 && width > 0 => Ok((height, width)),
        other => Err(ImageError::Argument(format!(
            "The size dictionary must have keys 'height' and 'width', both above 0. Got {}",
            describe(&other)
        ))),
    }
}

fn padding(size: Option<SizeDict>) -> Result<Padding, ImageError> {
    match size {
        None => Ok(Padding::Batch),
        Some(SizeDict::HeightWidth { height, width }) if height > 0 && width > 0 => {
            Ok(Padding::To(height, width))
        }
        Some(other) => Err(ImageError::Argument(format!(
            "Pad size must contain 'height' and 'width' keys only. Got pad_size={}.",
            describe(&other)
        ))),
    }
}

/// A size as Python writes a dictionary.
pub(crate) fn describe(size: &SizeDict) -> String {
    let entries: Vec<_> = size
        .entries()
        .into_iter()
        .map(|(key, value)| format!("'{key}': {value}"))
        .collect();
    format!("{{{}}}", entries.join(", "))
}
