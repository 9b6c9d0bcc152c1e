//! Augmented batches without end.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;

use super::background::{Background, Stop};
use super::cache::Cache;
use super::order::Order;
use super::{Batch, LoaderOptions, SkipList, Skipped, Targets, guarded};
use crate::TransferError;
use crate::data::transform::Augment;
use crate::data::{DataSet, Random, TrainTransform};

/// Training batches without end: step `n`'s batch is a pure function of data, options and `n`, whatever the number of
/// threads.
///
/// An epoch's last batch may be short; a batch that is larger than the data is drawn with replacement. Instead of a
/// picture that cannot be used, another one is drawn.
#[derive(Debug)]
pub struct TrainLoader {
    batches: Background<Batch>,
    skipped: SkipList,
}

impl TrainLoader {
    /// Starts preparing the batches of `first_step` and the steps after it.
    ///
    /// # Errors
    /// [`TransferError`] when the data cannot be trained on ([`DataSet::check_trainable`]), a crop is larger than the
    /// resized picture, or a batch is empty or larger than memory can be.
    pub fn new(
        data: Arc<DataSet>,
        transform: TrainTransform,
        options: LoaderOptions,
        first_step: usize,
    ) -> Result<Self, TransferError> {
        data.check_trainable()?;
        let skipped = SkipList::default();
        let mut maker = Maker {
            augment: Augment::new(&transform, options.batch_size)?,
            pool: options.pool()?,
            order: Order::new(data.len(), options.batch_size, options.seed),
            cache: Cache::new(data.len(), options.cache),
            skipped: skipped.clone(),
            data,
            options,
        };
        let mut steps = first_step..;
        let ahead = maker.options.ahead;
        let batches = Background::new(ahead, move |stop| Some(maker.batch(steps.next()?, stop)))?;
        Ok(Self { batches, skipped })
    }

    /// Pictures that were left out so far, each once. As batches are prepared ahead, some may belong to batches that
    /// have not been asked for.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped.list()
    }

    /// Those that were left out since the last call.
    pub fn newly_skipped(&mut self) -> Vec<Skipped> {
        self.skipped.take_new()
    }
}

impl Iterator for TrainLoader {
    type Item = Result<Batch, TransferError>;

    /// The next step's batch; ends only after an error.
    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next()
    }
}

/// Makes the batch of a step.
struct Maker {
    data: Arc<DataSet>,
    augment: Augment,
    options: LoaderOptions,
    pool: ThreadPool,
    order: Order,
    cache: Cache,
    skipped: SkipList,
}

impl Maker {
    fn batch(&mut self, step: usize, stop: &Stop) -> Result<Batch, TransferError> {
        let mut examples = self.order.batch(step);
        let [channels, height, width] = self.augment.shape();
        let length = channels * height * width;
        let mut pixels = vec![0.0; examples.len() * length];
        let first = step as u64 * self.options.batch_size as u64;
        let maker = &*self;
        let fill = |(slot, (pixels, example)): (usize, (&mut [f32], &mut usize))| match stop.is_set() {
            true => Ok(()),
            false => maker.fill(first + slot as u64, example, pixels),
        };
        // Collected before the errors are looked at, so that the first of them is always the one named.
        let filled: Vec<Result<(), TransferError>> = self.pool.install(|| {
            let slots = pixels.par_chunks_mut(length).zip(&mut examples).enumerate();
            slots.with_max_len(1).map(fill).collect()
        });
        filled.into_iter().collect::<Result<(), _>>()?;
        Ok(Batch {
            pixels,
            shape: [examples.len(), channels, height, width],
            labels: Targets::of(&self.data, &examples),
            examples,
        })
    }

    /// Writes the picture of the `draw`th draw since the first step; `example` becomes the one that was usable.
    fn fill(&self, draw: u64, example: &mut usize, pixels: &mut [f32]) -> Result<(), TransferError> {
        let picture = match self.resized(*example)? {
            Some(picture) => picture,
            None => self.substitute(draw, example)?,
        };
        let mut random = Random::new(self.options.seed, "augment", draw);
        self.augment.write(&picture, &mut random, pixels);
        Ok(())
    }

    /// Any other picture, the same one for the same draw.
    fn substitute(&self, draw: u64, example: &mut usize) -> Result<Cow<'_, [u8]>, TransferError> {
        let examples = self.data.len();
        let start = Random::new(self.options.seed, "substitute", draw).below(examples);
        for index in (start..examples).chain(0..start) {
            if let Some(picture) = self.resized(index)? {
                *example = index;
                return Ok(picture);
            }
        }
        Err(self.skipped.nothing_left("training data"))
    }

    /// The resized picture, `None` when it cannot be used.
    fn resized(&self, index: usize) -> Result<Option<Cow<'_, [u8]>>, TransferError> {
        if self.skipped.has(index) {
            return Ok(None);
        }
        let image = &self.data.examples[index].image;
        match self.cache.get(index, || guarded(|| self.augment.resize(image))) {
            Ok(picture) => Ok(Some(picture)),
            Err(error) => self
                .skipped
                .add(index, image, error, self.options.strict)
                .map(|()| None),
        }
    }
}
