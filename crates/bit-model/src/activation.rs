//! The activations of transformers' `ACT2FN` table, composed of Burn operations.

use std::f64::consts::{FRAC_2_PI, SQRT_2};

use bit_config::Activation;
use burn::tensor::{Tensor, activation};

/// Applies `function` to every element of `x`.
///
/// # Shapes
///
/// - x: any
/// - output: as `x`
pub fn activate<const D: usize>(function: Activation, x: Tensor<D>) -> Tensor<D> {
    match function {
        Activation::Gelu | Activation::GeluPython => activation::gelu(x),
        Activation::Gelu10 => activation::gelu(x).clamp(-10.0, 10.0),
        Activation::GeluFast => tanh_gelu(x, 0.797_884_560_8),
        Activation::GeluNew
        | Activation::GeluPytorchTanh
        | Activation::GeluPythonTanh
        | Activation::GeluAccurate => tanh_gelu(x, FRAC_2_PI.sqrt()),
        Activation::HardSwish => activation::hard_swish(x),
        Activation::Laplace => laplace(x),
        Activation::LeakyRelu => activation::leaky_relu(x, 0.01),
        Activation::Linear => x,
        Activation::Mish => x.clone() * softplus(x).tanh(),
        Activation::QuickGelu => x.clone() * activation::sigmoid(x * 1.702),
        Activation::Relu => activation::relu(x),
        Activation::Relu2 => activation::relu(x).square(),
        Activation::Relu6 => activation::relu6(x),
        Activation::Sigmoid => activation::sigmoid(x),
        Activation::Silu | Activation::Swish => activation::silu(x),
        Activation::SqrtSoftplus => softplus(x).sqrt(),
        Activation::Tanh => activation::tanh(x),
    }
}

fn tanh_gelu<const D: usize>(x: Tensor<D>, scale: f64) -> Tensor<D> {
    let cubic = x.clone() + x.clone().powi_scalar(3) * 0.044715;
    x * 0.5 * ((cubic * scale).tanh() + 1.0)
}

/// `ln(1 + exp(x))` in the form that neither overflows nor loses small values.
fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    activation::relu(x.clone()) + (-x.abs()).exp().log1p()
}

/// transformers' `LaplaceActivation` (MEGA, <https://arxiv.org/abs/2209.10655>), with its rounded constants.
fn laplace<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[allow(clippy::approx_constant)] // transformers' six digits, not sqrt(1/2)
    let (mean, sigma) = (0.707107, 0.282095);
    ((x - mean) / (sigma * SQRT_2)).erf() * 0.5 + 0.5
}
