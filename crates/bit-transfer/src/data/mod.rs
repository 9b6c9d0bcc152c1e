//! Labelled pictures: where they come from, how they are divided, and how they become batches.
//!
//! | file | what is in it |
//! |---|---|
//! | `open.rs` | which kind of data lies at a path, and its division into training, validation and test data |
//! | `folder.rs`, `table.rs`, `parquet.rs`, `cifar.rs` | a reader a kind |
//! | `source.rs` | where one picture's pixels are |
//! | `sample.rs` | few-shot samples and stratified splits |
//! | `random.rs` | random numbers as a pure function of seed, purpose and step |
//! | `transform.rs` | from a picture to its place in a batch, with and without augmentation |
//! | `loader.rs` | batches, prepared in the background |

mod loader;
mod open;
mod random;
mod sample;
mod set;
mod source;
mod transform;

pub use loader::{Batch, EvalLoader, LoaderOptions, Skipped, Targets, TrainLoader};
pub use open::{OpenOptions, Splits, open};
pub use random::Random;
pub use set::{DataSet, Example, LabelTask};
pub use source::ImageSource;
pub use transform::{TrainTransform, recipe_processor};
