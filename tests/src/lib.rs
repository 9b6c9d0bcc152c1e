//! Shared helpers of the cross-crate tests.

pub mod fixtures;
pub mod noise;
pub mod runner;
pub mod training;

/// The examples of the guide and of README.md, so that they are compiled.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/src/library.md")]
    struct Library;
    #[doc = include_str!("../../docs/src/quick-start.md")]
    struct QuickStart;
}
