//! CSV and JSONL files of paths and labels.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::part::{Part, Row, Split};
use crate::TransferError;
use crate::data::{ImageSource, LabelTask, OpenOptions};

/// Endings of tables' names.
pub(super) const ENDINGS: [&str; 4] = ["csv", "tsv", "jsonl", "ndjson"];

/// Usual names of the columns, the likeliest first.
pub(super) const IMAGE_COLUMNS: &[&str] = &[
    "file_name",
    "image",
    "path",
    "image_path",
    "filepath",
    "filename",
    "file",
    "img",
];
pub(super) const LABEL_COLUMNS: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "categories",
    "target",
    "targets",
    "tags",
];
const SPLIT_COLUMNS: &[&str] = &["split"];

/// Most bytes of a line of JSON.
const MAX_LINE: u64 = 16 << 20;

/// One line of a table.
struct Record {
    line: u64,
    image: String,
    labels: Vec<String>,
    split: Option<String>,
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

fn line(path: &Path, line: u64) -> String {
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
            split: columns.split.map(|column| field(column).to_owned()),
        });
    }
    Ok(records)
}

fn jsonl(path: &Path, file: File, options: &OpenOptions) -> Result<Vec<Record>, TransferError> {
    let mut reader = BufReader::new(file);
    let mut columns = None;
    let mut records = Vec::new();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let mut limited = reader.by_ref().take(MAX_LINE);
        let read = limited
            .read_until(b'\n', &mut text)
            .map_err(TransferError::io(path, "read"))?;
        if read == 0 {
            break;
        }
        if text.trim_ascii().is_empty() {
            continue;
        }
        let object: Map<String, Value> =
            serde_json::from_slice(&text).map_err(|error| TransferError::Field {
                place: line(path, number),
                field: "the line".into(),
                found: format!("not usable ({error})"),
                expected: "a JSON object like {\"file_name\": \"cat.png\", \"label\": \"cat\"}".into(),
            })?;
        let names = match &columns {
            Some(names) => names,
            None => {
                let keys: Vec<&str> = object.keys().map(String::as_str).collect();
                let found = Columns::find(&keys, path, options)?;
                let name = |column: usize| keys[column].to_owned();
                columns.insert((name(found.image), name(found.label), found.split.map(name)))
            }
        };
        records.push(json_record(path, number, &object, names)?);
    }
    Ok(records)
}

fn json_record(
    path: &Path,
    number: u64,
    object: &Map<String, Value>,
    (image, label, split): &(String, String, Option<String>),
) -> Result<Record, TransferError> {
    let wrong = |field: &str, expected: &str| TransferError::Field {
        place: line(path, number),
        field: format!("{field:?}"),
        found: object
            .get(field)
            .map_or("missing".into(), |value| shortened(&value.to_string())),
        expected: expected.into(),
    };
    let text = |field: &str| match object.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(wrong(field, "a string")),
    };
    let one = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    };
    let labels = match object.get(label) {
        Some(Value::Array(values)) => values.iter().map(one).collect(),
        Some(value) => one(value).map(|label| vec![label]),
        None => None,
    };
    Ok(Record {
        line: number,
        image: text(image)?,
        labels: labels.ok_or_else(|| wrong(label, "a name, a whole number, or a list of them"))?,
        split: split
            .as_deref()
            .filter(|split| object.contains_key(*split))
            .map(text)
            .transpose()?,
    })
}

/// Enough of a value to recognize it.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}

/// Places of the columns.
struct Columns {
    image: usize,
    label: usize,
    split: Option<usize>,
}

impl Columns {
    fn find(names: &[&str], path: &Path, options: &OpenOptions) -> Result<Self, TransferError> {
        if let Some((index, name)) = (1..)
            .zip(names.iter().skip(1))
            .find(|(index, name)| names[..*index].contains(name))
        {
            return Err(TransferError::Duplicate {
                place: path.display().to_string(),
                what: format!("the column {name:?} (number {})", index + 1),
                first: "another column".into(),
            });
        }
        let (image, label) = (options.image_column.as_deref(), options.label_column.as_deref());
        Ok(Self {
            image: required(names, image, IMAGE_COLUMNS, "image", path)?,
            label: required(names, label, LABEL_COLUMNS, "label", path)?,
            split: find(names, SPLIT_COLUMNS),
        })
    }
}

/// The column with this name, or else with one of the usual names.
pub(super) fn required(
    names: &[&str],
    wanted: Option<&str>,
    usual: &[&str],
    what: &str,
    path: &Path,
) -> Result<usize, TransferError> {
    let found = match wanted {
        Some(wanted) => names.iter().position(|name| *name == wanted),
        None => find(names, usual),
    };
    found.ok_or_else(|| TransferError::Field {
        place: path.display().to_string(),
        field: format!("the {what} column"),
        found: shortened(&format!("not among {names:?}")),
        expected: match wanted {
            Some(wanted) => format!("{wanted:?}"),
            None => format!("one of {usual:?}, or its name as an option"),
        },
    })
}

fn find(names: &[&str], usual: &[&str]) -> Option<usize> {
    usual
        .iter()
        .find_map(|usual| names.iter().position(|name| name.eq_ignore_ascii_case(usual)))
}
