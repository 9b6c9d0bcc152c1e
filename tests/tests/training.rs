//! Training beside google-research/big_transfer's PyTorch code: the same start and the same batches give the same loss
//! at every step and the same weights at the end (`tests/reference/training.py` made the fixture).
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use bit_convert::Checkpoint;
use bit_model::named_parameters;
use bit_tests::training::train;
use burn::tensor::Device;

const LOSS_BAR: f32 = 1e-4;
/// Of the largest weight. The weights move by about 1e-3 of it in these steps, and agree within 1e-6.
const WEIGHT_BAR: f32 = 1e-5;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/training")
}

/// Whether 20 steps of a variant are those of the fixture.
fn assert_same_steps(variant: &str) {
    let expected = Checkpoint::open(&folder().join(format!("{variant}.safetensors"))).unwrap();
    let values = |name: &str| expected.read(name).unwrap().to_f32().unwrap();
    let (losses, trainer) = train(&folder(), variant, &Device::flex()).unwrap();
    for (step, (found, expected)) in losses.iter().zip(values("losses")).enumerate() {
        let difference = (found - expected).abs() / expected;
        assert!(
            difference <= LOSS_BAR,
            "step {step}: loss {found} instead of {expected}"
        );
    }
    let mut changed = 0;
    for parameter in named_parameters(&trainer.network()) {
        let expected = values(&parameter.name);
        let name = parameter.name.clone();
        let found = parameter.into_data();
        let largest = expected
            .iter()
            .fold(0_f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter::<f32>().zip(&expected) {
            assert!(
                (found - expected).abs() <= WEIGHT_BAR * largest,
                "{name}: {found} instead of {expected}"
            );
        }
        changed += usize::from(expected.iter().any(|value| *value != 0.0));
    }
    assert_eq!(
        changed,
        expected.tensors().len() - 1,
        "the fixture holds the losses and every parameter"
    );
}

#[test]
fn twenty_steps_are_those_of_big_transfer() {
    assert_same_steps("plain-split1");
}

#[test]
fn twenty_steps_with_mixup_are_those_of_big_transfer() {
    assert_same_steps("mixup-split1");
}

#[test]
fn a_split_batch_takes_the_steps_of_the_whole() {
    assert_same_steps("plain-split2");
    assert_same_steps("mixup-split2");
}
