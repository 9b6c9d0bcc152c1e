//! Shared helpers of the cross-crate tests.

pub mod fixtures;
pub mod noise;
pub mod runner;
pub mod training;
