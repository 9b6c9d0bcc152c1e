//! The binary files of CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::part::{Part, Row, Split, check_names};
use super::source::CIFAR_SIDE;
use crate::TransferError;
use crate::data::ImageSource;

/// Most bytes of a file; CIFAR-100's largest has 154 MB.
const MAX_BYTES: u64 = 1 << 30;

/// How a file of one of the two data sets is laid out.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    classes: usize,
    /// Bytes before the pixels, of which the last is the label.
    labels: usize,
    /// The file with the classes' names.
    names: &'static str,
    train: fn(&str) -> bool,
    test: &'static str,
}

static KINDS: [Kind; 2] = [
    Kind {
        name: "CIFAR-10",
        classes: 10,
        labels: 1,
        names: "batches.meta.txt",
        train: |name| name.starts_with("data_batch_"),
        test: "test_batch.bin",
    },
    Kind {
        name: "CIFAR-100",
        classes: 100,
        labels: 2,
        names: "fine_label_names.txt",
        train: |name| name == "train.bin",
        test: "test.bin",
    },
];

impl Kind {
    fn of_file(path: &Path) -> Option<(&'static Self, Split)> {
        let name = path.file_name()?.to_str()?;
        KINDS.iter().find_map(|kind| match name {
            _ if name == kind.test => Some((kind, Split::Test)),
            _ if (kind.train)(name) && name.ends_with(".bin") => Some((kind, Split::Train)),
            _ => None,
        })
    }

    /// The classes' names, numbers when the file with the names is not there.
    fn class_names(&self, folder: &Path) -> Result<Vec<String>, TransferError> {
        let path = folder.join(self.names);
        if !path.exists() {
            return Ok((0..self.classes).map(|class| class.to_string()).collect());
        }
        let length = fs::metadata(&path)
            .map_err(TransferError::io(&path, "read"))?
            .len();
        let text = match length {
            0..1_000_000 => fs::read_to_string(&path).map_err(TransferError::io(&path, "read"))?,
            _ => String::new(),
        };
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.len() != self.classes {
            return Err(TransferError::Layout {
                path,
                found: format!("{} names", names.len()),
                expected: format!(
                    "the names of {}'s {} classes, one a line",
                    self.name, self.classes
                ),
            });
        }
        check_names(&names, &path.display().to_string())?;
        Ok(names)
    }
}

/// CIFAR's files in a folder, or in the folder that its archive unpacks to.
pub(super) fn find(folder: &Path) -> Result<Vec<PathBuf>, TransferError> {
    for inner in ["", "cifar-10-batches-bin", "cifar-100-binary"] {
        let folder = folder.join(inner);
        if !folder.is_dir() {
            continue;
        }
        let mut files = super::folder::files(&folder, 1, &["bin"])?;
        files.retain(|file| Kind::of_file(file).is_some());
        if !files.is_empty() {
            return Ok(files);
        }
    }
    Ok(Vec::new())
}

/// Reads one file; which of the two data sets it belongs to is seen from its name.
pub(super) fn read(path: &Path) -> Result<Part, TransferError> {
    let wrong = |found: String, expected: String| TransferError::Layout {
        path: path.into(),
        found,
        expected,
    };
    let (kind, split) = Kind::of_file(path).ok_or_else(|| {
        let expected = "a name of CIFAR's files: data_batch_1.bin, test_batch.bin, train.bin or test.bin";
        wrong("a binary file of unknown kind".into(), expected.into())
    })?;
    let length = fs::metadata(path).map_err(TransferError::io(path, "read"))?.len();
    let record = kind.labels + 3 * CIFAR_SIDE * CIFAR_SIDE;
    if length > MAX_BYTES || length == 0 || length % record as u64 != 0 {
        return Err(wrong(
            format!("{length} bytes"),
            format!(
                "records of {record} bytes, as in {}'s files, and at most {MAX_BYTES} bytes",
                kind.name
            ),
        ));
    }
    let classes = kind.class_names(path.parent().unwrap_or(Path::new("")))?;
    let content: Arc<[u8]> = fs::read(path).map_err(TransferError::io(path, "read"))?.into();
    let file: Arc<Path> = path.into();
    let row = |(index, bytes): (usize, &[u8])| {
        let (line, label) = (index as u64 + 1, bytes[kind.labels - 1]);
        let class = classes
            .get(usize::from(label))
            .ok_or_else(|| TransferError::Field {
                place: format!("{}, row {line}", path.display()),
                field: "the label".into(),
                found: label.to_string(),
                expected: format!("0 to {}", kind.classes - 1),
            })?;
        Ok(Row {
            image: ImageSource::cifar(&file, line, &content, index * record + kind.labels),
            labels: vec![class.clone()],
            line,
        })
    };
    let rows = content
        .chunks_exact(record)
        .enumerate()
        .map(row)
        .collect::<Result<_, TransferError>>()?;
    Ok(Part {
        split,
        place: path.into(),
        classes: Some(classes),
        several: false,
        rows,
    })
}
