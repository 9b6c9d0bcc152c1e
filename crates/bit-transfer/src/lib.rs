//! Transfer: a folder of labelled images becomes a classifier, and how good it is gets measured.
//!
//! [`data`] reads labelled pictures and turns them into batches, [`train`] fine-tunes a network on them,
//! [`probe`] fits a linear head instead, [`explain`] shows where a network looks, and [`metrics`] turns scores into numbers that can be compared.

mod atomic;
pub mod data;
mod error;
pub mod explain;
pub mod metrics;
pub mod probe;
pub mod train;

pub use error::TransferError;
