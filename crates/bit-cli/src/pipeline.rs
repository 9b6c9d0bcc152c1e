//! Images through the processor and the network: one batch is prepared while another is computed.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Result;
use bit_config::ChannelDimension;
use bit_image::{ImageError, ImageValues, PreprocessOptions, Processor};
use bit_model::ModelError;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::inputs::Input;
use crate::interrupt;
use crate::progress;
use crate::status::{Status, report};

/// What the network makes of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Without the dimension of the batch.
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Where results go, in the order of the inputs.
pub trait Receive {
    /// Takes the result of one image, or what is wrong with it.
    fn receive(&mut self, input: &Input, outcome: &Result<Row, String>) -> Result<()>;

    /// Called after each batch: what was received may be shown now.
    fn flush(&mut self) -> Result<()>;
}

/// A part of the network: pixels `[batch, channels, height, width]` to `[batch, …]`.
pub type Forward<'a> = dyn Fn(Tensor<4>) -> Result<TensorData, ModelError> + 'a;

/// How images are processed.
pub struct Pipeline<'a> {
    pub inputs: &'a [Input],
    pub processor: &'a Processor,
    pub batch_size: usize,
    pub device: &'a Device,
}

/// Images prepared together, in the order of the inputs.
type Batch = Vec<Result<ImageValues, String>>;

/// Batches that wait for the network.
const QUEUE: usize = 2;

impl Pipeline<'_> {
    /// Runs every image. A bad one is reported and the rest still run; Ctrl-C ends after the current batch.
    pub fn run(&self, forward: &Forward<'_>, results: &mut dyn Receive) -> Result<Status> {
        let (sender, receiver) = sync_channel(QUEUE);
        thread::scope(|scope| {
            scope.spawn(|| self.prepare_all(sender));
            self.consume(receiver, forward, results)
        })
    }

    /// Ends when all is prepared, when nobody wants more, or on Ctrl-C.
    fn prepare_all(&self, sender: SyncSender<Batch>) {
        for inputs in self.inputs.chunks(self.batch_size) {
            let batch = inputs.par_iter().map(|input| self.prepare(input)).collect();
            if interrupt::requested() || sender.send(batch).is_err() {
                return;
            }
        }
    }

    fn prepare(&self, input: &Input) -> Result<ImageValues, String> {
        let options = PreprocessOptions {
            data_format: Some(ChannelDimension::First),
            ..Default::default()
        };
        let image = input.image(self.processor.limits())?;
        self.processor
            .preprocess_one(&image, &options)
            .map_err(|error| match error {
                // The caller names the image itself.
                ImageError::InImage { source, .. } => source.to_string(),
                other => other.to_string(),
            })
    }

    fn consume(
        &self,
        batches: Receiver<Batch>,
        forward: &Forward<'_>,
        results: &mut dyn Receive,
    ) -> Result<Status> {
        let bar = progress::images(self.inputs.len());
        let mut inputs = self.inputs.iter();
        let mut status = Status::Success;
        for batch in batches {
            if interrupt::requested() {
                break;
            }
            let rows = self.compute(batch, forward);
            bar.suspend(|| {
                for (row, input) in rows.iter().zip(inputs.by_ref()) {
                    if let Err(message) = row {
                        report(&format!("{input}: {message}"));
                        status = Status::Failure;
                    }
                    results.receive(input, row)?;
                }
                results.flush()
            })?;
            bar.inc(rows.len() as u64);
        }
        bar.finish_and_clear();
        Ok(if inputs.len() > 0 {
            Status::Interrupted
        } else {
            status
        })
    }

    /// Neighbours of one shape go through the network together.
    fn compute(&self, batch: Batch, forward: &Forward<'_>) -> Vec<Result<Row, String>> {
        let shape = |image: &Result<ImageValues, String>| image.as_ref().ok().map(|image| image.shape);
        let groups = batch.chunk_by(|a, b| shape(a) == shape(b) && a.is_ok());
        let mut rows = Vec::with_capacity(batch.len());
        for group in groups {
            match group.iter().map(Result::as_ref).collect::<Result<Vec<_>, _>>() {
                Err(message) => rows.push(Err(message.clone())),
                Ok(images) => rows.extend(self.forward(&images, forward)),
            }
        }
        rows
    }

    /// `images` is not empty and of one shape.
    fn forward(&self, images: &[&ImageValues], forward: &Forward<'_>) -> Vec<Result<Row, String>> {
        let [channels, height, width] = images[0].shape;
        let pixels: Vec<f32> = images.iter().flat_map(|image| &image.data).copied().collect();
        let pixels = TensorData::new(pixels, [images.len(), channels, height, width]);
        match forward(Tensor::from_data(pixels, self.device)) {
            Ok(output) => rows(output).map(Ok).collect(),
            Err(error) => images.iter().map(|_| Err(error.to_string())).collect(),
        }
    }
}

/// Splits a batch into its images.
fn rows(output: TensorData) -> impl Iterator<Item = Row> {
    let output = output.convert::<f32>();
    let shape = output.shape().to_vec();
    let length: usize = shape.iter().skip(1).product();
    let values: Vec<f32> = output.iter::<f32>().collect();
    let count = shape.first().copied().unwrap_or(0);
    (0..count).map(move |i| Row {
        shape: shape[1..].to_vec(),
        values: values[i * length..][..length].to_vec(),
    })
}
