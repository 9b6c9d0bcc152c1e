//! What a download tells while it runs.

use std::time::Duration;

/// Something that happens while a model is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubEvent<'a> {
    /// A file begins. Its `size` in bytes is unknown when the server does not say it.
    File {
        /// `google/bit-50: pytorch_model.bin`.
        name: &'a str,
        /// Bytes of the whole file.
        size: Option<u64>,
    },
    /// So many bytes of the file are on the disk, those of an earlier, interrupted download included.
    Bytes(u64),
    /// The file is complete and has its name.
    FileDone,
    /// Another process fetches the same file; this one waits for it.
    Waiting {
        /// As in [`File`](Self::File).
        name: &'a str,
    },
    /// Something failed that may pass; it is tried again after a pause.
    Retry {
        /// What failed.
        reason: &'a str,
        /// The pause: what the server asked for, or else longer from time to time.
        after: Duration,
    },
    /// Something that a person should know, such as why a pickle is loaded and not a safetensors file.
    Note(&'a str),
}
