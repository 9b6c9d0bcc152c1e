//! Labelled pictures: where they come from, how they are divided, and how they become batches.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use bit_config::hyperrule;
//! use bit_transfer::data::{self, LoaderOptions, OpenOptions, TrainLoader, TrainTransform};
//!
//! # fn main() -> Result<(), bit_transfer::TransferError> {
//! let flowers = data::open("flowers".as_ref(), &OpenOptions::default())?.train;
//! let (train, _validation) = flowers.split(0.1, 0)?;
//! let [height, width] = train.image_size()?;
//!
//! let transform = TrainTransform::new(hyperrule::resolution(height, width));
//! let loader = TrainLoader::new(Arc::new(train), transform, LoaderOptions::default(), 0)?;
//! for batch in loader.take(500) {
//!     let [images, channels, height, width] = batch?.shape;
//!     assert_eq!((channels, height), (3, width));
//!     assert!(images > 0);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | file | what is in it |
//! |---|---|
//! | `set.rs` | pictures with their labels |
//! | `open.rs` | which kind of data lies at a path, and its division into training, validation and test data |
//! | `folder.rs`, `table.rs`, `jsonl.rs`, `parquet.rs`, `cifar.rs` | a reader a kind |
//! | `pages.rs` | parquet's pages, unpacked up to a limit |
//! | `columns.rs` | which columns hold the pictures and the labels |
//! | `part.rs` | what a reader hands over, and how it becomes data sets with common classes |
//! | `source.rs`, `spill.rs` | where one picture's pixels are; a file for those that memory has no room for |
//! | `sample.rs` | few-shot samples and stratified splits |
//! | `fingerprint.rs` | what tells data sets apart |
//! | `random.rs` | random numbers as a pure function of seed, purpose and step |
//! | `transform.rs` | from a picture to its place in a batch, with and without augmentation |
//! | `loader/` | batches, prepared in the background |

mod cifar;
mod columns;
mod fingerprint;
mod folder;
mod jsonl;
mod loader;
mod open;
mod pages;
mod parquet;
mod part;
mod random;
mod sample;
mod set;
mod source;
mod spill;
mod table;
mod transform;

pub use fingerprint::Fingerprint;
pub use loader::{Batch, EvalLoader, LoaderOptions, Skipped, Targets, TrainLoader};
pub use open::{OpenOptions, Splits, open};
pub use random::Random;
pub use set::{DataSet, Example, LabelTask};
pub use source::{ImageRow, ImageSource};
pub use transform::{TrainTransform, recipe_processor};
