//! What is on disk becomes labelled pictures.

use std::path::Path;

use bit_transfer::data::{self, ImageSource, LabelTask, OpenOptions};
use tempfile::tempdir;

use crate::support::{class_folders, fixture, labels, open, png, write};

#[test]
fn a_subfolder_is_a_class_and_classes_are_in_the_order_of_their_names() {
    let folder = tempdir().unwrap();
    class_folders(folder.path(), &[("b", 2), ("a", 1), ("10", 1), ("9", 1)]);
    write(&folder.path().join("a/deeper/photo.JPEG"), png(9));
    write(&folder.path().join("a/notes.txt"), "not a picture");
    write(&folder.path().join(".hidden/x.png"), png(1));
    let splits = open(folder.path()).unwrap();
    assert_eq!(splits.train.classes, ["10", "9", "a", "b"]);
    assert_eq!(splits.train.class_counts(), [1, 1, 2, 2]);
    assert_eq!(splits.train.task, LabelTask::SingleLabel);
    assert!(splits.validation.is_none() && splits.test.is_none());
}

#[test]
fn folders_of_splits_share_their_classes() {
    for validation in ["val", "validation", "valid"] {
        let folder = tempdir().unwrap();
        class_folders(&folder.path().join("train"), &[("cat", 2), ("dog", 1)]);
        class_folders(&folder.path().join(validation), &[("dog", 1)]);
        class_folders(&folder.path().join("test"), &[("dog", 1), ("cat", 1)]);
        let splits = open(folder.path()).unwrap();
        let validation = splits.validation.unwrap();
        assert_eq!(validation.classes, ["cat", "dog"]);
        assert_eq!(labels(&validation), [["dog"]]);
        assert_eq!(labels(&splits.test.unwrap()), [["cat"], ["dog"]]);
        assert_eq!(splits.train.len(), 3);
    }
}

#[test]
fn a_class_may_be_called_train() {
    let folder = tempdir().unwrap();
    class_folders(folder.path(), &[("bus", 1), ("car", 1), ("train", 1)]);
    assert_eq!(
        open(folder.path()).unwrap().train.classes,
        ["bus", "car", "train"]
    );
}

#[test]
fn parquet_files_of_the_hub_have_names_splits_and_pictures() {
    let splits = open(&fixture("parquet/hub")).unwrap();
    let train = &splits.train;
    assert_eq!(train.classes, ["plane", "car", "bird"]);
    let indices: Vec<usize> = train.examples.iter().map(|example| example.labels[0]).collect();
    assert_eq!(indices, [0, 2, 1, 0, 2, 1, 0]);
    assert_eq!(splits.test.unwrap().len(), 2);
    assert!(
        train
            .examples
            .iter()
            .all(|example| example.image.size().unwrap() == [7, 5])
    );
    assert_eq!(train.image_size().unwrap(), [7, 5]);
    let name = train.examples[5].image.to_string();
    assert!(name.ends_with("train-00001-of-00002.parquet, row 2"), "{name}");
}

#[test]
fn a_clone_of_the_hub_may_have_its_files_in_the_folder_of_a_configuration() {
    let folder = tempdir().unwrap();
    let copy = |to: &str| {
        let from = fixture("parquet/hub/data");
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            let name = file.file_name().into_string().unwrap();
            write(
                &folder.path().join(to).join(name),
                std::fs::read(file.path()).unwrap(),
            );
        }
    };
    copy("plain_text");
    write(&folder.path().join("README.md"), "# A data set");
    write(&folder.path().join(".git/config"), "");
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    let splits = open(folder.path()).unwrap();
    assert_eq!((splits.train.len(), splits.test.unwrap().len()), (7, 2));
    copy("other/train");
    let error = open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("parquet files in 2 folders (other, plain_text); expected the path of one of them"),
        "{error}"
    );
}

#[test]
fn one_parquet_file_is_data_that_is_not_divided() {
    let splits = open(&fixture("parquet/hub/data/test-00000-of-00001.parquet")).unwrap();
    assert_eq!((splits.train.len(), splits.test.is_none()), (2, true));
}

#[test]
fn a_parquet_column_of_lists_is_multi_label() {
    let train = open(&fixture("parquet/lists.parquet")).unwrap().train;
    assert_eq!(train.task, LabelTask::MultiLabel);
    assert_eq!(labels(&train), [vec!["plane", "bird"], vec![], vec!["car"]]);
}

#[test]
fn parquet_columns_are_found_by_name_and_type() {
    let train = open(&fixture("parquet/plain.parquet")).unwrap().train;
    assert_eq!(train.classes, ["cat", "dog"]);
    assert_eq!(labels(&train), [["dog"], ["cat"]]);
    let options = OpenOptions {
        label_column: Some("id".into()),
        ..Default::default()
    };
    let train = data::open(&fixture("parquet/plain.parquet"), &options)
        .unwrap()
        .train;
    assert_eq!(train.classes, ["7", "8"]);
}

#[test]
fn parquet_rows_may_name_files_beside_them() {
    let train = open(&fixture("parquet/paths.parquet")).unwrap().train;
    match &train.examples[0].image {
        ImageSource::Path(path) => assert_eq!(*path, fixture("parquet/a.png")),
        other => panic!("{other}"),
    }
    assert_eq!(labels(&train), [["car"], ["plane"]]);
}

#[test]
fn pictures_beyond_the_memory_bound_are_the_same() {
    let bound = OpenOptions {
        memory: 400,
        ..Default::default()
    };
    let spilled = data::open(&fixture("parquet/hub"), &bound).unwrap().train;
    assert!(
        spilled
            .examples
            .iter()
            .all(|example| example.image.size().unwrap() == [7, 5])
    );
}

/// Writes a table and opens it.
fn table(name: &str, content: &str) -> data::Splits {
    let folder = tempdir().unwrap();
    write(&folder.path().join(name), content);
    open(&folder.path().join(name)).unwrap()
}

#[test]
fn tables_of_every_kind_are_read() {
    let tables = [
        ("a.csv", "file_name,label\na.png,cat\n\"b,c.png\",dog\n"),
        ("a.csv", "\u{feff}Label,Path\r\ncat,a.png\r\n dog , b.png\r\n"),
        ("a.tsv", "image\tcategory\na.png\tcat\nb.png\tdog"),
        (
            "a.jsonl",
            "{\"image\": \"a.png\", \"label\": \"cat\"}\n\n{\"label\": \"dog\", \"image\": \"b.png\"}",
        ),
    ];
    for (name, content) in tables {
        let train = table(name, content).train;
        assert_eq!(labels(&train), [["cat"], ["dog"]], "{content}");
        assert_eq!(train.task, LabelTask::SingleLabel);
    }
}

#[test]
fn several_labels_make_multi_label_data() {
    let tables = [
        ("a.csv", "path,labels\na.png,sea|sky\nb.png,\nc.png,sky|sky\n"),
        (
            "a.jsonl",
            "{\"path\":\"a.png\",\"labels\":[\"sky\",\"sea\"]}\n{\"path\":\"b.png\",\"labels\":[]}\n\
             {\"path\":\"c.png\",\"labels\":\"sky\"}",
        ),
    ];
    for (name, content) in tables {
        let train = table(name, content).train;
        assert_eq!(train.task, LabelTask::MultiLabel);
        assert_eq!(
            labels(&train),
            [vec!["sea", "sky"], vec![], vec!["sky"]],
            "{content}"
        );
    }
}

#[test]
fn whole_numbers_are_classes_in_their_order() {
    let train = table("a.csv", "path,label\na,10\nb,9\nc,-1\n").train;
    assert_eq!(train.classes, ["-1", "9", "10"]);
    let train = table(
        "a.jsonl",
        "{\"path\":\"a\",\"label\":10}\n{\"path\":\"b\",\"label\":9}",
    )
    .train;
    assert_eq!(train.classes, ["9", "10"]);
}

#[test]
fn a_split_column_divides_a_table() {
    let splits = table(
        "a.csv",
        "path,label,split\na,x,train\nb,y,test\nc,y,train\nd,x,val\n",
    );
    assert_eq!(splits.train.len(), 2);
    assert_eq!(
        (splits.validation.unwrap().len(), splits.test.unwrap().len()),
        (1, 1)
    );
}

#[test]
fn tables_in_folders_are_found_by_their_names() {
    let line = |file: &str| format!("file_name,label\n{file}.png,cat\n{file}2.png,dog\n");
    for [train, test] in [
        ["train.csv", "test.csv"],
        ["train/metadata.csv", "test/metadata.csv"],
    ] {
        let folder = tempdir().unwrap();
        write(&folder.path().join(train), line("a"));
        write(&folder.path().join(test), line("b"));
        let splits = open(folder.path()).unwrap();
        let expected = folder.path().join(train).with_file_name("a.png");
        assert_eq!(
            splits.train.examples[0].image.to_string(),
            expected.display().to_string()
        );
        assert_eq!(splits.test.unwrap().len(), 2);
    }
}

/// CIFAR records whose first pixel byte is their number.
fn cifar(labels: &[&[u8]]) -> Vec<u8> {
    let record = |(index, labels): (usize, &&[u8])| {
        let mut pixels = vec![0; 3072];
        pixels[0] = index as u8;
        [labels.to_vec(), pixels].concat()
    };
    labels.iter().enumerate().flat_map(record).collect()
}

#[test]
fn cifar_files_are_read_with_the_names_beside_them() {
    let folder = tempdir().unwrap();
    let inner = folder.path().join("cifar-10-batches-bin");
    let names: Vec<String> = (0..10).map(|class| format!("name {class}")).collect();
    write(&inner.join("batches.meta.txt"), names.join("\n"));
    write(&inner.join("data_batch_1.bin"), cifar(&[&[3], &[0]]));
    write(&inner.join("data_batch_2.bin"), cifar(&[&[9]]));
    write(&inner.join("test_batch.bin"), cifar(&[&[1]]));
    let splits = open(folder.path()).unwrap();
    assert_eq!(labels(&splits.train), [["name 3"], ["name 0"], ["name 9"]]);
    assert_eq!(labels(&splits.test.unwrap()), [["name 1"]]);
    assert_eq!(splits.train.image_size().unwrap(), [32, 32]);

    let folder = tempdir().unwrap();
    write(&folder.path().join("train.bin"), cifar(&[&[0, 99], &[1, 42]]));
    let train = open(&folder.path().join("train.bin")).unwrap().train;
    assert_eq!(labels(&train), [["99"], ["42"]]);
    assert_eq!(train.classes.len(), 100);
}

#[test]
fn the_task_can_be_said() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write(&path, "path,label\na,x|y\nb,z\n");
    let with = |task| {
        let options = OpenOptions {
            task: Some(task),
            ..Default::default()
        };
        data::open(Path::new(&path), &options).unwrap().train
    };
    assert_eq!(with(LabelTask::SingleLabel).classes, ["x|y", "z"]);
    assert_eq!(with(LabelTask::MultiLabel).classes, ["x", "y", "z"]);
}
