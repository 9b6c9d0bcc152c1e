//! All pictures once.

use std::sync::Arc;

use bit_config::ChannelDimension;
use bit_image::{ImageInput, ImageValues, PreprocessOptions, Processor, RawImage};
use rayon::ThreadPool;
use rayon::prelude::*;

use super::background::{Background, Stop};
use super::{Batch, LoaderOptions, SkipList, Skipped, Targets, guarded};
use crate::TransferError;
use crate::data::DataSet;

/// All pictures once and in order. The last batch may be short, and so may others where pictures are left out. Seed
/// and cache are not used.
#[derive(Debug)]
pub struct EvalLoader {
    batches: Background<Batch>,
    skipped: SkipList,
}

impl EvalLoader {
    /// Starts preparing the first batch.
    ///
    /// # Errors
    /// [`TransferError::NoImages`], [`TransferError::Argument`] for a processor that no picture passes and a batch
    /// size of 0.
    pub fn new(
        data: Arc<DataSet>,
        processor: Processor,
        options: LoaderOptions,
    ) -> Result<Self, TransferError> {
        if data.is_empty() {
            return Err(SkipList::default().nothing_left("data to evaluate"));
        }
        check(&processor)?;
        let skipped = SkipList::default();
        let mut maker = Maker {
            pool: options.pool()?,
            skipped: skipped.clone(),
            next: 0,
            found: None,
            data,
            processor,
            options,
        };
        let batches = Background::new(maker.options.ahead, move |stop| maker.batch(stop).transpose())?;
        Ok(Self { batches, skipped })
    }

    /// Pictures that were left out so far, and in batches that are prepared ahead.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped.list()
    }
}

impl Iterator for EvalLoader {
    type Item = Result<Batch, TransferError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// The settings' own faults are those that an ordinary picture meets.
fn check(processor: &Processor) -> Result<(), TransferError> {
    let gray = vec![128_u8; 3 * 64 * 64];
    let gray = ImageInput::Raw(RawImage::u8(gray, [3, 64, 64]));
    match processor.preprocess_one(&gray, &channels_first()) {
        Ok(_) => Ok(()),
        Err(error) => Err(TransferError::Argument(format!(
            "the image processor cannot be used: {error}"
        ))),
    }
}

fn channels_first() -> PreprocessOptions {
    PreprocessOptions {
        data_format: Some(ChannelDimension::First),
        ..Default::default()
    }
}

/// Makes one batch after the other.
struct Maker {
    data: Arc<DataSet>,
    processor: Processor,
    options: LoaderOptions,
    pool: ThreadPool,
    skipped: SkipList,
    /// The first picture of the next batch.
    next: usize,
    /// Shape of the first usable picture, and its index.
    found: Option<([usize; 3], usize)>,
}

impl Maker {
    /// The next batch with a usable picture; `None` at the end.
    fn batch(&mut self, stop: &Stop) -> Result<Option<Batch>, TransferError> {
        while self.next < self.data.len() && !stop.is_set() {
            let start = self.next;
            self.next = self.data.len().min(start.saturating_add(self.options.batch_size));
            let batch = self.prepare(start..self.next)?;
            if !batch.examples.is_empty() {
                return Ok(Some(batch));
            }
        }
        match self.found {
            None if !stop.is_set() => Err(self.skipped.nothing_left("data to evaluate")),
            _ => Ok(None),
        }
    }

    fn prepare(&mut self, range: std::ops::Range<usize>) -> Result<Batch, TransferError> {
        let options = channels_first();
        let maker = &*self;
        let prepare = |index: usize| {
            let image = &maker.data.examples[index].image;
            guarded(|| maker.processor.preprocess_one(&image.input()?, &options))
        };
        let prepared: Vec<_> = self.pool.install(|| {
            range
                .clone()
                .into_par_iter()
                .with_max_len(1)
                .map(prepare)
                .collect()
        });
        let mut pixels = Vec::new();
        let mut examples = Vec::new();
        for (index, values) in range.zip(prepared) {
            match values {
                Ok(values) => {
                    self.check_shape(index, &values)?;
                    pixels.extend_from_slice(&values.data);
                    examples.push(index);
                }
                Err(error) => {
                    let image = &self.data.examples[index].image;
                    self.skipped.add(index, image, error, self.options.strict)?;
                }
            }
        }
        let [channels, height, width] = self.found.map_or([0; 3], |(shape, _)| shape);
        Ok(Batch {
            pixels,
            shape: [examples.len(), channels, height, width],
            labels: Targets::of(&self.data, &examples),
            examples,
        })
    }

    fn check_shape(&mut self, index: usize, values: &ImageValues) -> Result<(), TransferError> {
        let (shape, first) = *self.found.get_or_insert((values.shape, index));
        if values.shape == shape {
            return Ok(());
        }
        let name = |index: usize| &self.data.examples[index].image;
        Err(TransferError::Argument(format!(
            "the image processor makes {} {:?} and {} {shape:?}, [channels, height, width]; expected one size: use \
             do_center_crop or a size of height and width",
            name(index),
            values.shape,
            name(first)
        )))
    }
}
