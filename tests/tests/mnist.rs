//! The builtin model, and an older one from a folder, on the 1000 MNIST test pictures, from PNG bytes to logits.
#![allow(clippy::unwrap_used)]

use bit_convert::Checkpoint;
use bit_image::{ImageInput, PreprocessOptions, ProcessorKind};
use bit_model::BitForImageClassification;
use bit_pretrained::{LoadOptions, Pretrained};
use bit_tests::fixtures::{folder, relative_difference};
use burn::tensor::{DType, Device, Tensor, TensorData};

struct Mnist {
    pictures: Vec<Vec<u8>>,
    labels: Vec<i64>,
    logits: TensorData,
}

fn mnist() -> Mnist {
    let file = Checkpoint::open(&folder().join("mnist/test.safetensors")).unwrap();
    let integers = |name: &str| {
        let bytes = file.read(name).unwrap().bytes;
        bytes
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<i64>>()
    };
    let png = file.read("png").unwrap().bytes;
    let offsets = integers("offsets");
    let pictures = offsets
        .windows(2)
        .map(|o| png[o[0] as usize..o[1] as usize].to_vec())
        .collect();
    Mnist {
        pictures,
        labels: integers("labels"),
        logits: stored_logits(&file),
    }
}

fn stored_logits(file: &Checkpoint) -> TensorData {
    let logits = file.read("logits").unwrap();
    TensorData::from_bytes_vec(logits.bytes, logits.shape, DType::F32)
}

fn logits(model: &str, pictures: &[Vec<u8>]) -> TensorData {
    let device = Device::flex();
    let pretrained = Pretrained::open(model).unwrap();
    let loaded = pretrained
        .load::<BitForImageClassification>(LoadOptions::default(), &device)
        .unwrap();
    let processor = pretrained.processor(ProcessorKind::Pil).unwrap();
    let batches = pictures.chunks(100).map(|batch| {
        let inputs: Vec<ImageInput> = batch
            .iter()
            .map(|bytes| ImageInput::Bytes(bytes.into()))
            .collect();
        let pixels = processor
            .preprocess(&inputs, &PreprocessOptions::default())
            .unwrap();
        let pixels = Tensor::from_data(TensorData::new(pixels.data, pixels.shape), &device);
        loaded.model.forward(pixels).unwrap().logits
    });
    Tensor::cat(batches.collect(), 0).into_data()
}

fn predictions(logits: &TensorData) -> Vec<i64> {
    let scores: Vec<f32> = logits.iter().collect();
    let best = |row: &[f32]| (0..10).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as i64;
    scores.chunks_exact(10).map(best).collect()
}

fn assert_same_answers(found: &TensorData, expected: &TensorData) {
    let relative = relative_difference(found, expected);
    assert!(relative <= 1e-4, "logits differ by {relative} of the largest");
    assert_eq!(predictions(found), predictions(expected));
}

#[test]
fn a_thousand_pictures_get_transformers_logits_and_predictions() {
    let mnist = mnist();
    assert_same_answers(&logits("builtin:mnist", &mnist.pictures), &mnist.logits);
}

#[test]
fn a_folder_that_transformers_wrote_gets_its_logits_and_predictions() {
    let saved = folder().join("mnist/bit-tiny-mnist");
    let expected = stored_logits(&Checkpoint::open(&saved.join("expected.safetensors")).unwrap());
    let found = logits(saved.to_str().unwrap(), &mnist().pictures);
    assert_same_answers(&found, &expected);
}

#[test]
fn the_builtin_model_recognises_979_of_1000_digits() {
    let mnist = mnist();
    let right = predictions(&logits("builtin:mnist", &mnist.pictures))
        .iter()
        .zip(&mnist.labels)
        .filter(|(a, b)| a == b)
        .count();
    assert_eq!(right, 979);
}
