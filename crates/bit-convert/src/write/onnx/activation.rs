//! transformers' activations from ONNX's operators.

use super::graph::Attribute::Float;
use super::graph::Graph;
use bit_config::Activation;

/// Applies an activation to a value, or says why that cannot be.
pub(super) fn apply(graph: &mut Graph, activation: Activation, x: &str) -> Result<String, String> {
    Ok(match activation {
        Activation::Linear => x.to_owned(),
        Activation::Relu => graph.node("Relu", &[x], &[]),
        Activation::Tanh => graph.node("Tanh", &[x], &[]),
        Activation::Sigmoid => graph.node("Sigmoid", &[x], &[]),
        Activation::HardSwish => graph.node("HardSwish", &[x], &[]),
        Activation::LeakyRelu => graph.node("LeakyRelu", &[x], &[("alpha", Float(0.01))]),
        Activation::Relu6 => {
            let (low, high) = (graph.scalar(0.0), graph.scalar(6.0));
            let y = graph.node("Max", &[x, &low], &[]);
            graph.node("Min", &[&y, &high], &[])
        }
        Activation::Relu2 => {
            let y = graph.node("Relu", &[x], &[]);
            graph.node("Mul", &[&y, &y], &[])
        }
        Activation::Silu | Activation::Swish => gated(graph, x, 1.0),
        Activation::QuickGelu => gated(graph, x, 1.702),
        Activation::Gelu | Activation::GeluPython => {
            let y = scaled(graph, x, std::f32::consts::FRAC_1_SQRT_2);
            let y = graph.node("Erf", &[&y], &[]);
            half_of_one_more(graph, x, &y)
        }
        Activation::GeluNew
        | Activation::GeluFast
        | Activation::GeluPytorchTanh
        | Activation::GeluPythonTanh
        | Activation::GeluAccurate => {
            let square = graph.node("Mul", &[x, x], &[]);
            let cube = graph.node("Mul", &[&square, x], &[]);
            let cubic = scaled(graph, &cube, 0.044_715);
            let sum = graph.node("Add", &[x, &cubic], &[]);
            let y = scaled(graph, &sum, (2.0 / std::f32::consts::PI).sqrt());
            let y = graph.node("Tanh", &[&y], &[]);
            half_of_one_more(graph, x, &y)
        }
        other => return Err(format!("the activation `{other}` has no ONNX form here")),
    })
}

fn scaled(graph: &mut Graph, x: &str, factor: f32) -> String {
    let factor = graph.scalar(factor);
    graph.node("Mul", &[x, &factor], &[])
}

/// `x * sigmoid(factor * x)`
fn gated(graph: &mut Graph, x: &str, factor: f32) -> String {
    let y = scaled(graph, x, factor);
    let gate = graph.node("Sigmoid", &[&y], &[]);
    graph.node("Mul", &[x, &gate], &[])
}

/// `x / 2 * (1 + y)`
fn half_of_one_more(graph: &mut Graph, x: &str, y: &str) -> String {
    let one = graph.scalar(1.0);
    let gate = graph.node("Add", &[y, &one], &[]);
    let product = graph.node("Mul", &[x, &gate], &[]);
    scaled(graph, &product, 0.5)
}
