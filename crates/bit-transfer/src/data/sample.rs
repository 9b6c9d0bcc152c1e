//! Few-shot samples and stratified splits.

use std::collections::{BTreeMap, HashMap};

use bit_config::labels::{Class, imagenet_1k, imagenet_21k};

use crate::TransferError;
use crate::data::{DataSet, Example, LabelTask, Random};

impl DataSet {
    /// A sample with this many pictures of each class, in their order.
    ///
    /// # Errors
    /// [`TransferError::Classes`] when a class has fewer, [`TransferError::Argument`] for several labels a picture.
    pub fn few_shot(&self, examples_per_class: usize, seed: u64) -> Result<Self, TransferError> {
        if self.task == LabelTask::MultiLabel {
            let message = "a few-shot sample needs one label a picture; this data has several";
            return Err(TransferError::Argument(message.into()));
        }
        if examples_per_class == 0 {
            let message = "a few-shot sample of 0 examples a class is empty; expected at least 1";
            return Err(TransferError::Argument(message.into()));
        }
        self.check_trainable()?;
        let mut chosen = Vec::new();
        for (class, mut members) in self.strata(true) {
            if members.len() < examples_per_class {
                return Err(super::set::classes(format!(
                    "class {:?} has {} images; expected at least {examples_per_class}",
                    self.classes[class],
                    members.len()
                )));
            }
            Random::new(seed, "few-shot", class as u64).shuffle(&mut members);
            chosen.extend_from_slice(&members[..examples_per_class]);
        }
        chosen.sort_unstable();
        Ok(self.choose(&chosen))
    }

    /// Divides into the larger and the smaller part: `fraction` of the pictures of each class go into the second,
    /// as nearly as whole pictures allow, and at least one picture of each class stays in the first. Where pictures
    /// have several labels they are divided at random, but for those with the last picture of a label.
    ///
    /// # Errors
    /// [`TransferError::Argument`] for a fraction outside (0, 1) or so small that nothing is divided off.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Self, Self), TransferError> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(TransferError::Argument(format!(
                "the fraction to divide off is {fraction}; expected more than 0 and less than 1"
            )));
        }
        let strata = self.strata(self.task == LabelTask::SingleLabel);
        let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
        let takes = apportion(&sizes, fraction);
        let mut second = vec![false; self.len()];
        let mut left = self.class_counts();
        for ((class, mut members), take) in strata.into_iter().zip(takes) {
            Random::new(seed, "split", class as u64).shuffle(&mut members);
            let labels = |member: usize| &self.examples[member].labels;
            let mut taken = 0;
            for member in members {
                if taken < take && labels(member).iter().all(|label| left[*label] > 1) {
                    labels(member).iter().for_each(|label| left[*label] -= 1);
                    second[member] = true;
                    taken += 1;
                }
            }
        }
        let part = |wanted: bool| {
            let members = (0..self.len()).filter(|index| second[*index] == wanted);
            self.choose(&members.collect::<Vec<_>>())
        };
        if !second.contains(&true) {
            return Err(TransferError::Argument(format!(
                "{fraction} of {} images in {} classes is none that can be spared; expected a larger fraction, more \
                 images, or 0 for no division",
                self.len(),
                self.classes.len()
            )));
        }
        Ok((part(false), part(true)))
    }

    /// The same pictures under another list of classes, matched by name: to measure a model on data whose classes are
    /// ordered differently or are fewer. Classes of ImageNet also go by their synsets (`n01440764`), which are the names
    /// of its folders.
    ///
    /// # Errors
    /// [`TransferError::Classes`] when a class of a picture is not in the list, or is there twice.
    pub fn with_classes(&self, classes: &[String]) -> Result<Self, TransferError> {
        // Names may repeat then, as those of ImageNet do.
        if self.classes == classes {
            return Ok(self.clone());
        }
        let places = places(classes);
        let place = |example: &Example, label: &usize| {
            let name = self.classes.get(*label).map_or("", String::as_str);
            let wrong = |message| TransferError::Classes {
                place: example.image.to_string(),
                message,
            };
            let count = classes.len();
            match places.get(name) {
                Some(Ok(place)) => Ok(*place),
                Some(Err([first, second])) => Err(wrong(format!(
                    "class {name:?} is there twice among the {count} classes to compare with, as number {first} and \
                     number {second}; expected names of which each is there once{}",
                    synsets(classes).map_or("", |_| ", such as ImageNet's synsets (n01440764)")
                ))),
                None => Err(wrong(format!(
                    "class {name:?} is not one of the {count} classes to compare with"
                ))),
            }
        };
        let moved = |example: &Example| {
            let labels = example.labels.iter().map(|label| place(example, label));
            let mut labels = labels.collect::<Result<Vec<_>, _>>()?;
            labels.sort_unstable();
            let image = example.image.clone();
            Ok(Example { image, labels })
        };
        Ok(Self {
            classes: classes.to_vec(),
            examples: self
                .examples
                .iter()
                .map(moved)
                .collect::<Result<_, TransferError>>()?,
            task: self.task,
        })
    }

    /// Indices of the pictures by class, or all in one stratum.
    fn strata(&self, by_class: bool) -> BTreeMap<usize, Vec<usize>> {
        let mut strata = BTreeMap::<usize, Vec<usize>>::new();
        for (index, example) in self.examples.iter().enumerate() {
            let class = example.labels.first().filter(|_| by_class).copied();
            strata.entry(class.unwrap_or(0)).or_default().push(index);
        }
        strata
    }

    fn choose(&self, members: &[usize]) -> Self {
        Self {
            classes: self.classes.clone(),
            examples: members
                .iter()
                .map(|member| self.examples[*member].clone())
                .collect(),
            task: self.task,
        }
    }
}

/// Where each name is in a list of classes; the first two places of a name that is there more than once.
fn places(classes: &[String]) -> HashMap<&str, Result<usize, [usize; 2]>> {
    let mut places = HashMap::new();
    for (place, name) in classes.iter().enumerate() {
        let twice =
            |found: &mut Result<usize, [usize; 2]>| *found = found.and_then(|first| Err([first, place]));
        places.entry(name.as_str()).and_modify(twice).or_insert(Ok(place));
    }
    for (place, class) in synsets(classes).into_iter().flatten().enumerate() {
        places.insert(&class.synset, Ok(place));
    }
    places
}

/// ImageNet's classes, if these are their names.
fn synsets(classes: &[String]) -> Option<&'static [Class]> {
    let names = |list: &&[Class]| list.iter().map(|class| &class.name).eq(classes);
    [imagenet_1k(), imagenet_21k()].into_iter().find(names)
}

/// How many to take of each stratum, by largest remainders; never the last one.
fn apportion(sizes: &[usize], fraction: f64) -> Vec<usize> {
    let share = |size: usize| size as f64 * fraction;
    let mut takes: Vec<usize> = sizes.iter().map(|size| share(*size) as usize).collect();
    let total = share(sizes.iter().sum()).round() as usize;
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    let remainder = |stratum: &usize| share(sizes[*stratum]).fract();
    order.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)));
    let mut missing = total.saturating_sub(takes.iter().sum());
    for stratum in order {
        let more = usize::from(missing > 0 && takes[stratum] + 1 < sizes[stratum]);
        takes[stratum] += more;
        missing -= more;
    }
    takes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::ImageSource;

    /// Picture `i` has the label `labels[i]`.
    fn set(classes: usize, labels: &[usize]) -> DataSet {
        let example = |(index, label): (usize, &usize)| Example {
            image: ImageSource::Path(index.to_string().into()),
            labels: vec![*label],
        };
        DataSet {
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
            examples: labels.iter().enumerate().map(example).collect(),
            task: LabelTask::SingleLabel,
        }
    }

    fn names(set: &DataSet) -> Vec<String> {
        set.examples
            .iter()
            .map(|example| example.image.to_string())
            .collect()
    }

    #[test]
    fn a_few_shot_sample_has_the_same_number_of_each_class_and_depends_on_the_seed_alone() {
        let labels: Vec<usize> = (0..60).map(|index| index % 7 % 3).collect();
        let data = set(3, &labels);
        let sample = data.few_shot(5, 1).unwrap();
        assert_eq!(sample.class_counts(), [5, 5, 5]);
        assert_eq!(names(&sample), names(&data.few_shot(5, 1).unwrap()));
        assert_ne!(names(&sample), names(&data.few_shot(5, 2).unwrap()));
        let error = data.few_shot(30, 1).unwrap_err().to_string();
        assert!(error.contains("expected at least 30"), "{error}");
    }

    #[test]
    fn a_split_is_stratified_and_loses_nothing() {
        let labels: Vec<usize> = [(0, 50), (1, 30), (2, 20), (3, 1)]
            .into_iter()
            .flat_map(|(class, count)| vec![class; count])
            .collect();
        let data = set(4, &labels);
        let (large, small) = data.split(0.1, 3).unwrap();
        assert_eq!(small.class_counts(), [5, 3, 2, 0]);
        assert_eq!(large.class_counts(), [45, 27, 18, 1]);
        let mut all = [names(&large), names(&small)].concat();
        let mut expected = names(&data);
        all.sort();
        expected.sort();
        assert_eq!(all, expected);
        assert_ne!(names(&small), names(&data.split(0.1, 4).unwrap().1));
    }

    #[test]
    fn a_split_takes_the_rounded_share_of_small_classes_too() {
        let labels: Vec<usize> = (0..10).flat_map(|class| [class; 4]).collect();
        let (large, small) = set(10, &labels).split(0.1, 0).unwrap();
        assert_eq!((large.len(), small.len()), (36, 4));
        let error = set(2, &[0, 1]).split(0.1, 0).unwrap_err().to_string();
        assert!(error.contains("is none"), "{error}");
        assert!(set(2, &[0, 1]).split(f64::NAN, 0).is_err());
    }

    #[test]
    fn a_split_of_pictures_with_several_labels_leaves_every_label_in_the_first_part() {
        // Label 0 is everywhere, every other one on a single picture or two.
        let mut data = set(60, &[0; 80]);
        data.task = LabelTask::MultiLabel;
        for (index, example) in data.examples.iter_mut().enumerate().take(59) {
            example.labels.push(index + 1);
        }
        data.examples[70].labels.push(1);
        for seed in 0..20 {
            let (large, small) = data.split(0.25, seed).unwrap();
            assert_eq!(small.len(), 20);
            assert!(large.class_counts().iter().all(|count| *count > 0), "seed {seed}");
        }
    }

    #[test]
    fn classes_are_matched_by_name() {
        let data = set(2, &[0, 1, 1]);
        let model = ["class 1", "other", "class 0"].map(String::from);
        let moved = data.with_classes(&model).unwrap();
        let labels: Vec<_> = moved.examples.iter().map(|example| example.labels[0]).collect();
        assert_eq!(labels, [2, 0, 0]);
        let error = data.with_classes(&model[..2]).unwrap_err().to_string();
        assert!(
            error.contains("\"class 0\" is not one of the 2 classes"),
            "{error}"
        );
    }

    #[test]
    fn names_that_repeat_are_refused_unless_the_lists_are_the_same() {
        let mut data = set(3, &[0, 1, 2]);
        data.classes = ["crane", "dog", "crane"].map(String::from).into();
        let same = data.with_classes(&data.classes).unwrap();
        let labels = |data: &DataSet| -> Vec<usize> { data.examples.iter().map(|e| e.labels[0]).collect() };
        assert_eq!(labels(&same), [0, 1, 2]);
        let model = ["dog", "crane", "cat", "crane"].map(String::from);
        let error = data.with_classes(&model).unwrap_err().to_string();
        assert!(
            error.contains("\"crane\" is there twice among the 4 classes")
                && error.contains("number 1 and number 3"),
            "{error}"
        );
        // What no picture shows does no harm.
        let mut dogs = set(1, &[0, 0]);
        dogs.classes = vec!["dog".into()];
        assert_eq!(labels(&dogs.with_classes(&model).unwrap()), [0, 0]);
    }

    #[test]
    fn imagenets_folders_are_the_classes_of_its_models() {
        let model: Vec<String> = imagenet_1k().iter().map(|class| class.name.clone()).collect();
        let mut data = set(2, &[0, 1, 1]);
        // The bird and the machine.
        data.classes = ["n02012849", "n03126707"].map(String::from).into();
        let moved = data.with_classes(&model).unwrap();
        let labels: Vec<_> = moved.examples.iter().map(|example| example.labels[0]).collect();
        assert_eq!(labels, [134, 517, 517]);
        data.classes[0] = "crane".into();
        let error = data.with_classes(&model).unwrap_err().to_string();
        assert!(
            error.contains("number 134 and number 517") && error.contains("synsets"),
            "{error}"
        );
    }
}
