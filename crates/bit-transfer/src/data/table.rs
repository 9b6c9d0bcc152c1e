//! Tables of paths and labels; those in CSV are read here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::columns::Columns;
use super::jsonl::jsonl;
use super::part::{Part, Row, Split};
use crate::TransferError;
use crate::data::{ImageSource, LabelTask, OpenOptions};

/// Endings of tables' names.
pub(super) const ENDINGS: [&str; 4] = ["csv", "tsv", "jsonl", "ndjson"];

/// One line of a table.
pub(super) struct Record {
    pub(super) line: u64,
    pub(super) image: String,
    pub(super) labels: Vec<String>,
    /// Whether the labels are a list, however many there are.
    pub(super) several: bool,
    pub(super) split: Option<String>,
}

/// Reads a table. `split` is what the name of the file or its folder says; a column of the table comes first.
pub(super) fn read(path: &Path, split: Split, options: &OpenOptions) -> Result<Vec<Part>, TransferError> {
    let file = File::open(path).map_err(TransferError::io(path, "open"))?;
    let json = super::folder::has_ending(path, &ENDINGS[2..]);
    let records = if json {
        jsonl(path, file, options)
    } else {
        csv(path, file, options)
    }?;
    if records.is_empty() {
        return Err(TransferError::NoImages {
            place: path.display().to_string(),
            expected: "a line for each image, with its path and label".into(),
        });
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut parts = BTreeMap::new();
    for record in records {
        let place = |field: &str, found: String, expected: &str| TransferError::Field {
            place: line(path, record.line),
            field: field.into(),
            found,
            expected: expected.into(),
        };
        if record.image.is_empty() {
            return Err(place(
                "the path of the image",
                "empty".into(),
                "a path relative to this file",
            ));
        }
        let split = match record.split.as_deref().filter(|split| !split.is_empty()) {
            None => split,
            Some(name) => Split::of_word(name)
                .ok_or_else(|| place("\"split\"", format!("{name:?}"), "train, validation or test"))?,
        };
        let part = parts.entry(split as usize).or_insert_with(|| Part {
            split,
            place: path.into(),
            classes: None,
            several: false,
            rows: Vec::new(),
        });
        part.several |= record.several;
        part.rows.push(Row {
            image: ImageSource::Path(normal(&folder.join(&record.image))),
            labels: record.labels,
            line: record.line,
        });
    }
    Ok(parts.into_values().collect())
}

/// Without `.` components, so that a path that is written in two ways is recognized.
fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The place of a line in an error.
pub(super) fn line(path: &Path, line: u64) -> String {
    format!("{}, line {line}", path.display())
}

fn csv(path: &Path, file: File, options: &OpenOptions) -> Result<Vec<Record>, TransferError> {
    let tabs = super::folder::has_ending(path, &["tsv"]);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if tabs { b'\t' } else { b',' })
        .trim(csv::Trim::All)
        .from_reader(BufReader::new(file));
    let broken = |error: csv::Error| match error.into_kind() {
        csv::ErrorKind::Io(error) => TransferError::io(path, "read")(error),
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => TransferError::Field {
            place: line(path, pos.map_or(0, |pos| pos.line())),
            field: "the number of fields".into(),
            found: len.to_string(),
            expected: format!("{expected_len}, as in the first line"),
        },
        other => TransferError::Layout {
            path: path.into(),
            found: format!("no table ({other:?})"),
            expected: "a CSV file in UTF-8".into(),
        },
    };
    let headers = reader.headers().map_err(broken)?;
    let names: Vec<&str> = headers.iter().collect();
    let columns = Columns::find(&names, path, options)?;
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.map_err(broken)?;
        let field = |column: usize| record.get(column).unwrap_or_default();
        let labels = field(columns.label);
        let labels = match options.task {
            Some(LabelTask::SingleLabel) => vec![labels],
            _ => labels.split(options.label_separator).map(str::trim).collect(),
        };
        records.push(Record {
            line: record.position().map_or(0, |position| position.line()),
            image: field(columns.image).to_owned(),
            labels: labels
                .into_iter()
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
            several: false,
            split: columns.split.map(|column| field(column).to_owned()),
        });
    }
    Ok(records)
}
