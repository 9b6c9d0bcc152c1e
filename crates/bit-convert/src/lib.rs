//! bit-convert
