//! What tells data sets apart without reading their pictures.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::DataSet;

/// What tells data sets apart: where their pictures are, how many bytes they have, what they show, and their order.
///
/// Pictures are not read, so that a changed one of the same size is not noticed. Paths count from the folder that all
/// pictures are in: data that was moved is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// How many pictures there are.
    pub images: usize,
    /// SHA-256 over the pictures, in hexadecimal digits.
    pub digest: String,
}

impl Fingerprint {
    /// That of a data set.
    pub fn of(data: &DataSet) -> Self {
        let folder = common_folder(data);
        let mut digest = Sha256::new();
        for example in &data.examples {
            let path = example.image.path();
            let path = path.strip_prefix(&folder).unwrap_or(path);
            let place = format!("{}\0{:?}\0", path.display(), example.image.extent());
            digest.update(place);
            digest.update(format!("{:?}\n", example.labels));
        }
        let digits = digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self {
            images: data.len(),
            digest: digits,
        }
    }
}

/// The deepest folder that all pictures, or the files that they are in, lie in.
fn common_folder(data: &DataSet) -> PathBuf {
    let mut paths = data.examples.iter().map(|example| example.image.path());
    let first = paths.next().and_then(Path::parent);
    let mut folder = first.unwrap_or(Path::new("")).to_path_buf();
    for path in paths {
        while !path.starts_with(&folder) && folder.pop() {}
    }
    folder
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::{Example, ImageSource, LabelTask};

    /// A data set of pictures with these names, contents and labels, in files below a folder.
    fn data(folder: &Path, pictures: &[(&str, &str, usize)]) -> DataSet {
        let example = |(name, content, label): &(&str, &str, usize)| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, content).unwrap();
            Example {
                image: ImageSource::Path(path),
                labels: vec![*label],
            }
        };
        DataSet {
            classes: vec!["cat".into(), "dog".into()],
            examples: pictures.iter().map(example).collect(),
            task: LabelTask::SingleLabel,
        }
    }

    #[test]
    fn names_sizes_labels_and_order_tell_data_apart_and_its_place_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let of = |place: &str, pictures: &[_]| Fingerprint::of(&data(&folder.path().join(place), pictures));
        let pictures = [("cat/1.png", "ab", 0), ("dog/1.png", "c", 1)];
        let first = of("here", &pictures);
        assert_eq!(first.images, 2);
        assert_eq!(of("there/and/there", &pictures), first);
        let others: [&[(&str, &str, usize)]; 5] = [
            &pictures[..1],
            &[pictures[1], pictures[0]],
            &[("cat/2.png", "ab", 0), pictures[1]],
            &[("cat/1.png", "abc", 0), pictures[1]],
            &[("cat/1.png", "ab", 1), pictures[1]],
        ];
        for other in others {
            assert_ne!(of("other", other), first, "{other:?}");
        }
    }
}
