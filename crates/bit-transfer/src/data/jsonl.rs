//! Tables of paths and labels with a JSON object a line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use super::columns::{Columns, SPLIT_COLUMN, shortened};
use super::table::{Record, line};
use crate::TransferError;
use crate::data::OpenOptions;

/// Most bytes of a line of JSON.
const MAX_LINE: u64 = 16 << 20;

/// What some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads all lines.
pub(super) fn jsonl(path: &Path, file: File, options: &OpenOptions) -> Result<Vec<Record>, TransferError> {
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
        if number == 1 && text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
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
                columns.insert((name(found.image), name(found.label)))
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
    (image, label): &(String, String),
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
    let labels: Option<Vec<String>> = labels;
    // Unlike the other columns this one may be missing, also from the first line.
    let split = object.keys().find(|key| key.eq_ignore_ascii_case(SPLIT_COLUMN));
    Ok(Record {
        line: number,
        image: text(image)?,
        several: matches!(object.get(label), Some(Value::Array(_))),
        labels: labels
            .ok_or_else(|| wrong(label, "a name, a whole number, or a list of them"))?
            .into_iter()
            .filter(|label| !label.is_empty())
            .collect(),
        split: split.map(|split| text(split)).transpose()?,
    })
}
