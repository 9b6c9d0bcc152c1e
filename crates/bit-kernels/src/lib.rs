//! bit-kernels
