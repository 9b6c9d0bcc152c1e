//! Any format to any other and back keeps every bit.
#![allow(clippy::unwrap_used)]

use bit_config::{BitConfig, ImageProcessorConfig};
use bit_convert::{
    Checkpoint, ConvertError, ConvertOptions, DType, Dialect, Entry, Format, Target, convert, write_burnpack,
    write_npz, write_onnx, write_pytorch, write_safetensors,
};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// The tiny networks have four groups, which no tensor shows.
fn options(reference: &str) -> ConvertOptions<'static> {
    let config = BitConfig::from_file(&fixture(reference).join("config.json")).unwrap();
    ConvertOptions {
        config: Some(config),
        ..ConvertOptions::default()
    }
}

fn assert_same(found: &Path, reference: &str) {
    let (found, reference) = (
        Checkpoint::open(found).unwrap(),
        Checkpoint::open(&fixture(reference)).unwrap(),
    );
    let (found, reference) = (
        found.to_transformers().unwrap(),
        reference.to_transformers().unwrap(),
    );
    for info in found.tensors() {
        assert_eq!(
            found.read(&info.name).unwrap(),
            reference.read(&info.name).unwrap(),
            "{}",
            info.name
        );
    }
    assert!(found.unused().is_empty());
}

/// A destination that is one file, since timm's folder is for the published shapes only.
const TARGETS: [(Target, &str); 5] = [
    (Target::Transformers, "out.safetensors"),
    (Target::Pytorch, "out.bin"),
    (Target::Timm, "timm.safetensors"),
    (Target::Google, "out.npz"),
    (Target::Burnpack, "out.bpk"),
];

const SOURCES: [&str; 13] = [
    "preactivation",
    "sharded",
    "sharded_bin",
    "legacy.bin",
    "python2.bin",
    "timm_training.pth.tar",
    "channels_last.bin",
    "training.pth",
    "bit.pth.tar",
    "timm",
    "google_compressed.npz",
    "google_numbered.npz",
    "jax_dense_head.npz",
];

#[test]
fn every_source_reaches_every_target_and_comes_back_with_every_bit() {
    let folder = tempfile::tempdir().unwrap();
    let options = options("preactivation");
    for source in SOURCES {
        let source = Checkpoint::open(&fixture(source)).unwrap();
        for (target, file) in TARGETS {
            let there = folder.path().join(file);
            convert(&source, &there, target, &options).unwrap();
            assert_same(&there, "preactivation");
            let back = folder.path().join("back.safetensors");
            convert(
                &Checkpoint::open(&there).unwrap(),
                &back,
                Target::Transformers,
                &options,
            )
            .unwrap();
            assert_same(&back, "preactivation");
        }
    }
}

#[test]
fn a_folder_converted_to_itself_is_the_file_that_transformers_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let converted = convert(
        &source,
        folder.path(),
        Target::Transformers,
        &ConvertOptions::default(),
    )
    .unwrap();
    let written = std::fs::read(folder.path().join("model.safetensors")).unwrap();
    assert!(written == std::fs::read(fixture("preactivation/model.safetensors")).unwrap());
    assert_eq!(
        converted.config,
        BitConfig::from_file(&fixture("preactivation/config.json")).unwrap()
    );
    assert!(
        converted
            .no_processor
            .unwrap()
            .to_string()
            .contains("preprocessor_config.json")
    );
}

#[test]
fn the_bottleneck_network_comes_out_of_larger_models() {
    let folder = tempfile::tempdir().unwrap();
    let options = options("bottleneck");
    for source in [
        "bottleneck",
        "vit_hybrid.safetensors",
        "dpt_hybrid.safetensors",
        "timm_hybrid.safetensors",
        "midas.pt",
        "vit_hybrid.npz",
    ] {
        let source = Checkpoint::open(&fixture(source)).unwrap();
        for (target, file) in TARGETS
            .into_iter()
            .filter(|(target, _)| *target != Target::Google)
        {
            convert(&source, &folder.path().join(file), target, &options).unwrap();
            assert_same(&folder.path().join(file), "bottleneck");
        }
        let refused = convert(&source, &folder.path().join("out.npz"), Target::Google, &options).unwrap_err();
        assert!(refused.to_string().contains("bottleneck variant"), "{refused}");
    }
}

#[test]
fn a_burnpack_file_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    convert(&source, &path, Target::Burnpack, &ConvertOptions::default()).unwrap();
    let opened = Checkpoint::open(&path).unwrap();
    assert_eq!(opened.format(), Format::Burnpack);
    assert_eq!(opened.to_transformers().unwrap().config().unwrap().num_groups, 4);
}

/// `burn_pack.bpk` was written from the same tensors by burn-pack 0.22.1: `Writer::new(tensors).write_to_file(path)`.
#[test]
fn a_burnpack_file_is_the_one_that_burn_writes() {
    assert_same(&fixture("burn_pack.bpk"), "preactivation");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    write_burnpack(&path, source.entries(), &Default::default()).unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(fixture("burn_pack.bpk")).unwrap());
}

#[test]
fn half_precision_halves_every_tensor_and_keeps_names() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("google.npz")).unwrap();
    for dtype in [DType::F16, DType::BF16] {
        for (target, file) in TARGETS {
            let path = folder.path().join(file);
            let options = ConvertOptions {
                dtype: Some(dtype),
                ..options("preactivation")
            };
            let converted = convert(&source, &path, target, &options).unwrap();
            assert_eq!(converted.config.dtype.as_deref(), Some(dtype.torch_name()));
            let opened = Checkpoint::open(&path).unwrap();
            assert!(
                opened.tensors().iter().all(|info| info.dtype == dtype),
                "{target}"
            );
            assert!(
                opened
                    .to_transformers()
                    .unwrap()
                    .check(options.config.as_ref().unwrap())
                    .is_ok()
            );
        }
    }
}

#[test]
fn progress_counts_every_byte_once() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let seen = std::cell::RefCell::new(vec![]);
    let progress = |done: u64, total: u64| {
        seen.borrow_mut().push((done, total));
        ControlFlow::Continue(())
    };
    let options = ConvertOptions {
        progress: Some(&progress),
        ..ConvertOptions::default()
    };
    convert(&source, folder.path(), Target::Pytorch, &options).unwrap();
    let bytes: u64 = source.tensors().iter().map(|info| info.byte_len() as u64).sum();
    assert_eq!(seen.borrow().len(), source.tensors().len());
    assert_eq!(seen.borrow().last(), Some(&(bytes, bytes)));
}

#[test]
fn a_cancelled_conversion_leaves_no_file_whatever_the_format() {
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let targets = [
        Target::Transformers,
        Target::Pytorch,
        Target::Google,
        Target::Burnpack,
        Target::Onnx,
    ];
    for target in targets {
        let folder = tempfile::tempdir().unwrap();
        let halfway = |done: u64, total: u64| match done * 2 < total {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let options = ConvertOptions {
            progress: Some(&halfway),
            ..ConvertOptions::default()
        };
        let cancelled = convert(&source, folder.path(), target, &options).unwrap_err();
        assert!(
            matches!(cancelled, ConvertError::Cancelled { .. }),
            "{target}: {cancelled}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{target}");
    }
}

/// The committed graphs passed ONNX's checker and gave transformers' logits in ONNX Runtime when `make_fixtures.py` made
/// them with this writer. After a change that is meant, run it again: it checks the new ones.
#[test]
fn the_graph_is_the_one_that_onnx_runtime_was_tried_with() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["preactivation", "bottleneck"] {
        let path = folder.path().join(format!("{name}.onnx"));
        let source = Checkpoint::open(&fixture(name)).unwrap();
        convert(&source, &path, Target::Onnx, &ConvertOptions::default()).unwrap();
        let tried = fixture("onnx").join(format!("{name}.onnx"));
        assert!(
            std::fs::read(&path).unwrap() == std::fs::read(tried).unwrap(),
            "the graph of {name} is another one"
        );
    }
}

/// A limit of bytes under which the tiny network has several files.
fn in_parts(options: ConvertOptions<'_>) -> ConvertOptions<'_> {
    ConvertOptions {
        max_shard_bytes: Some(5000),
        ..options
    }
}

#[test]
fn above_the_limit_a_folder_has_shards_and_onnx_a_second_file() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let options = in_parts(ConvertOptions::default());
    let shards = folder.path().join("shards");
    let converted = convert(&source, &shards, Target::Transformers, &options).unwrap();
    assert_eq!(converted.weights, shards.join("model.safetensors.index.json"));
    assert!(Checkpoint::open(&converted.weights).unwrap().files().len() > 3);
    assert_same(&converted.weights, "preactivation");

    let model = folder.path().join("model.onnx");
    let converted = convert(&source, &model, Target::Onnx, &options).unwrap();
    let data = folder.path().join("model.onnx.data");
    assert_eq!(converted.files, [data.clone(), model.clone()]);
    assert_eq!(converted.weights, model);
    let tensors: usize = source.tensors().iter().map(|info| info.byte_len()).sum();
    assert_eq!(std::fs::metadata(data).unwrap().len(), tensors as u64);
    assert!(std::fs::metadata(model).unwrap().len() < tensors as u64);
}

#[test]
fn a_cancelled_conversion_in_parts_leaves_no_part() {
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let late = |done: u64, total: u64| match done < total {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(()),
    };
    for target in [Target::Transformers, Target::Onnx] {
        let folder = tempfile::tempdir().unwrap();
        let options = in_parts(ConvertOptions {
            progress: Some(&late),
            ..ConvertOptions::default()
        });
        let cancelled = convert(&source, folder.path(), target, &options).unwrap_err();
        assert!(
            matches!(cancelled, ConvertError::Cancelled { .. }),
            "{target}: {cancelled}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{target}");
    }
}

#[test]
fn a_folder_in_which_other_weights_would_be_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let options = ConvertOptions::default();
    convert(&source, folder.path(), Target::Transformers, &options).unwrap();
    for target in [Target::Pytorch, Target::Google, Target::Burnpack] {
        let refused = convert(&source, folder.path(), target, &options).unwrap_err();
        assert!(matches!(refused, ConvertError::Shadowed { .. }), "{refused}");
    }
    let file = folder.path().join("pytorch_model.bin");
    for (target, destination) in [
        (Target::Pytorch, file.as_path()),
        (Target::Transformers, folder.path()),
        (Target::Onnx, folder.path()),
    ] {
        convert(&source, destination, target, &options).unwrap();
    }
}

#[test]
fn an_image_processor_of_other_weights_is_never_left_beside_the_new_ones() {
    let folder = tempfile::tempdir().unwrap();
    let stale = folder.path().join("preprocessor_config.json");
    std::fs::write(&stale, "{}").unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    for target in [
        Target::Transformers,
        Target::Pytorch,
        Target::Google,
        Target::Burnpack,
        Target::Onnx,
    ] {
        let refused = convert(&source, folder.path(), target, &ConvertOptions::default()).unwrap_err();
        let message = refused.to_string();
        assert!(
            message.contains("preprocessor_config.json: is there already")
                && message.contains("beside the source"),
            "{message}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{target}");
    }
    let options = ConvertOptions {
        processor: Some(ImageProcessorConfig::default()),
        ..ConvertOptions::default()
    };
    convert(&source, folder.path(), Target::Transformers, &options).unwrap();
    assert_ne!(std::fs::read_to_string(&stale).unwrap(), "{}");
}

#[test]
fn weights_and_configurations_are_replaced_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let old = ConvertOptions::default();
    convert(&source, folder.path(), Target::Transformers, &old).unwrap();
    let before = (read("model.safetensors"), read("config.json"));
    let half = ConvertOptions {
        dtype: Some(DType::F16),
        processor: Some(ImageProcessorConfig::default()),
        ..ConvertOptions::default()
    };
    // A folder where the processor has to go: the weights are in place by then.
    let taken = folder.path().join("preprocessor_config.json");
    std::fs::create_dir(&taken).unwrap();
    let failed = convert(&source, folder.path(), Target::Transformers, &half).unwrap_err();
    assert!(
        failed.to_string().contains("preprocessor_config.json"),
        "{failed}"
    );
    assert!(before == (read("model.safetensors"), read("config.json")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);

    std::fs::remove_dir(&taken).unwrap();
    let converted = convert(&source, folder.path(), Target::Transformers, &half).unwrap();
    assert!(converted.files.last().unwrap().ends_with("config.json"));
    assert!(converted.weights.ends_with("model.safetensors"));
    assert!(before.0 != read("model.safetensors") && before.1 != read("config.json"));
}

#[test]
fn a_configuration_beside_the_file_comes_before_the_one_inside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.bpk");
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    convert(&source, &path, Target::Burnpack, &ConvertOptions::default()).unwrap();
    let mut config = options("preactivation").config.unwrap();
    config.num_groups = 2;
    std::fs::write(folder.path().join("config.json"), config.to_json()).unwrap();
    let opened = Checkpoint::open(&path).unwrap();
    assert_eq!(opened.to_transformers().unwrap().config().unwrap().num_groups, 2);
}

#[test]
fn weights_that_are_integers_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    for dtype in [DType::I64, DType::I32, DType::U8] {
        let mut entries = source.entries();
        let bias = entries
            .iter_mut()
            .find(|entry| entry.info.name == "classifier.1.bias");
        let bias = bias.unwrap();
        let shape = bias.info.shape.clone();
        let bytes = vec![0; shape[0] * dtype.size()];
        *bias = Entry::from_bytes("classifier.1.bias", dtype, &shape, bytes);
        // Of what is no parameter, any type is fine.
        entries.push(Entry::from_bytes("steps", dtype, &[1], vec![0; dtype.size()]));
        write_safetensors(&path, entries, &Default::default()).unwrap();
        let opened = Checkpoint::open(&path).unwrap();
        let refused = opened.to_transformers().unwrap_err().to_string();
        let expected = format!("tensor `classifier.1.bias`: is of type {dtype}, expected floating-point");
        assert!(refused.contains(&expected), "{refused}");
    }
}

#[test]
fn a_name_given_twice_is_refused_whatever_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let twice = || source.entries().into_iter().chain(source.entries()).collect();
    let config = options("preactivation").config.unwrap();
    let refusals = [
        write_onnx(&path, twice(), &config, None, &Default::default()).map(drop),
        write_npz(&path, twice()),
        write_pytorch(&path, twice()),
        write_burnpack(&path, twice(), &Default::default()),
    ];
    for refused in refusals {
        assert!(refused.unwrap_err().to_string().contains("was given twice"));
    }
}

#[test]
fn groups_that_no_tensor_shows_are_asked_for() {
    let source = Checkpoint::open(&fixture("google.npz")).unwrap();
    let message = source
        .to_transformers()
        .unwrap()
        .config()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("groups") && message.contains("config.json"),
        "{message}"
    );
}

#[test]
fn a_timm_folder_of_an_unpublished_shape_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("preactivation")).unwrap();
    let refused = convert(&source, folder.path(), Target::Timm, &ConvertOptions::default()).unwrap_err();
    assert!(
        refused.to_string().contains("six published architectures"),
        "{refused}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_configuration_that_the_tensors_contradict_is_refused_by_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let source = Checkpoint::open(&fixture("google.npz")).unwrap();
    assert_eq!(source.to_transformers().unwrap().dialect(), Dialect::GoogleNpz);
    let mut options = options("preactivation");
    options.config = options.config.map(|config| config.with_num_labels(7));
    let refused = convert(&source, folder.path(), Target::Transformers, &options)
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("resnet/head/conv2d/kernel") && refused.contains("[7, 24]"),
        "{refused}"
    );
}
