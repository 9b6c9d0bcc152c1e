//! The class names of ImageNet-1k and ImageNet-21k, which no timm or Google checkpoint carries.
//!
//! The lists come from the timm package; see `data/NOTICE` and `data/make_labels.py`.

use std::sync::OnceLock;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// A class of ImageNet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// WordNet id, which is also the folder's name in the data set: `n01440764`.
    pub synset: String,
    /// WordNet's lemmas, the label in transformers' ImageNet models: `tench, Tinca tinca`. A few classes
    /// share a name (`crane` is the bird and the machine).
    pub name: String,
}

struct Lists {
    imagenet_1k: Vec<Class>,
    imagenet_21k: Vec<Class>,
}

/// The 1000 classes of ImageNet-1k (ILSVRC-2012), in the order of a classifier's outputs.
pub fn imagenet_1k() -> &'static [Class] {
    &lists().imagenet_1k
}

/// The 21,843 classes of ImageNet-21k, in the order of BiT-M's outputs.
pub fn imagenet_21k() -> &'static [Class] {
    &lists().imagenet_21k
}

/// The classes of a published model with this many outputs: 1000 or 21,843.
pub fn for_count(classes: usize) -> Option<&'static [Class]> {
    [imagenet_1k(), imagenet_21k()]
        .into_iter()
        .find(|list| list.len() == classes)
}

/// Decompresses and parses the lists, at the first call only.
fn lists() -> &'static Lists {
    static LISTS: OnceLock<Lists> = OnceLock::new();
    LISTS.get_or_init(|| decode().expect("invariant: the embedded label list is complete"))
}

/// `None` if the embedded data were damaged, which a test rules out.
fn decode() -> Option<Lists> {
    const LIMIT: usize = 1 << 20;
    let bytes = include_bytes!("../data/imagenet_labels.zlib");
    let text = String::from_utf8(decompress_to_vec_zlib_with_limit(bytes, LIMIT).ok()?).ok()?;
    let mut lists = Lists {
        imagenet_1k: Vec::new(),
        imagenet_21k: Vec::new(),
    };
    let mut offset = 0u32;
    for line in text.lines() {
        let (key, name) = line.split_once('\t')?;
        let (members, difference) = key.split_at_checked(1)?;
        offset += difference.parse::<u32>().ok()?;
        let class = Class {
            synset: format!("n{offset:08}"),
            name: name.to_owned(),
        };
        if matches!(members, "1" | "3") {
            lists.imagenet_1k.push(class.clone());
        }
        if matches!(members, "2" | "3") {
            lists.imagenet_21k.push(class);
        }
    }
    Some(lists)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(class: &Class) -> (&str, &str) {
        (&class.synset, &class.name)
    }

    #[test]
    fn imagenet_1k_has_the_names_of_transformers() {
        let list = imagenet_1k();
        assert_eq!(list.len(), 1000);
        assert_eq!(pair(&list[0]), ("n01440764", "tench, Tinca tinca"));
        assert_eq!(pair(&list[281]), ("n02123045", "tabby, tabby cat"));
        assert_eq!(
            pair(&list[999]),
            ("n15075141", "toilet tissue, toilet paper, bathroom tissue")
        );
        assert_eq!(
            (list[134].name.as_str(), list[517].name.as_str()),
            ("crane", "crane")
        );
    }

    #[test]
    fn imagenet_21k_has_21843_classes_in_googles_order() {
        let list = imagenet_21k();
        assert_eq!(list.len(), 21_843);
        assert_eq!(pair(&list[0]), ("n00004475", "organism, being"));
        assert_eq!(list[21_842].synset, "n15102894");
        assert!(list.is_sorted_by(|a, b| a.synset < b.synset));
    }

    #[test]
    fn list_is_found_by_the_number_of_outputs() {
        assert_eq!(for_count(1000).map(<[_]>::len), Some(1000));
        assert_eq!(for_count(21_843).map(<[_]>::len), Some(21_843));
        assert!(for_count(10).is_none());
    }
}
