//! One writer a format. Each takes [`Entry`](crate::Entry)s, plans the file from their sizes, then reads and writes
//! them one by one; a file appears under its name only when it is whole.

pub(crate) mod safetensors;
