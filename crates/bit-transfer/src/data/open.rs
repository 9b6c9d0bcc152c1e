//! Which kind of data lies at a path, and its division into training, validation and test data.

use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::part::{Part, Split, assemble};
use super::source::Store;
use super::{cifar, folder, parquet, table};
use crate::TransferError;
use crate::data::{DataSet, LabelTask};

/// Folders in which parquet files may lie beside those of the parts: `data/train-0.parquet`,
/// `default/train/0000.parquet`.
const PARQUET_FOLDERS: [&str; 2] = ["data", "default"];

/// How to read data that leaves a choice.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The column with the path of a picture in a CSV or JSONL file, or the picture in a parquet file; found by its
    /// name or type when absent.
    pub image_column: Option<String>,
    /// The column with the label or labels; found by its name or type when absent.
    pub label_column: Option<String>,
    /// What separates several labels in one field of a CSV file.
    pub label_separator: char,
    /// Whether a picture has one label or several; several when any picture does, when absent.
    pub task: Option<LabelTask>,
    /// Most bytes of pictures from parquet files that are kept in memory; the others go to a temporary file.
    pub memory: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            image_column: None,
            label_column: None,
            label_separator: '|',
            task: None,
            memory: 1 << 30,
        }
    }
}

/// Data as it is divided on disk. All parts have the same classes, in the same order, and the same task.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For training; everything when the data is not divided.
    pub train: DataSet,
    /// For choosing the best checkpoint.
    pub validation: Option<DataSet>,
    /// For the final scores.
    pub test: Option<DataSet>,
}

/// Opens labelled pictures: a folder with a subfolder a class, parquet files in Hugging Face's layout, a CSV or
/// JSONL file of paths and labels, or CIFAR's binary files.
///
/// In a folder these are looked for from the most to the least specific: CIFAR's files by their names; parquet files;
/// tables that are called `metadata`, `labels` or like a part of the data (`train.csv`), in the folder or in the
/// folders of the parts; subfolders. Training data may lack classes, or have just one: see
/// [`DataSet::check_trainable`].
///
/// # Errors
/// [`TransferError`] that names the file, what was found there and what would be right.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Splits, TransferError> {
    let metadata = std::fs::metadata(path).map_err(TransferError::io(path, "open the data"))?;
    let parts = match () {
        () if metadata.is_dir() => read_folder(path, options)?,
        () if metadata.is_file() => read_file(path, options)?,
        // Reading from a pipe or device may never end.
        () => return Err(unknown_kind(path, "neither a file nor a folder")),
    };
    let splits = assemble(parts, options)?;
    let parts = [
        ("training", Some(&splits.train)),
        ("validation", splits.validation.as_ref()),
        ("test", splits.test.as_ref()),
    ];
    for (name, set) in parts {
        if set.is_some_and(DataSet::is_empty) {
            return Err(TransferError::NoImages {
                place: format!("{}, {name} data", path.display()),
                expected: "some labelled images".into(),
            });
        }
    }
    Ok(splits)
}

fn read_file(path: &Path, options: &OpenOptions) -> Result<Vec<Part>, TransferError> {
    if is_parquet(path)? {
        let mut store = Store::new(options.memory);
        return Ok(vec![parquet::read(path, Split::Train, options, &mut store)?]);
    }
    match () {
        () if folder::has_ending(path, &table::ENDINGS) => table::read(path, Split::Train, options),
        () if folder::has_ending(path, &["bin"]) => Ok(vec![cifar::read(path)?]),
        () => Err(unknown_kind(path, "a file of unknown kind")),
    }
}

fn unknown_kind(path: &Path, found: &str) -> TransferError {
    TransferError::Layout {
        path: path.into(),
        found: found.into(),
        expected: "a folder, or a .parquet, .csv, .tsv, .jsonl or CIFAR .bin file".into(),
    }
}

/// By the first bytes, or else by the name.
fn is_parquet(path: &Path) -> Result<bool, TransferError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(TransferError::io(path, "open"))?;
    file.take(4)
        .read_to_end(&mut start)
        .map_err(TransferError::io(path, "read"))?;
    Ok(start == b"PAR1" || folder::has_ending(path, &["parquet"]))
}

fn read_folder(path: &Path, options: &OpenOptions) -> Result<Vec<Part>, TransferError> {
    let cifar = cifar::find(path)?;
    if !cifar.is_empty() {
        return cifar.iter().map(|file| cifar::read(file)).collect();
    }
    let parquet = parquet_files(path)?;
    if !parquet.is_empty() {
        let mut store = Store::new(options.memory);
        let read = |file: &PathBuf| parquet::read(file, split_of(path, file), options, &mut store);
        return parquet.iter().map(read).collect();
    }
    let tables = tables(path)?;
    if !tables.is_empty() {
        let read = |(split, file): &(Split, PathBuf)| table::read(file, *split, options);
        let parts: Result<Vec<_>, _> = tables.iter().map(read).collect();
        return Ok(parts?.into_iter().flatten().collect());
    }
    folder::read(path)
}

/// Parquet files in the usual places, or else in those of the one folder that has some: clones from the Hub have a folder
/// for each configuration (`mnist/train-00000-of-00001.parquet`).
fn parquet_files(path: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let files = usual_parquet_files(path)?;
    if !files.is_empty() {
        return Ok(files);
    }
    let mut folders = folder::subfolders(path)?;
    folders.retain(|(_, folder)| has_parquet_files(folder));
    match &folders[..] {
        [] => Ok(files),
        [(_, only)] => usual_parquet_files(only),
        several => Err(TransferError::Layout {
            path: path.into(),
            found: format!(
                "parquet files in {} folders ({})",
                several.len(),
                several
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            expected: "the path of one of them".into(),
        }),
    }
}

fn usual_parquet_files(path: &Path) -> Result<Vec<PathBuf>, TransferError> {
    let mut files = folder::files(path, 1, &["parquet"])?;
    if files.is_empty() {
        for (name, path) in folder::subfolders(path)? {
            if is_usual_parquet_folder(&name) {
                files.extend(folder::files(&path, 2, &["parquet"])?);
            }
        }
    }
    Ok(files)
}

fn is_usual_parquet_folder(name: &str) -> bool {
    Split::of_word(name).is_some() || PARQUET_FOLDERS.contains(&name)
}

/// By names alone: what cannot be listed or followed belongs to another layout, whose reader tells of it.
fn has_parquet_files(folder: &Path) -> bool {
    let names = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    names(folder).any(|entry| {
        let (name, path) = (entry.file_name(), entry.path());
        let is_file = |path: &Path| folder::has_ending(path, &["parquet"]);
        is_file(&path)
            || name.to_str().is_some_and(is_usual_parquet_folder)
                && names(&path).any(|entry| is_file(&entry.path()))
    })
}

/// What the names of a file and of the folders down to it say, the file first.
fn split_of(folder: &Path, file: &Path) -> Split {
    let below = file.strip_prefix(folder).unwrap_or(file);
    let mut names = below.components().rev().filter_map(|component| match component {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    names.find_map(Split::in_name).unwrap_or(Split::Train)
}

/// Tables whose names say what they are for, in the folder or else in those of its parts.
fn tables(path: &Path) -> Result<Vec<(Split, PathBuf)>, TransferError> {
    let named = |file: &PathBuf| {
        let stem = file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default();
        ["metadata", "labels"].contains(&stem) || Split::in_name(stem).is_some()
    };
    let mut files = folder::files(path, 1, &table::ENDINGS)?;
    if !files.iter().any(named) {
        for (_, part) in folder::splits(path)? {
            files.extend(folder::files(&part, 1, &table::ENDINGS)?);
        }
    }
    files.retain(named);
    Ok(files
        .into_iter()
        .map(|file| (split_of(path, &file), file))
        .collect())
}
