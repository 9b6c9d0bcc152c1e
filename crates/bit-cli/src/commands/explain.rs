//! `bit explain`.

use std::io::Write;

use anyhow::{Result, anyhow, ensure};
use bit_config::{BitConfig, ChannelDimension, ImageProcessorConfig, PerChannel};
use bit_image::{ImageInput, ImageValues, PreprocessOptions};
use bit_model::BitForImageClassification;
use bit_pretrained::{LoadOptions, Loaded};
use bit_transfer::explain::grad_cam;
use burn::tensor::{Tensor, TensorData};
use serde_json::json;

use crate::args::{ExplainArgs, ReportFormat};
use crate::output::Sink;
use crate::source::{named, open_model};
use crate::status::Status;

/// Shows which parts of an image speak for a class.
pub fn run(args: &ExplainArgs) -> Result<Status> {
    let device = args.device.device.open()?;
    let pretrained = open_model(&args.model)?;
    let processor = named(&args.model, pretrained.processor(args.processor.into()))?;
    let loaded = pretrained.load::<BitForImageClassification>(LoadOptions::default(), &device);
    let Loaded { model, config, .. } = named(&args.model, loaded)?;
    ensure!(
        config.num_labels() > 0,
        "{}: the model has no classifier to explain",
        args.model
    );
    let class = args
        .class
        .as_deref()
        .map(|name| class(&config, name))
        .transpose()?;
    let stage = stage(&config, args.stage.as_deref())?;
    let options = PreprocessOptions {
        data_format: Some(ChannelDimension::First),
        ..Default::default()
    };
    let values = processor.preprocess_one(&ImageInput::from(args.image.as_path()), &options)?;
    let [channels, height, width] = values.shape;
    let pixels = TensorData::new(values.data.clone(), [1, channels, height, width]);
    let map = grad_cam(&model, Tensor::from_data(pixels, &device), stage, class)?;
    map.write_png(&picture(&values, processor.config()), height, width, &args.output)?;
    let (label, state) = (config.label(map.class), &config.stage_names()[stage]);
    let mut sink = Sink::open(None)?;
    match args.format {
        ReportFormat::Json => {
            let record = json!({
                "image": args.image.to_string_lossy(), "label": label, "index": map.class, "logit": map.logit, "stage": state,
                "output": args.output.to_string_lossy(),
            });
            writeln!(sink, "{}", serde_json::to_string_pretty(&record)?)?;
        }
        ReportFormat::Text => {
            writeln!(
                sink,
                "{label} (logit {:.4}), by {state}: {}",
                map.logit,
                args.output.display()
            )?;
        }
    }
    sink.finish()?;
    Ok(Status::Success)
}

/// A class by its name or index.
fn class(config: &BitConfig, name: &str) -> Result<usize> {
    let classes = 0..config.num_labels();
    let named = classes.clone().find(|index| config.label(*index) == name);
    let found = named.or_else(|| name.parse().ok().filter(|index| classes.contains(index)));
    found.ok_or_else(|| {
        let count = config.num_labels();
        anyhow!("--class {name}: neither one of the model's {count} labels nor an index below {count}")
    })
}

/// The index of a hidden state by its stage's name; the last one by default.
fn stage(config: &BitConfig, name: Option<&str>) -> Result<usize> {
    let names = config.stage_names();
    match name {
        None => Ok(names.len() - 1),
        Some(name) => names
            .iter()
            .position(|stage| stage == name)
            .ok_or_else(|| anyhow!("--stage {name}: there are {}", names.join(", "))),
    }
}

/// The image as the network sees it, `[height, width, 3]` in bytes.
fn picture(values: &ImageValues, config: &ImageProcessorConfig) -> Vec<u8> {
    let [channels, height, width] = values.shape;
    let of = |values: &Option<PerChannel>, channel: usize, otherwise: f64| match values {
        Some(PerChannel::Each(values)) => values.get(channel).copied().unwrap_or(otherwise),
        Some(PerChannel::All(value)) => *value,
        None => otherwise,
    };
    let normalized = config.do_normalize != Some(false);
    let byte = |place: usize, channel: usize| {
        let channel = channel.min(channels - 1);
        let value = f64::from(values.data[channel * height * width + place]);
        let value = match normalized {
            true => value * of(&config.image_std, channel, 1.0) + of(&config.image_mean, channel, 0.0),
            false => value,
        };
        (value * 255.0).round() as u8
    };
    (0..height * width)
        .flat_map(|place| [0, 1, 2].map(|channel| byte(place, channel)))
        .collect()
}
