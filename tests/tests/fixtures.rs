//! Every committed fixture, on every device that is compiled in, within the bars of the design.
#![allow(clippy::unwrap_used)]

use bit_model::{BitForImageClassification, named_parameters};
use bit_tests::fixtures::{Case, Difference, assert_within, case, cases, relative_difference};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::collections::HashMap;

const FLEX_BAR: f64 = 1e-4;
#[cfg(any(feature = "ndarray", feature = "wgpu"))]
const OTHER_BAR: f64 = 1e-3;
const GRADIENT_BAR: f64 = 1e-3;

fn all(device: &Device) -> Vec<Difference> {
    cases().iter().flat_map(|case| case.differences(device)).collect()
}

#[test]
fn every_case_agrees_with_transformers_on_flex() {
    assert_within(FLEX_BAR, all(&Device::flex()));
}

#[cfg(feature = "ndarray")]
#[test]
#[allow(deprecated)]
fn every_case_agrees_with_transformers_on_ndarray() {
    assert_within(OTHER_BAR, all(&Device::ndarray()));
}

#[cfg(feature = "wgpu")]
#[test]
fn every_case_agrees_with_transformers_on_wgpu() {
    assert_within(OTHER_BAR, all(&bit_tests::runner::device("wgpu").unwrap()));
}

fn loss_cases() -> impl Iterator<Item = Case> {
    cases().into_iter().filter(|case| case.has("loss"))
}

#[test]
fn losses_of_all_problem_types_agree_with_transformers() {
    let device = Device::flex();
    let losses = loss_cases().map(|case| {
        let model = case.load::<BitForImageClassification>(&device);
        let x = case.tensor("pixel_values", &device);
        let output = model.forward_with_labels(x, case.labels(&device)).unwrap();
        let loss = output.loss.unwrap().into_data();
        Difference {
            relative: relative_difference(&loss, &case.data("loss")),
            what: case.name.clone(),
        }
    });
    let losses: Vec<Difference> = losses.collect();
    assert!(losses.len() >= 7, "only {} loss cases", losses.len());
    assert_within(GRADIENT_BAR, losses);
}

/// The gradient of every parameter, by name.
struct Collector<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: HashMap<String, Option<TensorData>>,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        let name = if container.starts_with("Enum:") { "" } else { name };
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self
            .path
            .iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(".");
        let gradient = param.val().grad(self.gradients).map(Tensor::into_data);
        self.found.insert(name, gradient);
    }
}

fn gradients(case: &Case) -> HashMap<String, Option<TensorData>> {
    let device = Device::flex().autodiff();
    let model = case.load::<BitForImageClassification>(&device);
    let x = case.tensor("pixel_values", &device);
    let loss = model
        .forward_with_labels(x, case.labels(&device))
        .unwrap()
        .loss
        .unwrap();
    let gradients = loss.backward();
    let mut collector = Collector {
        gradients: &gradients,
        path: Vec::new(),
        found: HashMap::new(),
    };
    model.visit(&mut collector);
    assert_eq!(collector.found.len(), named_parameters(&model).len());
    collector.found
}

#[test]
fn backward_reaches_every_parameter_for_the_three_problem_types() {
    for name in ["loss-regression", "loss-single-label", "loss-multi-label"] {
        for (parameter, gradient) in gradients(&case(name)) {
            let gradient = gradient.unwrap_or_else(|| panic!("{name}: no gradient for {parameter}"));
            assert!(gradient.iter::<f32>().all(f32::is_finite), "{name}: {parameter}");
            assert!(
                gradient.iter::<f32>().any(|value| value != 0.0),
                "{name}: {parameter} is all zero"
            );
        }
    }
}

#[test]
fn gradients_agree_with_transformers() {
    let mut differences = Vec::new();
    for case in loss_cases().filter(|case| {
        case.expected
            .tensors()
            .iter()
            .any(|t| t.name.starts_with("grads."))
    }) {
        for (parameter, gradient) in gradients(&case) {
            let expected = case.data(&format!("grads.{parameter}"));
            let relative = relative_difference(&gradient.unwrap(), &expected);
            differences.push(Difference {
                what: format!("{} {parameter}", case.name),
                relative,
            });
        }
    }
    assert_within(GRADIENT_BAR, differences);
}
