//! One file a command: parses nothing, says what to do in which order.

pub mod bench;
pub mod classify;
pub mod completions;
pub mod convert;
pub mod embed;
pub mod evaluate;
pub mod explain;
pub mod finetune;
pub mod inspect;
pub mod models;
mod verify;
