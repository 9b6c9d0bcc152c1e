//! Where results go.

mod delimited;
mod embeddings;
mod headers;
mod parquet;
mod predictions;
mod sink;

pub use embeddings::{EmbeddingFormat, EmbeddingWriter};
pub use predictions::PredictionWriter;
pub use sink::Sink;
