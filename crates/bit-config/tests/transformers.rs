//! Agreement with transformers 5.23: plans, parameters, messages and names, from
//! `make_transformers_plans.py`.
#![allow(clippy::unwrap_used)]

use bit_config::{Activation, BitConfig};
use serde_json::{Value, json};

fn reference() -> Value {
    serde_json::from_str(include_str!("transformers_plans.json")).unwrap()
}

/// All cases: the configuration as read from transformers' own file, and what transformers built from it.
fn plans() -> Vec<(BitConfig, Value)> {
    let plans = reference()["plans"].as_array().unwrap().clone();
    let read = |plan: Value| {
        (
            BitConfig::from_json(plan["config"].as_str().unwrap()).unwrap(),
            plan,
        )
    };
    plans.into_iter().map(read).collect()
}

#[test]
fn parameters_have_transformers_names_shapes_and_order() {
    for (config, plan) in plans() {
        let ours: Vec<_> = config
            .parameters()
            .into_iter()
            .map(|p| json!([p.name, p.shape]))
            .collect();
        assert_eq!(Value::from(ours), plan["parameters"], "{}", config.to_json());
    }
}

#[test]
fn strides_dilations_and_drop_path_rates_are_transformers() {
    for (config, plan) in plans() {
        let blocks = config.stages().into_iter().map(|stage| {
            let block = stage
                .blocks
                .iter()
                .map(|b| json!([b.stride, b.dilation, b.drop_path_rate]));
            block.collect::<Value>()
        });
        assert_eq!(blocks.collect::<Value>(), plan["blocks"], "{}", config.to_json());
    }
}

#[test]
fn writing_keeps_every_key_of_transformers_file() {
    for (config, plan) in plans() {
        let theirs: Value = serde_json::from_str(plan["config"].as_str().unwrap()).unwrap();
        let ours: Value = serde_json::from_str(&config.to_json()).unwrap();
        for (key, value) in theirs.as_object().unwrap() {
            // transformers leaves `label2id` empty when only `id2label` was given; here it is derived.
            let derived = key == "label2id" && value.is_null();
            assert!(
                derived || &ours[key] == value,
                "{key}: {} instead of {value}",
                ours[key]
            );
        }
    }
}

#[test]
fn refused_configurations_get_transformers_message() {
    for case in reference()["refused"].as_array().unwrap() {
        let message = BitConfig::from_json(&case["config"].to_string())
            .unwrap_err()
            .to_string();
        assert_eq!(message, case["message"].as_str().unwrap());
    }
}

#[test]
fn all_activations_of_transformers_without_parameters_are_known() {
    let mut known: Vec<&str> = Activation::ALL.iter().map(|act| act.name()).collect();
    known.extend(["prelu", "xielu"]);
    known.sort_unstable();
    let reference = reference();
    let mut theirs: Vec<&str> = reference["activations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    theirs.sort_unstable();
    assert_eq!(known, theirs);
}

#[test]
fn wide_models_scale_norm_and_head() {
    let wide = BitConfig {
        width_factor: 3,
        ..BitConfig::default()
    }
    .with_num_labels(10);
    let parameters = wide.parameters();
    let shape = |name: &str| parameters.iter().find(|p| p.name == name).unwrap().shape.clone();
    assert_eq!(shape("bit.norm.weight"), [6144]);
    assert_eq!(shape("classifier.1.weight"), [10, 6144]);
    assert_eq!(wide.stem_channels(), 64);
    assert!(wide.validate().is_ok());
}
