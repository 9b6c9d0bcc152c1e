//! `bit classify`'s four formats.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use bit_config::BitConfig;
use serde::Serialize;

use crate::args::PredictionFormat;
use crate::inputs::Input;
use crate::output::Sink;
use crate::output::delimited::fields;
use crate::pipeline::{Receive, Row};
use crate::printable::printable;
use crate::scores::{Prediction, Scores, predictions};

/// One image in JSON.
#[derive(Debug, Serialize)]
struct Record<'a> {
    image: &'a str,
    predictions: Vec<Prediction>,
    error: Option<&'a str>,
}

/// Writes predictions as they come.
pub struct PredictionWriter<'a> {
    sink: Sink,
    format: PredictionFormat,
    scores: Scores,
    top_k: usize,
    config: &'a BitConfig,
    written: usize,
}

impl<'a> PredictionWriter<'a> {
    /// Writes to `path`, or to standard output.
    pub fn new(
        path: Option<&Path>,
        format: PredictionFormat,
        scores: Scores,
        top_k: usize,
        config: &'a BitConfig,
    ) -> Result<Self> {
        let mut sink = Sink::open(path)?;
        if format == PredictionFormat::Csv {
            sink.write_all(&fields(["image", "rank", "label", "index", "score", "error"])?)?;
        }
        Ok(Self {
            sink,
            format,
            scores,
            top_k,
            config,
            written: 0,
        })
    }

    /// Ends the document.
    pub fn finish(mut self) -> Result<()> {
        if self.format == PredictionFormat::Json {
            self.sink
                .write_all(if self.written == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.sink.finish()
    }

    fn text(&mut self, record: &Record<'_>) -> Result<()> {
        writeln!(self.sink, "{}", record.image)?;
        for Prediction { label, score, .. } in &record.predictions {
            writeln!(self.sink, "{score:>10.4}  {}", printable(label))?;
        }
        Ok(())
    }

    fn json(&mut self, record: &Record<'_>) -> Result<()> {
        self.sink
            .write_all(if self.written == 0 { b"[\n" } else { b",\n" })?;
        Ok(serde_json::to_writer(&mut self.sink, record)?)
    }

    fn json_line(&mut self, record: &Record<'_>) -> Result<()> {
        serde_json::to_writer(&mut self.sink, record)?;
        Ok(self.sink.write_all(b"\n")?)
    }

    fn csv(&mut self, record: &Record<'_>) -> Result<()> {
        if let Some(error) = record.error {
            self.sink
                .write_all(&fields([record.image, "", "", "", "", error])?)?;
        }
        for (rank, Prediction { label, index, score }) in (1..).zip(&record.predictions) {
            let (rank, index, score) = (format!("{rank}"), format!("{index}"), format!("{score}"));
            self.sink
                .write_all(&fields([record.image, &rank, label, &index, &score, ""])?)?;
        }
        Ok(())
    }
}

impl Receive for PredictionWriter<'_> {
    fn receive(&mut self, input: &Input, outcome: &Result<Row, String>) -> Result<()> {
        let image = input.to_string();
        let best = |row: &Row| predictions(&self.scores.of(&row.values), self.top_k, self.config);
        let record = Record {
            image: &image,
            predictions: outcome.as_ref().map(best).unwrap_or_default(),
            error: outcome.as_ref().err().map(String::as_str),
        };
        match self.format {
            // Standard error has already said what is wrong.
            PredictionFormat::Text if record.error.is_some() => Ok(()),
            PredictionFormat::Text => self.text(&record),
            PredictionFormat::Json => self.json(&record),
            PredictionFormat::Jsonl => self.json_line(&record),
            PredictionFormat::Csv => self.csv(&record),
        }?;
        self.written += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.sink.flush()?)
    }
}
