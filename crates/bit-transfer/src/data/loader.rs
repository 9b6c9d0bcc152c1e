//! Batches, prepared in the background.

use std::sync::Arc;

use bit_image::Processor;

use crate::TransferError;
use crate::data::{DataSet, TrainTransform};

/// Pictures ready for the network, with their targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The pixels, row-major.
    pub pixels: Vec<f32>,
    /// `[batch, channels, height, width]`
    pub shape: [usize; 4],
    /// What the pictures show.
    pub labels: Targets,
    /// Indices of the pictures in [`DataSet::examples`].
    pub examples: Vec<usize>,
}

/// What the pictures of a batch show.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class a picture.
    Classes(Vec<usize>),
    /// Any number of classes a picture.
    MultiHot {
        /// `[batch, classes]`, 1 for the classes of a picture and 0 for the others.
        values: Vec<f32>,
        /// How many classes there are.
        classes: usize,
    },
}

/// A picture that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The picture, as its [`ImageSource`](crate::data::ImageSource) is displayed.
    pub image: String,
    /// Why it cannot be used.
    pub reason: String,
}

/// How batches are made.
#[derive(Clone, Debug)]
pub struct LoaderOptions {
    /// Pictures in a batch.
    pub batch_size: usize,
    /// Decides about order, crops and flips.
    pub seed: u64,
    /// Whether a picture that cannot be used is an error; otherwise it is skipped.
    pub strict: bool,
    /// Threads that decode; all of the machine's when 0.
    pub threads: usize,
    /// Batches that are prepared ahead.
    pub ahead: usize,
    /// Most bytes of resized pictures to keep, so that they are decoded only once; all or none are kept.
    pub cache: u64,
}

impl Default for LoaderOptions {
    fn default() -> Self {
        Self {
            batch_size: 128,
            seed: 0,
            strict: false,
            threads: 0,
            ahead: 2,
            cache: 1 << 30,
        }
    }
}

/// Training batches without end: step `n`'s batch is a pure function of data, options and `n`.
#[derive(Debug)]
pub struct TrainLoader {}

impl TrainLoader {
    /// Starts preparing the batches of `first_step` and the steps after it.
    ///
    /// # Errors
    /// [`TransferError`] when the data cannot be trained on: an empty class, a single class, a crop that is larger
    /// than the resized picture, a batch of nothing.
    pub fn new(
        data: Arc<DataSet>,
        transform: TrainTransform,
        options: LoaderOptions,
        first_step: usize,
    ) -> Result<Self, TransferError> {
        let _ = (data, transform, options, first_step);
        Ok(Self {})
    }

    /// Pictures that were left out so far, each once.
    pub fn skipped(&self) -> Vec<Skipped> {
        Vec::new()
    }
}

impl Iterator for TrainLoader {
    type Item = Result<Batch, TransferError>;

    /// The next step's batch; ends only after an error.
    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

/// All pictures once and in order; the last batch may be short. Seed and cache are not used.
#[derive(Debug)]
pub struct EvalLoader {}

impl EvalLoader {
    /// Starts preparing the first batch.
    ///
    /// # Errors
    /// [`TransferError::NoImages`], [`TransferError::Argument`].
    pub fn new(
        data: Arc<DataSet>,
        processor: Processor,
        options: LoaderOptions,
    ) -> Result<Self, TransferError> {
        let _ = (data, processor, options);
        Ok(Self {})
    }

    /// Pictures that were left out so far.
    pub fn skipped(&self) -> Vec<Skipped> {
        Vec::new()
    }
}

impl Iterator for EvalLoader {
    type Item = Result<Batch, TransferError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}
