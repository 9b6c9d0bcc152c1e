//! Which columns hold the pictures and the labels.

use std::path::Path;

use crate::TransferError;
use crate::data::OpenOptions;

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
pub(super) const SPLIT_COLUMN: &str = "split";

/// Places of the columns.
pub(super) struct Columns {
    pub(super) image: usize,
    pub(super) label: usize,
    pub(super) split: Option<usize>,
}

impl Columns {
    /// Finds the columns of a table with these names.
    pub(super) fn find(names: &[&str], path: &Path, options: &OpenOptions) -> Result<Self, TransferError> {
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
            split: find(names, &[SPLIT_COLUMN]),
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

/// Enough of a value to recognize it.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
