//! Parquet files in the layout of Hugging Face's `datasets`: a column of pictures `{bytes, path}`, and one of labels
//! whose names stand in the file's metadata.
//!
//! The `parquet` crate without Arrow is the smallest reader that is kept up: its row interface covers this layout,
//! and nothing else is compiled. Its pages are unpacked in `pages.rs`.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaDataReader};
use parquet::file::reader::RowGroupReader;
use parquet::record::{Field, Row as Fields};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::columns;
use super::pages::{self, RowGroup};
use super::part::{Part, Row, Split, check_names};
use super::source::Store;
use crate::TransferError;
use crate::data::{ImageSource, OpenOptions};
use crate::panics::catch_quietly;

/// Reads one file.
pub(super) fn read(
    path: &Path,
    split: Split,
    options: &OpenOptions,
    store: &mut Store,
) -> Result<Part, TransferError> {
    // The parser panics on some damaged files.
    let read = || {
        let file = File::open(path).map_err(TransferError::io(path, "open"))?;
        Reader { path, options }.read(file, split, store)
    };
    catch_quietly(read).unwrap_or_else(|| Err(damaged(path, "the reader gave up")))
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> TransferError {
    TransferError::Layout {
        path: path.into(),
        found: format!("a damaged or foreign parquet file ({why})"),
        expected: "columns with images and labels as Hugging Face's datasets writes them".into(),
    }
}

struct Reader<'a> {
    path: &'a Path,
    options: &'a OpenOptions,
}

impl Reader<'_> {
    fn read(&self, file: File, split: Split, store: &mut Store) -> Result<Part, TransferError> {
        let broken = |error: ParquetError| damaged(self.path, error);
        let groups = ParquetMetaDataReader::new()
            .parse_and_finish(&file)
            .map_err(broken)?;
        let metadata = groups.file_metadata();
        let features = features(metadata.key_value_metadata().into_iter().flatten());
        let fields = metadata.schema().get_fields();
        let [image, label] = self.columns(fields, &features)?;
        let classes = class_names(&features, fields[label].name());
        if let Some(classes) = &classes {
            check_names(classes, &self.path.display().to_string())?;
        }

        let chosen = vec![fields[image].clone(), fields[label].clone()];
        let projection = Type::group_type_builder(metadata.schema().name())
            .with_fields(chosen)
            .build()
            .map_err(broken)?;
        let length = file
            .metadata()
            .map_err(TransferError::io(self.path, "read"))?
            .len();
        let (file, name) = (Arc::new(file), Arc::<Path>::from(self.path));
        let mut part = Part {
            split,
            place: self.path.into(),
            several: fields[label].is_group(),
            classes,
            rows: Vec::new(),
        };
        let (mut lines, mut room) = (1.., pages::limit(length));
        for (number, metadata) in groups.row_groups().iter().enumerate() {
            let group = RowGroup {
                file: &file,
                length,
                number,
                metadata,
            };
            let rows = group.get_row_iter(Some(projection.clone())).map_err(broken)?;
            for (fields, line) in rows.zip(&mut lines) {
                let mut row = RowReader {
                    file: &name,
                    line,
                    room: &mut room,
                };
                let mut columns = fields.map_err(broken)?.into_columns().into_iter();
                let (Some((name, image)), Some((label_name, label))) = (columns.next(), columns.next())
                else {
                    return Err(damaged(self.path, "a row without its columns"));
                };
                part.rows.push(Row {
                    image: row.image(&name, &image, store)?,
                    labels: row.labels(&label_name, &label, part.classes.as_deref())?,
                    line,
                });
            }
        }
        Ok(part)
    }

    /// Places of the columns with pictures and labels.
    fn columns(&self, fields: &[TypePtr], features: &Value) -> Result<[usize; 2], TransferError> {
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let guess = |wanted: &Option<String>, guess: Option<usize>, usual, what| match (wanted, guess) {
            (None, Some(guess)) => Ok(guess),
            (wanted, _) => columns::required(&names, wanted.as_deref(), usual, what, self.path),
        };
        let is_picture = |field: &TypePtr| {
            field.is_group() && field.get_fields().iter().any(|field| field.name() == "bytes")
        };
        let picture = fields.iter().position(is_picture);
        let image = guess(
            &self.options.image_column,
            picture,
            columns::IMAGE_COLUMNS,
            "image",
        )?;
        let usual = columns::required(&names, None, columns::LABEL_COLUMNS, "label", self.path).ok();
        let class_label = names
            .iter()
            .position(|name| class_names(features, name).is_some());
        let label = guess(
            &self.options.label_column,
            usual.or(class_label),
            columns::LABEL_COLUMNS,
            "label",
        )?;
        if image == label {
            return Err(TransferError::Field {
                place: self.path.display().to_string(),
                field: "the label column".into(),
                found: format!("the image column too ({:?})", names[image]),
                expected: "two columns".into(),
            });
        }
        Ok([image, label])
    }
}

/// The description of the columns that `datasets` keeps in the file's metadata.
fn features<'a>(metadata: impl Iterator<Item = &'a KeyValue>) -> Value {
    let text = metadata
        .filter(|entry| entry.key == "huggingface")
        .find_map(|entry| entry.value.as_deref());
    let described: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
    described.map_or(Value::Null, |mut described| described["info"]["features"].take())
}

/// The names of a column of class labels, or of lists of them.
fn class_names(features: &Value, column: &str) -> Option<Vec<String>> {
    let feature = features.get(column)?;
    let inner = [Some(feature), feature.get("feature"), feature.get(0)];
    let names = inner
        .into_iter()
        .flatten()
        .find_map(|feature| feature.get("names")?.as_array())?;
    names
        .iter()
        .map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Reads the fields of one row.
struct RowReader<'a> {
    file: &'a Arc<Path>,
    line: u64,
    /// Bytes that pictures of the file may still have: equal ones are stored once.
    room: &'a mut usize,
}

impl RowReader<'_> {
    fn wrong(&self, column: &str, field: &Field, expected: impl Into<String>) -> TransferError {
        TransferError::Field {
            place: format!("{}, row {}", self.file.display(), self.line),
            field: format!("{column:?}"),
            found: describe(field),
            expected: expected.into(),
        }
    }

    fn image(
        &mut self,
        column: &str,
        field: &Field,
        store: &mut Store,
    ) -> Result<ImageSource, TransferError> {
        let of = |name: &str, group: &Fields| {
            let found = group.get_column_iter().find(|(column, _)| *column == name);
            found.map(|(_, field)| field.clone())
        };
        let (bytes, path) = match field {
            Field::Group(group) => (of("bytes", group), of("path", group)),
            other => (Some(other.clone()), None),
        };
        match (bytes, path) {
            (Some(Field::Bytes(bytes)), _) => {
                *self.room = self.room.checked_sub(bytes.len()).ok_or_else(|| {
                    let expected = "less: with this, pictures come to too many times the file's size";
                    self.wrong(column, &Field::Bytes(bytes.clone()), expected)
                })?;
                store
                    .keep(self.file, self.line, bytes.data())
                    .map_err(TransferError::io(&**self.file, "keep an image of"))
            }
            (_, Some(Field::Str(path))) => Ok(ImageSource::Path(
                self.file.parent().unwrap_or(Path::new("")).join(path),
            )),
            _ => Err(self.wrong(column, field, "the bytes or the path of a picture")),
        }
    }

    fn labels(
        &self,
        column: &str,
        field: &Field,
        classes: Option<&[String]>,
    ) -> Result<Vec<String>, TransferError> {
        match field {
            Field::ListInternal(list) => {
                let labels = list.elements().iter();
                labels.map(|label| self.label(column, label, classes)).collect()
            }
            label => Ok(vec![self.label(column, label, classes)?]),
        }
    }

    fn label(
        &self,
        column: &str,
        field: &Field,
        classes: Option<&[String]>,
    ) -> Result<String, TransferError> {
        let number = match field {
            Field::Byte(number) => i64::from(*number),
            Field::Short(number) => i64::from(*number),
            Field::Int(number) => i64::from(*number),
            Field::Long(number) => *number,
            Field::UByte(number) => i64::from(*number),
            Field::UShort(number) => i64::from(*number),
            Field::UInt(number) => i64::from(*number),
            Field::ULong(number) => i64::try_from(*number).unwrap_or(i64::MAX),
            Field::Str(name) if classes.is_none_or(|classes| classes.contains(name)) => {
                return Ok(name.clone());
            }
            Field::Str(_) => return Err(self.wrong(column, field, "the name of one of the file's classes")),
            _ => return Err(self.wrong(column, field, "a whole number or a name")),
        };
        let Some(classes) = classes else {
            return Ok(number.to_string());
        };
        let class = usize::try_from(number)
            .ok()
            .and_then(|number| classes.get(number));
        class.cloned().ok_or_else(|| {
            let hint = if number == -1 {
                " (-1 is no label: leave this file out)"
            } else {
                ""
            };
            self.wrong(
                column,
                field,
                format!("0 to {}{hint}", classes.len().saturating_sub(1)),
            )
        })
    }
}

fn describe(field: &Field) -> String {
    match field {
        Field::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Field::Group(_) => "a group without bytes and path".into(),
        Field::ListInternal(list) => format!("a list of {}", list.len()),
        Field::MapInternal(_) => "a map".into(),
        Field::Float(number) => format!("the float {number:?}"),
        Field::Double(number) => format!("the float {number:?}"),
        other => other.to_string(),
    }
}
