//! Transfer: a folder of labelled images becomes a classifier, and how good it is gets measured.
//!
//! [`data`] reads labelled pictures and turns them into batches, [`metrics`] turns scores into numbers that can be
//! compared.

mod atomic;
pub mod data;
mod error;
pub mod metrics;

pub use error::TransferError;
