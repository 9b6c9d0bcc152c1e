//! bit-model
