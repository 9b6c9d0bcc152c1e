//! Transfer: a folder of labelled images becomes a classifier, and how good it is gets measured.
//!
//! [`data`] reads labelled pictures and turns them into batches, [`train`] fine-tunes a network on them,
//! [`probe`] fits a linear head instead, [`explain`] shows where a network looks, and [`metrics`] turns scores into numbers that can be compared.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use bit_pretrained::Pretrained;
//! use bit_transfer::data::{OpenOptions, open};
//! use bit_transfer::train::{
//!     DataFacts, Observer, Recipe, RecipeOptions, RunData, RunOptions, Trainer, finetune,
//! };
//! use burn::tensor::Device;
//!
//! /// Prints the loss.
//! struct Loss;
//! impl Observer for Loss {
//!     fn step(&mut self, report: &bit_transfer::train::StepReport, _images_per_second: f64) {
//!         println!("{}: {}", report.step, report.loss);
//!     }
//! }
//!
//! let splits = open(Path::new("flowers"), &OpenOptions::default())?;
//! let (train, validation) = splits.train.split(0.1, 0)?;
//! let recipe = Recipe::resolve(&RecipeOptions::default(), &DataFacts::of(&train)?)?;
//! let pretrained = Pretrained::open("google/bit-50")?;
//! let trainer = Trainer::new(&pretrained, &train.classes, recipe, &Device::flex())?;
//! let data = RunData {
//!     train: Arc::new(train),
//!     validation: Some(Arc::new(validation)),
//!     test: None,
//! };
//! let outcome = finetune(trainer, &data, &RunOptions::new(Path::new("flower-model")), &mut Loss)?;
//! println!("{:?}", outcome.validation);
//! # Ok::<(), bit_transfer::TransferError>(())
//! ```

mod atomic;
pub mod data;
mod error;
pub mod explain;
pub mod metrics;
mod panics;
pub mod probe;
pub mod train;

pub use error::TransferError;
