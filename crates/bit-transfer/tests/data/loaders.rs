//! Pictures become batches.

use std::sync::Arc;

use bit_config::hyperrule::Resolution;
use bit_image::{Processor, ProcessorKind};
use bit_transfer::TransferError;
use bit_transfer::data::{
    Batch, DataSet, EvalLoader, LoaderOptions, Targets, TrainLoader, TrainTransform, recipe_processor,
};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::{class_folders, fixture, open, train_loader, write};

fn options(batch_size: usize) -> LoaderOptions {
    LoaderOptions {
        batch_size,
        ..Default::default()
    }
}

fn pictures(classes: &[(&str, usize)]) -> (TempDir, DataSet) {
    let folder = tempdir().unwrap();
    class_folders(folder.path(), classes);
    let train = open(folder.path()).unwrap().train;
    (folder, train)
}

fn take(loader: TrainLoader, steps: usize) -> Vec<Batch> {
    loader.take(steps).map(Result::unwrap).collect()
}

#[test]
fn a_batch_depends_on_data_seed_and_step_alone() {
    let (_folder, data) = pictures(&[("a", 5), ("b", 6)]);
    let with = |threads, ahead, cache, first_step, steps| {
        let options = LoaderOptions {
            threads,
            ahead,
            cache,
            ..options(4)
        };
        take(train_loader(data.clone(), options, first_step).unwrap(), steps)
    };
    let expected = with(1, 1, 0, 0, 8);
    assert_eq!(with(3, 5, 1 << 20, 0, 8), expected);
    assert_eq!(with(2, 0, 300, 5, 3), expected[5..]);
    assert_eq!(expected[0].shape, [4, 3, 6, 6]);
    assert_eq!(expected[2].shape, [3, 3, 6, 6]);
    let other = LoaderOptions {
        seed: 1,
        ..options(4)
    };
    assert_ne!(
        take(train_loader(data.clone(), other, 0).unwrap(), 1)[0],
        expected[0]
    );
}

#[test]
fn a_batch_that_is_larger_than_the_data_is_filled() {
    let (_folder, data) = pictures(&[("a", 2), ("b", 1)]);
    let batches = take(train_loader(data, options(16), 0).unwrap(), 2);
    assert_eq!(batches[0].shape, [16, 3, 6, 6]);
    assert_eq!(batches[0].labels.len(), 16);
    assert_ne!(batches[0].examples, batches[1].examples);
}

#[test]
fn the_picture_is_big_transfers() {
    let expected: Value = serde_json::from_slice(&std::fs::read(fixture("transform.json")).unwrap()).unwrap();
    let side = expected["side"].as_u64().unwrap() as usize;
    let expected: Vec<f32> = serde_json::from_value(expected["values"].clone()).unwrap();
    let data = Arc::new(
        open(&fixture("parquet/hub/data/train-00000-of-00002.parquet"))
            .unwrap()
            .train,
    );
    let resolution = Resolution {
        resize: side,
        crop: side,
    };
    let transform = TrainTransform {
        flip: false,
        ..TrainTransform::new(resolution)
    };
    let train = TrainLoader::new(data.clone(), transform, options(4), 0).unwrap();
    let evaluation = Processor::new(ProcessorKind::Pil, recipe_processor(side)).unwrap();
    let evaluation = EvalLoader::new(data, evaluation, options(4)).unwrap();
    for batch in [
        take(train, 1).remove(0),
        evaluation.map(Result::unwrap).next().unwrap(),
    ] {
        let length = batch.pixels.len() / 4;
        for (pixels, example) in batch.pixels.chunks(length).zip(&batch.examples) {
            let expected = &expected[example * length..][..length];
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
            assert!(pixels.iter().zip(expected).all(close));
        }
    }
}

#[test]
fn bad_pictures_are_named_and_others_take_their_place() {
    let (folder, data) = pictures(&[("a", 4), ("b", 4)]);
    write(&folder.path().join("a/1.png"), "not a picture");
    std::fs::remove_file(folder.path().join("b/2.png")).unwrap();
    let mut loader = train_loader(data.clone(), options(8), 0).unwrap();
    let batch = loader.next().unwrap().unwrap();
    assert_eq!(batch.shape[0], 8);
    let used: Vec<String> = batch
        .examples
        .iter()
        .map(|index| data.examples[*index].image.to_string())
        .collect();
    let skipped = loader.skipped();
    assert_eq!(skipped.len(), 2);
    assert!(
        skipped[0].image.ends_with("1.png") && skipped[0].reason.contains("not an image"),
        "{skipped:?}"
    );
    assert!(skipped.iter().all(|skipped| !used.contains(&skipped.image)));
    for (label, index) in classes(&batch.labels).iter().zip(&batch.examples) {
        assert_eq!(data.examples[*index].labels, [*label]);
    }
}

fn classes(targets: &Targets) -> &[usize] {
    match targets {
        Targets::Classes(classes) => classes,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strict_loaders_fail_at_the_first_bad_picture() {
    let (folder, data) = pictures(&[("a", 2), ("b", 2)]);
    write(&folder.path().join("a/1.png"), "");
    let strict = LoaderOptions {
        strict: true,
        ..options(4)
    };
    let processor = Processor::new(ProcessorKind::Pil, recipe_processor(4)).unwrap();
    let mut train = train_loader(data.clone(), strict.clone(), 0).unwrap();
    let mut evaluation = EvalLoader::new(Arc::new(data), processor, strict).unwrap();
    for error in [train.next(), evaluation.next()] {
        let error = error.unwrap().unwrap_err();
        assert!(matches!(error, TransferError::Image { .. }));
        assert!(error.to_string().contains("1.png: the file is empty"), "{error}");
    }
    assert!(train.next().is_none());
}

#[test]
fn nothing_but_bad_pictures_is_an_error() {
    let (folder, data) = pictures(&[("a", 1), ("b", 1)]);
    for file in ["a/0.png", "b/0.png"] {
        write(&folder.path().join(file), "?");
    }
    let processor = Processor::new(ProcessorKind::Pil, recipe_processor(4)).unwrap();
    let train = train_loader(data.clone(), options(4), 0).unwrap().next();
    let evaluation = EvalLoader::new(Arc::new(data), processor, options(1))
        .unwrap()
        .next();
    for error in [train, evaluation] {
        let error = error.unwrap().unwrap_err().to_string();
        assert!(
            error.contains("a/0.png") && error.contains("not an image"),
            "{error}"
        );
    }
}

#[test]
fn evaluation_sees_every_picture_once_and_in_order() {
    let (folder, data) = pictures(&[("a", 3), ("b", 4)]);
    write(&folder.path().join("b/0.png"), "?");
    let processor = Processor::new(ProcessorKind::Torchvision, recipe_processor(4)).unwrap();
    let mut loader = EvalLoader::new(Arc::new(data), processor, options(3)).unwrap();
    let batches: Vec<Batch> = loader.by_ref().map(Result::unwrap).collect();
    let examples: Vec<&[usize]> = batches.iter().map(|batch| &batch.examples[..]).collect();
    assert_eq!(examples, [&[0, 1, 2][..], &[4, 5], &[6]]);
    assert_eq!(batches[2].shape, [1, 3, 4, 4]);
    assert_eq!(batches[1].labels, Targets::Classes(vec![1, 1]));
    assert_eq!(loader.skipped().len(), 1);
}

#[test]
fn several_labels_become_ones() {
    let mut data = open(&fixture("parquet/lists.parquet")).unwrap().train;
    let processor = Processor::new(ProcessorKind::Pil, recipe_processor(4)).unwrap();
    let mut loader = EvalLoader::new(Arc::new(data.clone()), processor, options(3)).unwrap();
    let values = vec![1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let expected = Targets::MultiHot { values, classes: 3 };
    assert_eq!(loader.next().unwrap().unwrap().labels, expected);
    data.examples.truncate(1);
    let error = train_loader(data, options(1), 0).unwrap_err().to_string();
    assert!(error.contains("class \"car\" has no images"), "{error}");
}

#[test]
fn a_processor_that_makes_pictures_of_several_sizes_is_refused() {
    let folder = tempdir().unwrap();
    class_folders(folder.path(), &[("a", 1)]);
    let data = open(folder.path()).unwrap().train;
    let mut sizes = data.clone();
    sizes
        .examples
        .extend(open(&fixture("parquet/hub")).unwrap().train.examples);
    let mut config = recipe_processor(4);
    config.do_resize = Some(false);
    let processor = Processor::new(ProcessorKind::Pil, config).unwrap();
    let error = EvalLoader::new(Arc::new(sizes), processor, options(9))
        .unwrap()
        .next();
    let error = error.unwrap().unwrap_err().to_string();
    assert!(
        error.contains("[3, 7, 5]") && error.contains("[3, 5, 6]"),
        "{error}"
    );
}
