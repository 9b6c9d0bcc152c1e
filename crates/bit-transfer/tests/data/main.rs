//! The public face of the data and metrics modules, on files.

#![allow(clippy::unwrap_used)]

mod bad;
mod loaders;
mod readers;
mod scores;
mod support;
