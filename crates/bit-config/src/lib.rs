//! bit-config
