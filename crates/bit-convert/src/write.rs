//! One writer a format. Each takes [`Entry`](crate::Entry)s, plans the file from their sizes, then reads and writes
//! them one by one; a file appears under its name only when it is whole.

pub(crate) mod burnpack;
pub(crate) mod folder;
pub(crate) mod npz;
pub(crate) mod onnx;
pub(crate) mod pytorch;
pub(crate) mod safetensors;
mod zipped;
