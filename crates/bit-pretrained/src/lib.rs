//! bit-pretrained
