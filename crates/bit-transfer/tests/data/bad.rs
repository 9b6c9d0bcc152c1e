//! Data that cannot be used gives a clear error, and never a panic.

use std::fs;
use std::path::Path;

use bit_transfer::TransferError;
use bit_transfer::data;
use bit_transfer::data::{LabelTask, LoaderOptions, OpenOptions, Random};
use tempfile::tempdir;

use crate::support::{class_folders, fixture, open, png, train_loader, write};

/// Makes a data set that cannot be used, and says what the message has to contain.
type Damage = fn(&Path, &mut Random) -> String;

const DAMAGES: &[Damage] = &[
    // Classes
    |folder, random| {
        let class = good_folders(folder, random);
        fs::create_dir(folder.join(format!("{class}0"))).unwrap();
        format!("\"{class}0\" has no images")
    },
    |folder, random| {
        let class = name(random);
        class_folders(folder, &[(&class, 1 + random.below(3))]);
        format!("one class ({class})")
    },
    |folder, random| {
        class_folders(&folder.join("train"), &[("a", 1), ("b", 1)]);
        let class = name(random);
        class_folders(&folder.join(["val", "test"][random.below(2)]), &[(&class, 1)]);
        format!("\"{class}\" has no images")
    },
    // Folders
    |folder, _| {
        fs::create_dir_all(folder).unwrap();
        "no subfolders".into()
    },
    |folder, random| {
        for class in 0..1 + random.below(3) {
            write(&folder.join(class.to_string()).join("readme.txt"), "text");
        }
        "no images".into()
    },
    |folder, random| {
        let loose = 1 + random.below(3);
        for picture in 0..loose {
            write(&folder.join(format!("{picture}.png")), png(0));
        }
        format!("{loose} images without a class")
    },
    |folder, random| {
        let other = name(random);
        class_folders(&folder.join("train"), &[("a", 1), ("b", 1)]);
        class_folders(folder, &[(&other, 1)]);
        format!("{other:?} beside \"train\"")
    },
    |folder, _| {
        for part in ["train", "val", "validation"] {
            class_folders(&folder.join(part), &[("a", 1), ("b", 1)]);
        }
        "a folder of validation data is there twice".into()
    },
    |folder, _| {
        for part in ["val", "test"] {
            class_folders(&folder.join(part), &[("a", 1), ("b", 1)]);
        }
        "training data: no images".into()
    },
    |folder, random| {
        let (part, name) = [("val", "validation"), ("test", "test")][random.below(2)];
        class_folders(&folder.join("train"), &[("a", 1), ("b", 1)]);
        class_folders(&folder.join(part), &[("a", 0)]);
        format!("{name} data: no images")
    },
    #[cfg(unix)]
    |folder, random| {
        let class = good_folders(folder, random);
        let inner = folder.join(class).join("deep/deeper");
        fs::create_dir_all(&inner).unwrap();
        let target = ["../..", "..", ".", "../../.."][random.below(4)];
        std::os::unix::fs::symlink(target, inner.join("loop")).unwrap();
        "a link back to".into()
    },
    #[cfg(unix)]
    |folder, random| {
        good_folders(folder, random);
        std::os::unix::fs::symlink("itself", folder.join("itself")).unwrap();
        "itself: cannot ".into()
    },
    #[cfg(unix)]
    |folder, random| {
        good_folders(folder, random);
        std::os::unix::fs::symlink("nowhere", folder.join("c")).unwrap();
        "c: cannot ".into()
    },
    // Pictures
    |folder, random| {
        let class = good_folders(folder, random);
        let mut bytes = png(1);
        bytes.truncate(random.below(bytes.len() - 40));
        write(&folder.join(class).join("0.png"), bytes);
        "0.png: ".into()
    },
    |folder, random| {
        let class = good_folders(folder, random);
        let noise: Vec<u8> = (0..random.below(200)).map(|_| random.bits() as u8).collect();
        write(&folder.join(class).join("noise.jpg"), noise);
        "noise.jpg: ".into()
    },
    |folder, random| {
        let class = good_folders(folder, random);
        let mut bytes = png(1);
        // The header's width; its checksum is wrong then, too.
        bytes[16..20].copy_from_slice(&(random.bits() as u32 | 1 << 30).to_be_bytes());
        write(&folder.join(class).join("wide.png"), bytes);
        "wide.png: ".into()
    },
    // Tables
    |folder, random| {
        write(
            &folder.join("train.csv"),
            format!("{},label\na.png,x\nb.png,y\n", name(random)),
        );
        "the image column is not among".into()
    },
    |folder, random| {
        write(
            &folder.join("metadata.csv"),
            format!("file_name,{}\na.png,x\nb.png,y\n", name(random)),
        );
        "the label column is not among".into()
    },
    |folder, random| {
        let extra = ",x".repeat(1 + random.below(3));
        write(
            &folder.join("labels.csv"),
            format!("path,label\na.png,x\nb.png,y{extra}\n"),
        );
        "labels.csv, line 3: the number of fields".into()
    },
    |folder, random| {
        let mut bytes = b"path,label\na.png,x\nb.png,".to_vec();
        bytes.extend([0xff, b'a' + random.below(20) as u8, b'\n']);
        write(&folder.join("train.csv"), bytes);
        "no table".into()
    },
    |folder, random| {
        let lines = "a.png,x\n".repeat(2 + random.below(3));
        write(&folder.join("train.csv"), format!("path,label\n{lines}"));
        "a.png is there twice, first as".into()
    },
    |folder, _| {
        write(&folder.join("train.csv"), "path,label\na.png,x\nb.png,y\n");
        write(&folder.join("test.csv"), "path,label\n./a.png,x\n");
        "a.png is there twice".into()
    },
    |folder, _| {
        write(&folder.join("train.csv"), "path,label,path\na.png,x,a\n");
        "\"path\" (number 3) is there twice".into()
    },
    |folder, _| {
        write(&folder.join("train.csv"), "path,label\n");
        "train.csv: no images".into()
    },
    |folder, random| {
        let missing = format!("{}.png", name(random));
        write(
            &folder.join("train.csv"),
            format!("path,label\n{missing},x\nb.png,y\n"),
        );
        write(&folder.join("b.png"), png(0));
        format!("{missing}: cannot read the file")
    },
    |folder, random| {
        write(&folder.join("a.png"), png(0));
        write(&folder.join("b.png"), png(0));
        let line = ["a.png,", ",x"][random.below(2)];
        write(
            &folder.join("train.csv"),
            format!("path,label\nb.png,y\n{line}\n"),
        );
        "3: the ".into()
    },
    |folder, random| {
        let split = name(random);
        write(
            &folder.join("labels.csv"),
            format!("path,label,split\na.png,x,train\nb.png,y,{split}\n"),
        );
        format!("line 3: \"split\" is {split:?}; expected train")
    },
    |folder, random| {
        let lines = ["{", "[]", "7", "{\"path\": }", "\u{0}", "{\"path\": \"a\"} x"];
        write(&folder.join("train.jsonl"), lines[random.below(lines.len())]);
        "train.jsonl, line 1: the line is not usable".into()
    },
    |folder, random| {
        let labels = ["1.5", "null", "{}", "[[]]", "true", "[null]"];
        let line = format!(
            "{{\"path\": \"a.png\", \"label\": {}}}",
            labels[random.below(labels.len())]
        );
        write(
            &folder.join("train.jsonl"),
            format!("{{\"path\": \"b.png\", \"label\": 1}}\n{line}\n"),
        );
        "train.jsonl, line 2: \"label\" is".into()
    },
    |folder, random| {
        let image = ["7", "null", "[]"][random.below(3)];
        write(
            &folder.join("train.jsonl"),
            format!("{{\"path\": {image}, \"label\": 1}}\n"),
        );
        format!("line 1: \"path\" is {image}; expected a string")
    },
    // Parquet
    |folder, random| {
        let bytes = fs::read(fixture("parquet/hub/data/train-00000-of-00002.parquet")).unwrap();
        let end = random.below(bytes.len());
        write(&folder.join("train.parquet"), &bytes[..end]);
        "damaged or foreign parquet file".into()
    },
    |folder, random| {
        let (file, message) = BAD_PARQUET[random.below(BAD_PARQUET.len())];
        write(&folder.join("train.parquet"), fs::read(fixture(file)).unwrap());
        message.into()
    },
    |folder, _| {
        for (from, to) in [
            ("hub/data/train-00000-of-00002", "train-0"),
            ("plain", "train-1"),
            ("paths", "test"),
        ] {
            write(
                &folder.join(to).with_extension("parquet"),
                fs::read(fixture(&format!("parquet/{from}.parquet"))).unwrap(),
            );
        }
        "\"dog\" is not one of the classes".into()
    },
    // CIFAR
    |folder, random| {
        let length = 3073 * (1 + random.below(2)) + 1 + random.below(3072);
        write(&folder.join("data_batch_1.bin"), vec![0; length]);
        format!("{length} bytes; expected records of 3073 bytes")
    },
    |folder, random| {
        let mut record = vec![0; 3074];
        record[1] = 100 + random.below(156) as u8;
        write(&folder.join("train.bin"), &record);
        format!("row 1: the label is {}; expected 0 to 99", record[1])
    },
    |folder, random| {
        write(&folder.join("test_batch.bin"), vec![0; 3073]);
        let names = 11 + random.below(5);
        write(&folder.join("batches.meta.txt"), "x\n".repeat(names));
        format!("{names} names; expected the names of CIFAR-10's 10 classes")
    },
    |folder, _| {
        write(&folder.join("test_batch.bin"), vec![0; 3073]);
        write(&folder.join("batches.meta.txt"), "x\n".repeat(10));
        "the class \"x\" (number 1) is there twice, first as number 0".into()
    },
];

const BAD_PARQUET: [(&str, &str); 9] = [
    (
        "parquet/bad/unlabelled.parquet",
        "row 1: \"label\" is -1; expected 0 to 2 (-1 is no label",
    ),
    (
        "parquet/bad/out_of_range.parquet",
        "row 2: \"label\" is 3; expected 0 to 2",
    ),
    ("parquet/bad/null_label.parquet", "row 2: \"label\" is null"),
    (
        "parquet/bad/float_label.parquet",
        "row 1: \"label\" is the float 0.0; expected a whole number or a name",
    ),
    (
        "parquet/bad/null_image.parquet",
        "row 2: \"image\" is null; expected the bytes or the path",
    ),
    ("parquet/bad/no_image.parquet", "the image column is not among"),
    ("parquet/bad/no_label.parquet", "the label column is not among"),
    (
        "parquet/bad/same_names.parquet",
        "the class \"a\" (number 1) is there twice",
    ),
    ("parquet/bad/no_rows.parquet", "no images"),
];

/// A name of a class with letters that files have trouble with.
fn name(random: &mut Random) -> String {
    let letters: Vec<char> = "xyzäß猫 '%;#-_".chars().collect();
    let letter = |_| letters[random.below(letters.len())];
    format!("q{}z", (0..6).map(letter).collect::<String>())
}

/// Some classes with some pictures; returns the name of one of them.
fn good_folders(folder: &Path, random: &mut Random) -> String {
    let classes: Vec<(String, usize)> = (0..2 + random.below(3))
        .map(|_| (name(random), 1 + random.below(2)))
        .collect();
    let named: Vec<(&str, usize)> = classes
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    class_folders(folder, &named);
    class_folders(folder, &[("a", 1), ("b", 1)]);
    classes[random.below(classes.len())].0.clone()
}

/// Opens the data and goes through it once.
fn use_all(folder: &Path) -> Result<(), TransferError> {
    let train = open(folder)?.train;
    let strict = LoaderOptions {
        batch_size: train.len().max(1),
        strict: true,
        threads: 1,
        ahead: 1,
        ..Default::default()
    };
    train_loader(train, strict, 0)?
        .next()
        .map_or(Ok(()), |batch| batch.map(drop))
}

#[test]
fn a_thousand_bad_data_sets_give_clear_errors() {
    for case in 0..1000 {
        let random = &mut Random::new(2019, "bad data", case);
        let damage = case as usize % DAMAGES.len();
        let folder = tempdir().unwrap();
        let data = folder.path().join("data");
        let expected = DAMAGES[damage](&data, random);
        match use_all(&data) {
            Ok(()) => panic!("case {case}, damage {damage} went unnoticed; expected {expected:?}"),
            Err(error) => {
                let message = error.to_string();
                assert!(
                    message.contains(&expected),
                    "case {case}, damage {damage}: {message}; expected {expected:?}"
                );
            }
        }
    }
}

#[test]
fn damaged_bytes_of_a_parquet_file_never_panic() {
    let bytes = fs::read(fixture("parquet/hub/data/train-00000-of-00002.parquet")).unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("train.parquet");
    let mut refused = 0;
    for case in 0..400 {
        let random = &mut Random::new(7, "damaged parquet", case);
        let mut bytes = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let place = random.below(bytes.len());
            bytes[place] = random.bits() as u8;
        }
        write(&path, bytes);
        refused += usize::from(use_all(&path).is_err());
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn parquet_that_is_little_on_the_disk_and_huge_in_memory_is_refused() {
    let cases = [
        (
            "huge_page",
            "row group 0, column \"image.bytes\": a page of",
            "expected at most 67108864 bytes when it is unpacked",
        ),
        (
            "shared_beginnings",
            "row group 0, column \"image.bytes\": a page of",
            "expected at most 65536 bytes when it is unpacked",
        ),
        (
            "many_values",
            "row group 0, column \"image.",
            "a page with 20000 values; expected no more values than the file has bytes",
        ),
        (
            "same_picture",
            "row 65: \"image\" is 1048576 bytes",
            "expected less: with this, pictures come to too many times the file's size",
        ),
    ];
    for (name, place, message) in cases {
        let path = fixture(&format!("parquet/bad/{name}.parquet"));
        let error = open(&path).unwrap_err().to_string();
        let named = error.contains(&path.display().to_string());
        assert!(
            named && error.contains(place) && error.contains(message),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_there_or_unknown_is_said() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("nothing");
    let error = open(&path).unwrap_err().to_string();
    assert!(error.contains("nothing: cannot open the data"), "{error}");
    write(&path, "text");
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.contains("a file of unknown kind; expected a folder"),
        "{error}"
    );
}

#[test]
fn options_that_do_not_fit_are_named() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.csv");
    write(&path, "path,label\na.png,x|y\nb.png,z\n");
    let error = |options: OpenOptions| data::open(&path, &options).unwrap_err().to_string();
    let message = error(OpenOptions {
        label_column: Some("species".into()),
        ..Default::default()
    });
    assert!(
        message.contains("the label column is not among [\"path\", \"label\"]; expected \"species\""),
        "{message}"
    );
    write(&path, "path,label\na.png,\nb.png,z\n");
    let message = error(OpenOptions {
        task: Some(LabelTask::SingleLabel),
        ..Default::default()
    });
    assert!(message.contains("row 2: the label is missing"), "{message}");
    let options = LoaderOptions {
        batch_size: 0,
        ..Default::default()
    };
    class_folders(folder.path(), &[("p", 1), ("q", 1)]);
    let error = train_loader(open(folder.path()).unwrap().train, options, 0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("batch size is 0"), "{error}");
}
