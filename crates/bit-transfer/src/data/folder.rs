//! A folder with a subfolder a class, divided into `train` and others or not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::part::{Part, Row, Split};
use crate::TransferError;
use crate::data::ImageSource;

/// Endings of pictures' names; other files are not looked at.
const PICTURES: [&str; 8] = ["bmp", "gif", "jpeg", "jpg", "png", "tif", "tiff", "webp"];

/// Links can make a small tree look endless.
const MAX_ENTRIES: usize = 20_000_000;
const MAX_DEPTH: usize = 64;

/// What a folder of labelled pictures looks like.
const EXPECTED: &str = "a subfolder for each class (possibly in train/, validation/ and test/), parquet files, a \
                        metadata.csv or metadata.jsonl, or CIFAR's binary files";

/// Reads the folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Part>, TransferError> {
    let splits = splits(folder)?;
    let mut parts = Vec::new();
    for (split, folder) in splits {
        parts.push(class_folders(split, &folder)?);
    }
    // A class may be missing from a part, so that no part knows all of them.
    let classes: BTreeSet<String> = parts
        .iter()
        .filter_map(|part| part.classes.clone())
        .flatten()
        .collect();
    for part in &mut parts {
        part.classes = Some(classes.iter().cloned().collect());
    }
    Ok(parts)
}

/// The folders of the splits below this one, itself if it is not divided.
pub(super) fn splits(folder: &Path) -> Result<Vec<(Split, PathBuf)>, TransferError> {
    let folders = subfolders(folder)?;
    let of_name = |(name, path): &(String, PathBuf)| Some((Split::of_word(name)?, path.clone()));
    let splits: Vec<_> = folders.iter().filter_map(of_name).collect();
    if splits.len() == folders.len() && !splits.is_empty() {
        return twice(&splits).map_or(Ok(splits), Err);
    }
    let train = splits.iter().find(|(split, _)| *split == Split::Train);
    if let (Some((_, train)), Some((other, _))) = (
        train,
        folders.iter().find(|(name, _)| Split::of_word(name).is_none()),
    ) && !subfolders(train)?.is_empty()
    {
        return Err(TransferError::Layout {
            path: folder.into(),
            found: format!(
                "the folder {other:?} beside {:?}, which has subfolders",
                train.file_name().unwrap_or_default()
            ),
            expected: "either only train, validation and test, or a subfolder with images for each class"
                .into(),
        });
    }
    Ok(vec![(Split::Train, folder.into())])
}

fn twice(splits: &[(Split, PathBuf)]) -> Option<TransferError> {
    let (second, first) = (0..).zip(splits).find_map(|(index, second)| {
        let first = splits[..index].iter().find(|first| first.0 == second.0)?;
        Some((second, first))
    })?;
    Some(TransferError::Duplicate {
        place: second.1.display().to_string(),
        what: format!("a folder of {} data", second.0.name()),
        first: first.1.display().to_string(),
    })
}

/// Names and paths of the folders in this one, hidden ones left out, in the order of their names.
pub(super) fn subfolders(folder: &Path) -> Result<Vec<(String, PathBuf)>, TransferError> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(TransferError::io(folder, "list the folder"))? {
        let entry = entry.map_err(TransferError::io(folder, "list the folder"))?;
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        // A link to a picture that is gone is no folder; a link to anything else that is gone may have been one.
        if hidden || (has_ending(&path, &PICTURES) && fs::metadata(&path).is_err()) {
            continue;
        }
        if !fs::metadata(&path)
            .map_err(TransferError::io(&path, "follow"))?
            .is_dir()
        {
            continue;
        }
        match entry.file_name().into_string() {
            Ok(name) => folders.push((name, path)),
            Err(_) => {
                return Err(TransferError::Layout {
                    path,
                    found: "a name that is not Unicode".into(),
                    expected: "a name that can be the name of a class".into(),
                });
            }
        }
    }
    folders.sort();
    Ok(folders)
}

fn class_folders(split: Split, folder: &Path) -> Result<Part, TransferError> {
    let mut rows = Vec::new();
    let classes = subfolders(folder)?;
    if classes.is_empty() {
        let loose = pictures(folder, 1)?.len();
        return Err(TransferError::Layout {
            path: folder.into(),
            found: match loose {
                0 => "no subfolders".into(),
                _ => format!("{loose} images without a class"),
            },
            expected: EXPECTED.into(),
        });
    }
    for (class, path) in &classes {
        for picture in pictures(path, MAX_DEPTH)? {
            rows.push(Row {
                image: ImageSource::Path(picture),
                labels: vec![class.clone()],
                line: rows.len() as u64 + 1,
            });
        }
    }
    Ok(Part {
        split,
        place: folder.into(),
        classes: Some(classes.into_iter().map(|(class, _)| class).collect()),
        several: false,
        rows,
    })
}

/// The pictures below a folder, links followed, in the order of their names.
fn pictures(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, TransferError> {
    files(folder, depth, &PICTURES)
}

/// The files below a folder whose names have one of these endings, hidden ones left out.
pub(super) fn files(folder: &Path, depth: usize, endings: &[&str]) -> Result<Vec<PathBuf>, TransferError> {
    let walk = WalkDir::new(folder)
        .max_depth(depth)
        .follow_links(true)
        .sort_by_file_name();
    let hidden =
        |entry: &DirEntry| entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut found = Vec::new();
    for (count, entry) in walk.into_iter().filter_entry(|entry| !hidden(entry)).enumerate() {
        let entry = match entry {
            // A picture that cannot be reached is like one that cannot be read: told where pictures are read.
            Err(error)
                if error.loop_ancestor().is_none()
                    && error.path().is_some_and(|p| has_ending(p, endings)) =>
            {
                found.extend(error.path().map(Path::to_owned));
                continue;
            }
            entry => entry.map_err(|error| broken(folder, error))?,
        };
        if count >= MAX_ENTRIES {
            return Err(TransferError::Layout {
                path: folder.into(),
                found: format!("more than {MAX_ENTRIES} files and folders"),
                expected: "fewer (do links lead to the same folders again and again?)".into(),
            });
        }
        if entry.file_type().is_file() && has_ending(entry.path(), endings) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

pub(super) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().unwrap_or_default();
    endings.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

fn broken(folder: &Path, error: walkdir::Error) -> TransferError {
    let path = error.path().unwrap_or(folder).to_owned();
    match error.loop_ancestor() {
        Some(ancestor) => TransferError::Layout {
            found: format!("a link back to {}", ancestor.display()),
            path,
            expected: "links that do not lead in circles".into(),
        },
        None => TransferError::Io {
            path,
            action: "read",
            source: error.into(),
        },
    }
}
