//! Batches, prepared in the background.
//!
//! | file | what is in it |
//! |---|---|
//! | `order.rs` | which pictures a step gets |
//! | `train.rs` | augmented batches without end |
//! | `eval.rs` | all pictures once |
//! | `cache.rs` | resized pictures that are kept |
//! | `background.rs` | the thread that works ahead |

mod background;
mod cache;
mod eval;
mod order;
mod train;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bit_image::ImageError;
use serde::Serialize;

use crate::TransferError;
use crate::data::{DataSet, ImageSource, LabelTask};
use crate::panics::catch_quietly;

pub use eval::EvalLoader;
pub use train::TrainLoader;

/// Most pictures in a batch.
const MAX_BATCH: usize = 1 << 20;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    /// Batches that are prepared ahead, at least 1. Each takes `batch x channels x height x width` floats.
    pub ahead: usize,
    /// Most bytes of resized pictures that training keeps, so that they are decoded only once. A picture takes
    /// `3 x resize x resize` bytes: 77 kB at 160, 786 kB at 512.
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

impl LoaderOptions {
    /// The threads that decode.
    fn pool(&self) -> Result<rayon::ThreadPool, TransferError> {
        if !(1..=MAX_BATCH).contains(&self.batch_size) {
            return Err(TransferError::Argument(format!(
                "the batch size is {}; expected 1 to {MAX_BATCH}",
                self.batch_size
            )));
        }
        let name = |index| format!("decode-{index}");
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(name);
        pool.build().map_err(|error| {
            TransferError::Argument(format!(
                "cannot start {} threads to decode images: {error}",
                self.threads
            ))
        })
    }
}

impl Targets {
    /// What the chosen pictures of a data set show.
    pub fn of(data: &DataSet, examples: &[usize]) -> Self {
        let labels = |index: &usize| data.examples[*index].labels.as_slice();
        if data.task == LabelTask::SingleLabel {
            let first = |index| labels(index).first().copied().unwrap_or_default();
            return Self::Classes(examples.iter().map(first).collect());
        }
        let classes = data.classes.len();
        let mut values = vec![0.0; examples.len() * classes];
        for (row, index) in values.chunks_exact_mut(classes.max(1)).zip(examples) {
            labels(index).iter().for_each(|label| row[*label] = 1.0);
        }
        Self::MultiHot { values, classes }
    }

    /// How many pictures these are the targets of.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::MultiHot { values, classes } => values.len() / (*classes).max(1),
        }
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a decoder makes of a picture; should the picture make it panic, that is the picture's fault.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ImageError>) -> Result<T, ImageError> {
    let gave_up = || ImageError::Decode {
        format: "image",
        message: "the decoder gave up".into(),
        offset: None,
    };
    catch_quietly(decode).unwrap_or_else(|| Err(gave_up()))
}

/// Pictures that turned out to be unusable.
#[derive(Clone, Debug, Default)]
struct SkipList(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    /// By their index.
    all: BTreeMap<usize, Skipped>,
    /// Those that nobody has asked for yet.
    new: Vec<Skipped>,
}

impl SkipList {
    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, index: usize) -> bool {
        self.lock().all.contains_key(&index)
    }

    /// Notes a picture that cannot be used, which is an error when that was asked for.
    fn add(
        &self,
        index: usize,
        image: &ImageSource,
        error: ImageError,
        strict: bool,
    ) -> Result<(), TransferError> {
        // Our name for the picture is the better one: it has the row of a table.
        let source = match error {
            ImageError::InImage { source, .. } => *source,
            error => error,
        };
        let image = image.to_string();
        if strict {
            return Err(TransferError::Image { image, source });
        }
        let reason = source.to_string();
        let (mut found, picture) = (self.lock(), Skipped { image, reason });
        if found.all.insert(index, picture.clone()).is_none() {
            found.new.push(picture);
        }
        Ok(())
    }

    fn list(&self) -> Vec<Skipped> {
        self.lock().all.values().cloned().collect()
    }

    /// Those that were found since the last call.
    fn take_new(&self) -> Vec<Skipped> {
        std::mem::take(&mut self.lock().new)
    }

    /// The error when no picture is left.
    fn nothing_left(&self, place: &str) -> TransferError {
        let first = self.lock().all.values().next().cloned();
        TransferError::NoImages {
            place: place.into(),
            expected: match first {
                Some(Skipped { image, reason }) => {
                    format!("at least one that can be read; the first that cannot: {image}: {reason}")
                }
                None => "at least one".into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_a_picture_that_cannot_be_used() {
        let list = SkipList::default();
        let error = guarded(|| -> Result<(), ImageError> { panic!("index out of bounds") }).unwrap_err();
        list.add(3, &ImageSource::Path("a.gif".into()), error, false)
            .unwrap();
        let expected = Skipped {
            image: "a.gif".into(),
            reason: "broken image file: the decoder gave up".into(),
        };
        assert_eq!(list.take_new(), std::slice::from_ref(&expected));
        assert_eq!((list.list(), list.take_new()), (vec![expected], vec![]));
    }
}
