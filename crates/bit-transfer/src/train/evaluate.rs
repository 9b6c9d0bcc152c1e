//! Scores of a network over a whole set.

use std::sync::Arc;

use bit_image::Processor;
use bit_model::BitForImageClassification;
use burn::tensor::{Device, Tensor, TensorData};

use crate::TransferError;
use crate::data::{DataSet, EvalLoader, LoaderOptions, Skipped};
use crate::metrics::Evaluation;

/// Runs every picture of `data` through the network, in order; gives what was measured and which pictures could not
/// be used.
///
/// The classes of the data are the network's outputs, in their order. `go_on` is told how many pictures are done and
/// may end the evaluation early.
///
/// # Errors
///
/// When the data holds no picture, a picture is bad and the options are strict, or the network does not take the
/// pictures.
pub fn evaluate(
    model: &BitForImageClassification,
    data: &Arc<DataSet>,
    processor: Processor,
    options: LoaderOptions,
    device: &Device,
    go_on: &mut dyn FnMut(usize) -> bool,
) -> Result<(Evaluation, Vec<Skipped>), TransferError> {
    let mut evaluation = Evaluation::new(&data.classes, data.task);
    let mut loader = EvalLoader::new(data.clone(), processor, options)?;
    let mut done = 0;
    while go_on(done) {
        let Some(batch) = loader.next().transpose()? else {
            break;
        };
        let pixels = Tensor::from_data(TensorData::new(batch.pixels, batch.shape), device);
        let logits = model.forward(pixels)?.logits.into_data().convert::<f32>();
        let scores: Vec<f32> = logits.iter().collect();
        let name = |index: &usize| data.examples[*index].image.to_string();
        let names: Vec<String> = batch.examples.iter().map(name).collect();
        evaluation.add(&scores, &batch.labels, &names)?;
        done += names.len();
    }
    Ok((evaluation, loader.skipped()))
}
