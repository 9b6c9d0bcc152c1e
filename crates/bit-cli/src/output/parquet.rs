//! Rows of embeddings as Parquet: a column `image` and a column `embedding`, a list of floats.

use std::sync::Arc;

use anyhow::Result;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const SCHEMA: &str = "message schema {
    required binary image (STRING);
    required group embedding (LIST) { repeated group list { required float element; } }
}";

/// Values that are held back until they make a row group: 4 MiB.
const GROUP_VALUES: usize = 1 << 20;

/// Encodes rows of one length. Bytes are handed out as soon as a row group is full.
pub struct ParquetRows {
    writer: SerializedFileWriter<Vec<u8>>,
    names: Vec<ByteArray>,
    values: Vec<f32>,
    /// Values of a row, at least one.
    length: usize,
}

impl ParquetRows {
    /// `metadata` are keys and values for the file's footer.
    pub fn new(length: usize, metadata: &[(&str, String)]) -> Result<Self> {
        let pairs = metadata
            .iter()
            .map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(pairs.collect()))
            // Floats of a network are noise to a dictionary and to a compressor.
            .set_dictionary_enabled(false)
            .set_compression(Compression::UNCOMPRESSED)
            .build();
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        Ok(Self {
            writer: SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?,
            names: Vec::new(),
            values: Vec::new(),
            length,
        })
    }

    /// Adds a row and returns the bytes that are ready to be written.
    pub fn push(&mut self, name: &str, values: &[f32]) -> Result<Vec<u8>> {
        self.names.push(name.as_bytes().to_vec().into());
        self.values.extend(values);
        if self.values.len() >= GROUP_VALUES {
            self.close_group()?;
        }
        self.ready()
    }

    /// The rest of the file.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        if !self.names.is_empty() {
            self.close_group()?;
        }
        self.writer.finish()?;
        self.ready()
    }

    fn close_group(&mut self) -> Result<()> {
        let mut group = self.writer.next_row_group()?;
        if let Some(mut column) = group.next_column()? {
            column
                .typed::<ByteArrayType>()
                .write_batch(&self.names, None, None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            // A list is present, and each value but its first repeats it.
            let present = vec![1; self.values.len()];
            let repeats: Vec<i16> = (0..self.values.len())
                .map(|value| i16::from(value % self.length != 0))
                .collect();
            column
                .typed::<FloatType>()
                .write_batch(&self.values, Some(&present), Some(&repeats))?;
            column.close()?;
        }
        group.close()?;
        self.names.clear();
        self.values.clear();
        Ok(())
    }

    fn ready(&mut self) -> Result<Vec<u8>> {
        self.writer.flush()?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }
}
