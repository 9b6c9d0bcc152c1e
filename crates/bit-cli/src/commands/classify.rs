//! `bit classify`.

use anyhow::{Result, ensure};
use bit_model::BitForImageClassification;
use bit_pretrained::LoadOptions;

use crate::args::ClassifyArgs;
use crate::output::PredictionWriter;
use crate::pipeline::Pipeline;
use crate::scores::Scores;
use crate::source::{named, open_model};
use crate::status::Status;
use crate::{inputs, interrupt};

/// Prints the best classes of every image.
pub fn run(args: &ClassifyArgs) -> Result<Status> {
    let images = &args.images;
    let device = images.device.device.open()?;
    let pretrained = open_model(&images.model)?;
    let processor = named(&images.model, pretrained.processor(images.processor.into()))?;
    let loaded = named(
        &images.model,
        pretrained.load::<BitForImageClassification>(LoadOptions::default(), &device),
    )?;
    ensure!(
        loaded.config.num_labels() > 0,
        "{}: the model has no classifier; `bit embed` writes its features",
        images.model
    );
    let inputs = inputs::collect(&images.images);
    let scores = Scores::new(args.scores, &loaded.config);
    let mut writer = PredictionWriter::new(
        args.output.as_deref(),
        args.format,
        scores,
        args.top_k,
        &loaded.config,
    )?;
    interrupt::install()?;
    let batch_size = usize::from(images.batch_size);
    let pipeline = Pipeline {
        inputs: &inputs,
        processor: &processor,
        batch_size,
        device: &device,
    };
    let model = loaded.model.for_inference();
    let forward = |pixels| Ok(model.forward(pixels)?.logits.into_data());
    let status = pipeline.run(&forward, &mut writer)?;
    writer.finish()?;
    Ok(status)
}
