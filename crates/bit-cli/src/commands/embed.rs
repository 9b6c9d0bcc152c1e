//! `bit embed`.

use anyhow::{Result, ensure};
use bit_model::{BitForImageClassification, BitModel, ModelError};
use bit_pretrained::{LoadOptions, Pretrained};
use burn::tensor::{Device, Tensor, TensorData};

use crate::args::EmbedArgs;
use crate::feature::Feature;
use crate::output::EmbeddingWriter;
use crate::pipeline::{Forward, Pipeline};
use crate::source::{named, open_model};
use crate::status::Status;
use crate::{inputs, interrupt};

/// Writes a row of features for every image.
pub fn run(args: &EmbedArgs) -> Result<Status> {
    let images = &args.images;
    let device = images.device.device.open()?;
    let pretrained = open_model(&images.model)?;
    let processor = named(&images.model, pretrained.processor(images.processor.into()))?;
    let forward = features(args.feature, &images.model, &pretrained, &device)?;
    let inputs = inputs::collect(&images.images);
    let mut writer = EmbeddingWriter::new(&args.output, args.feature, &images.model, &inputs)?;
    interrupt::install()?;
    let batch_size = usize::from(images.batch_size);
    let pipeline = Pipeline {
        inputs: &inputs,
        processor: &processor,
        batch_size,
        device: &device,
    };
    let status = pipeline.run(&*forward, &mut writer)?;
    writer.finish()?;
    Ok(status)
}

/// The part of the network that makes a feature. Pixel values need no weights, and only logits need the head.
fn features(
    feature: Feature,
    name: &str,
    pretrained: &Pretrained,
    device: &Device,
) -> Result<Box<Forward<'static>>> {
    let options = LoadOptions::default();
    Ok(match feature {
        Feature::PixelValues => Box::new(|pixels: Tensor<4>| Ok(pixels.into_data())),
        Feature::Logits => {
            let model = pretrained
                .load::<BitForImageClassification>(options, device)?
                .model
                .for_inference();
            Box::new(move |pixels| Ok(model.forward(pixels)?.logits.into_data()))
        }
        Feature::PoolerOutput => {
            let model = pretrained
                .load::<BitModel>(options, device)?
                .model
                .for_inference();
            Box::new(move |pixels| {
                Ok(model
                    .forward(pixels)?
                    .pooler_output
                    .flatten::<2>(1, 3)
                    .into_data())
            })
        }
        Feature::LastHiddenState => {
            let model = pretrained
                .load::<BitModel>(options, device)?
                .model
                .for_inference();
            Box::new(move |pixels| Ok(model.forward(pixels)?.last_hidden_state.into_data()))
        }
        Feature::HiddenState(index) => {
            let count = pretrained.config().depths.len() + 1;
            ensure!(
                index < count,
                "{name}: there are hidden_states.0 to hidden_states.{}",
                count - 1
            );
            let model = pretrained
                .load::<BitModel>(options, device)?
                .model
                .for_inference();
            Box::new(move |pixels| hidden_state(&model, pixels, index))
        }
    })
}

/// `index` is at most the number of stages.
fn hidden_state(model: &BitModel, pixels: Tensor<4>, index: usize) -> Result<TensorData, ModelError> {
    Ok(model.hidden_states(pixels)?.swap_remove(index).into_data())
}
