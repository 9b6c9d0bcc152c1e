//! bit-image
