//! The program from the outside: what a user types, and what comes back.
#![allow(clippy::unwrap_used, missing_docs)]

mod bench;
mod classify;
mod convert;
mod devices;
mod download;
mod embed;
mod hostile;
mod inspect;
mod lists;
mod support;
mod transfer;
