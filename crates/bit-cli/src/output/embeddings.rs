//! `bit embed`'s files: rows are written as they come, so that memory does not grow with the number of images.

use std::io::Write;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

use crate::args::EmbeddingFile;
use crate::feature::Feature;
use crate::inputs::Input;
use crate::output::delimited::fields;
use crate::output::parquet::ParquetRows;
use crate::output::{Sink, headers};
use crate::pipeline::{Receive, Row};

/// The formats, by the extension of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingFormat {
    /// One tensor `embeddings`, with the images' names in the metadata.
    Safetensors,
    /// One array, without the images' names.
    Npy,
    /// A row an image: its name, then the values.
    Csv,
    /// A row an image: its name, and the values as a list.
    Parquet,
}

const FORMATS: &[(EmbeddingFormat, &str)] = &[
    (EmbeddingFormat::Safetensors, "safetensors"),
    (EmbeddingFormat::Npy, "npy"),
    (EmbeddingFormat::Csv, "csv"),
    (EmbeddingFormat::Parquet, "parquet"),
];

impl FromStr for EmbeddingFormat {
    type Err = String;

    fn from_str(extension: &str) -> Result<Self, String> {
        let found = FORMATS.iter().find(|row| row.1 == extension).map(|row| row.0);
        found.ok_or_else(|| {
            let known: Vec<_> = FORMATS.iter().map(|row| format!(".{}", row.1)).collect();
            format!("the file's name must end in {}", known.join(", "))
        })
    }
}

/// Writes one file of embeddings.
pub struct EmbeddingWriter {
    sink: Sink,
    file: EmbeddingFile,
    feature: Feature,
    model: String,
    /// Every image that may become a row.
    expected: Vec<String>,
    /// Every image that became one.
    written: Vec<String>,
    /// Of a row; known with the first.
    shape: Option<Vec<usize>>,
    /// Bytes before the first row.
    reserved: usize,
    /// Rows that wait for their row group, when that is the format.
    parquet: Option<ParquetRows>,
}

impl EmbeddingWriter {
    /// Prepares the file, which appears with [`finish`](Self::finish).
    pub fn new(file: &EmbeddingFile, feature: Feature, model: &str, inputs: &[Input]) -> Result<Self> {
        Ok(Self {
            sink: Sink::open(Some(&file.path))?,
            file: file.clone(),
            feature,
            model: model.to_owned(),
            expected: inputs.iter().map(Input::to_string).collect(),
            written: Vec::new(),
            shape: None,
            reserved: 0,
            parquet: None,
        })
    }

    /// What stands before the rows of these images, in `reserved` bytes.
    fn header(&self, images: &[String], shape: &[usize], reserved: usize) -> Result<Vec<u8>> {
        let whole: Vec<usize> = std::iter::once(images.len())
            .chain(shape.iter().copied())
            .collect();
        match self.file.format {
            EmbeddingFormat::Npy => Ok(headers::npy(&whole)),
            EmbeddingFormat::Safetensors => {
                let [feature, model] = self.origin();
                let paths = ("paths", serde_json::to_string(images)?);
                Ok(headers::safetensors(&whole, &[feature, model, paths], reserved))
            }
            // Its first bytes come with its first rows.
            EmbeddingFormat::Parquet => Ok(Vec::new()),
            EmbeddingFormat::Csv => {
                let columns = (0..shape.iter().product()).map(|column: usize| column.to_string());
                fields(std::iter::once("image".to_owned()).chain(columns))
            }
        }
    }

    /// Fills in what is known only now. Without a single row there is no file.
    pub fn finish(mut self) -> Result<()> {
        let path = self.file.path.display();
        let shape = self
            .shape
            .take()
            .with_context(|| format!("{path}: not written, because no image could be used"))?;
        let written = match self.file.format {
            EmbeddingFormat::Csv => Ok(()),
            EmbeddingFormat::Parquet => {
                let rest = self.parquet.take().map(ParquetRows::finish).transpose()?;
                self.sink.write_all(&rest.unwrap_or_default())
            }
            EmbeddingFormat::Npy | EmbeddingFormat::Safetensors => {
                let header = self.header(&self.written, &shape, self.reserved)?;
                self.sink.overwrite_start(&header)
            }
        };
        written.with_context(|| format!("{path}: cannot write"))?;
        self.sink.finish()
    }

    /// What the values are and where they come from, for formats with room for it.
    fn origin(&self) -> [(&'static str, String); 2] {
        [
            ("feature", self.feature.to_string()),
            ("model", self.model.clone()),
        ]
    }

    fn begin(&mut self, shape: &[usize]) -> Result<()> {
        let header = self.header(&self.expected, shape, 0)?;
        self.reserved = header.len();
        self.sink.write_all(&header)?;
        self.shape = Some(shape.to_vec());
        if self.file.format == EmbeddingFormat::Parquet {
            let [feature, model] = self.origin();
            let metadata = [feature, model, ("shape", serde_json::to_string(shape)?)];
            self.parquet = Some(ParquetRows::new(shape.iter().product(), &metadata)?);
        }
        Ok(())
    }
}

impl Receive for EmbeddingWriter {
    fn receive(&mut self, input: &Input, outcome: &Result<Row, String>) -> Result<()> {
        let Ok(row) = outcome else { return Ok(()) };
        if self.shape.is_none() {
            self.begin(&row.shape)?;
        }
        ensure!(
            self.shape.as_ref() == Some(&row.shape),
            "{input}: its {} has the shape {:?}, that of the images before it {:?}, and one file needs one shape: \
             use an image processor that crops (do_center_crop)",
            self.feature,
            row.shape,
            self.shape.as_deref().unwrap_or_default()
        );
        let bytes: Vec<u8> = match (&mut self.parquet, self.file.format) {
            (Some(rows), _) => rows.push(&input.to_string(), &row.values)?,
            (None, EmbeddingFormat::Csv) => {
                let values = row.values.iter().map(f32::to_string);
                fields(std::iter::once(input.to_string()).chain(values))?
            }
            _ => row.values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        };
        self.sink
            .write_all(&bytes)
            .with_context(|| format!("{}: cannot write", self.file.path.display()))?;
        self.written.push(input.to_string());
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
