//! What the readers hand over, and how it becomes data sets with common classes.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use crate::TransferError;
use crate::data::{DataSet, Example, ImageSource, LabelTask, OpenOptions, Splits};

/// What a part of the data is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    Train,
    Validation,
    Test,
}

/// The words that stand for a split in names of files and folders: those of Hugging Face datasets.
const WORDS: [(&str, Split); 10] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Validation),
    ("valid", Split::Validation),
    ("validation", Split::Validation),
    ("dev", Split::Validation),
    ("test", Split::Test),
    ("testing", Split::Test),
    ("eval", Split::Test),
    ("evaluation", Split::Test),
];

impl Split {
    /// The split that a word stands for.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        let known = |(known, _): &&(&str, Self)| known.eq_ignore_ascii_case(word);
        WORDS.iter().find(known).map(|(_, split)| *split)
    }

    pub(super) fn name(self) -> &'static str {
        ["training", "validation", "test"][self as usize]
    }

    /// The split that a name like `mnist-train-00000-of-00001` speaks of.
    pub(super) fn in_name(name: &str) -> Option<Self> {
        name.split(|letter: char| !letter.is_alphabetic())
            .find_map(Self::of_word)
    }
}

/// A picture and the names of its labels, as a reader found them.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) image: ImageSource,
    pub(super) labels: Vec<String>,
    /// The row or line of the table, from 1.
    pub(super) line: u64,
}

/// Rows of one file or folder, all of one split.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) split: Split,
    pub(super) place: PathBuf,
    /// The classes in their order, where the data says them.
    pub(super) classes: Option<Vec<String>>,
    /// Whether the kind of the data says that a picture may have several labels.
    pub(super) several: bool,
    pub(super) rows: Vec<Row>,
}

impl Part {
    fn row(&self, line: u64) -> String {
        format!("{}, row {line}", self.place.display())
    }
}

/// Makes data sets of everything that was read.
pub(super) fn assemble(mut parts: Vec<Part>, options: &OpenOptions) -> Result<Splits, TransferError> {
    parts.retain(|part| !part.rows.is_empty() || part.classes.is_some());
    undivided(&mut parts);
    check_twice(&parts)?;
    let several = |part: &Part| part.several || part.rows.iter().any(|row| row.labels.len() > 1);
    let task = options.task.unwrap_or(match parts.iter().any(several) {
        true => LabelTask::MultiLabel,
        false => LabelTask::SingleLabel,
    });
    if task == LabelTask::SingleLabel {
        parts.iter().try_for_each(check_single)?;
    }
    let classes = classes(&parts)?;
    let index: HashMap<&str, usize> = (0..)
        .zip(&classes)
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let mut sets = [const { None::<Vec<Example>> }; 3];
    for part in parts {
        let examples = sets[part.split as usize].get_or_insert_default();
        examples.reserve(part.rows.len());
        for row in &part.rows {
            let labels = row
                .labels
                .iter()
                .map(|label| index.get(label.as_str()).copied().ok_or(label));
            let labels: BTreeSet<usize> = labels
                .collect::<Result<_, _>>()
                .map_err(|label| unknown_class(&part, row, label))?;
            examples.push(Example {
                image: row.image.clone(),
                labels: labels.into_iter().collect(),
            });
        }
    }
    let [train, validation, test] = sets.map(|examples| {
        examples.map(|examples| DataSet {
            classes: classes.clone(),
            examples,
            task,
        })
    });
    Ok(Splits {
        train: train.unwrap_or(DataSet {
            classes,
            examples: Vec::new(),
            task,
        }),
        validation,
        test,
    })
}

fn unknown_class(part: &Part, row: &Row, label: &str) -> TransferError {
    TransferError::Classes {
        place: part.row(row.line),
        message: format!("{label:?} is not one of the classes that other files name"),
    }
}

/// A single split, whatever its name, is data that is not divided.
fn undivided(parts: &mut [Part]) {
    let Some(first) = parts.first().map(|part| part.split) else {
        return;
    };
    if parts.iter().all(|part| part.split == first) {
        parts.iter_mut().for_each(|part| part.split = Split::Train);
    }
}

/// A picture that is listed twice has contradicting labels, or is in training and test data.
fn check_twice(parts: &[Part]) -> Result<(), TransferError> {
    let mut seen = HashMap::new();
    for part in parts {
        for row in &part.rows {
            let ImageSource::Path(path) = &row.image else {
                continue;
            };
            if let Some((first, line)) = seen.insert(path, (part, row.line)) {
                return Err(TransferError::Duplicate {
                    place: part.row(row.line),
                    what: path.display().to_string(),
                    first: first.row(line),
                });
            }
        }
    }
    Ok(())
}

fn check_single(part: &Part) -> Result<(), TransferError> {
    let Some(row) = part.rows.iter().find(|row| row.labels.len() != 1) else {
        return Ok(());
    };
    Err(TransferError::Field {
        place: part.row(row.line),
        field: "the label".into(),
        found: match row.labels.len() {
            0 => "missing".into(),
            _ => format!("several ({})", row.labels.join(", ")),
        },
        expected: "one label a picture (several need multi-label data)".into(),
    })
}

/// The classes that all parts say, or else those that the labels name, in order.
fn classes(parts: &[Part]) -> Result<Vec<String>, TransferError> {
    let mut said = parts
        .iter()
        .filter_map(|part| Some((part, part.classes.as_ref()?)));
    let Some((first, classes)) = said.next() else {
        return Ok(named_classes(parts));
    };
    if let Some((other, found)) = said.find(|(_, found)| *found != classes) {
        let other_class = found.iter().find(|class| !classes.contains(class));
        return Err(TransferError::Classes {
            place: other.place.display().to_string(),
            message: match other_class {
                Some(class) => format!("class {class:?} is not a class of {}", first.place.display()),
                None => format!(
                    "has {} classes, {} has {}; expected the same classes in the same order",
                    found.len(),
                    first.place.display(),
                    classes.len()
                ),
            },
        });
    }
    Ok(classes.clone())
}

/// Whole numbers in their order, other names by their characters.
fn named_classes(parts: &[Part]) -> Vec<String> {
    let labels = parts
        .iter()
        .flat_map(|part| &part.rows)
        .flat_map(|row| &row.labels);
    let names: BTreeSet<&String> = labels.collect();
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
    }
    names
}

/// The error for a list of classes that names one twice.
pub(super) fn check_names(classes: &[String], place: &str) -> Result<(), TransferError> {
    let mut seen = HashMap::new();
    for (index, class) in classes.iter().enumerate() {
        if let Some(first) = seen.insert(class, index) {
            return Err(TransferError::Duplicate {
                place: place.into(),
                what: format!("the class {class:?} (number {index})"),
                first: format!("number {first}"),
            });
        }
    }
    Ok(())
}
