//! Gradients of our own against Burn's, of the same layers over tensors.

#![allow(clippy::unwrap_used)]

use std::cell::Cell;

use burn::module::Param;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{
    FeatureMap, GroupNorm, Pad, PreparedWeight, StandardizedConv, Then, add, add_relu, global_average_pool,
    max_pool, pad_zeros,
};

thread_local! {
    /// Of a test's own generator: Burn's is one for all threads.
    static BITS: Cell<u64> = const { Cell::new(1) };
}

/// A number of mean 0.2 and deviation 1, close to normally distributed.
fn number() -> f32 {
    let uniform = |_| {
        let bits = BITS
            .get()
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        BITS.set(bits);
        (bits >> 40) as f32 / (1_u64 << 24) as f32
    };
    let sum: f32 = (0..4).map(uniform).sum();
    0.2 + (sum - 2.0) * 3_f32.sqrt()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| number()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// A parameter on the device that records gradients.
fn param<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_inner(random(shape)))
}

struct Conv {
    weight: Param<Tensor<4>>,
    prepared: PreparedWeight,
    stride: usize,
    dilation: usize,
}

impl Conv {
    fn new([channels, inputs, kernel]: [usize; 3], stride: usize, dilation: usize) -> Conv {
        Conv {
            weight: param([channels, inputs, kernel, kernel]),
            prepared: PreparedWeight::default(),
            stride,
            dilation,
        }
    }

    fn forward(&self, x: FeatureMap, pads: [Pad; 2], then: Then) -> FeatureMap {
        let layer = StandardizedConv {
            weight: &self.weight,
            prepared: &self.prepared,
            eps: 1e-8,
            stride: self.stride,
            dilation: self.dilation,
        };
        layer.forward(x, pads, then)
    }

    fn gradient_of(&self) -> Gradient<'_> {
        of(&self.weight)
    }
}

struct Norm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    groups: usize,
}

impl Norm {
    fn new(channels: usize, groups: usize) -> Norm {
        Norm {
            weight: param([channels]),
            bias: param([channels]),
            groups,
        }
    }

    fn forward(&self, x: FeatureMap, relu: bool) -> FeatureMap {
        let layer = GroupNorm {
            weight: &self.weight,
            bias: &self.bias,
            groups: self.groups,
            eps: 1e-5,
        };
        match relu {
            true => layer.forward_relu(x),
            false => layer.forward(x),
        }
    }
}

type Gradient<'a> = Box<dyn Fn(&Gradients) -> Option<TensorData> + 'a>;

fn of<'a, const D: usize>(param: &'a Param<Tensor<D>>) -> Gradient<'a> {
    Box::new(|gradients| param.val().grad(gradients).map(Tensor::into_data))
}

/// Runs `network` over both forms of one input and compares the output and the gradients of the input and of
/// `parameters`.
fn check(
    what: &str,
    shape: [usize; 4],
    parameters: &[Gradient<'_>],
    network: impl Fn(FeatureMap) -> Tensor<4>,
) {
    check_where(|output| output.ones_like(), what, shape, parameters, network);
}

/// As [`check`], with gradients only where `matters`, a function of the output, is one.
fn check_where(
    matters: impl Fn(Tensor<4>) -> Tensor<4>,
    what: &str,
    shape: [usize; 4],
    parameters: &[Gradient<'_>],
    network: impl Fn(FeatureMap) -> Tensor<4>,
) {
    let x = random(shape);
    let output = network(FeatureMap::Tensor(Tensor::from_inner(x.clone()))).inner();
    let slopes = random(output.dims()) * matters(output);
    let run = |form: fn(Tensor<4>) -> FeatureMap| {
        let x = Tensor::<4>::from_inner(x.clone()).require_grad();
        let map = form(x.clone());
        let recorded = matches!(map, FeatureMap::Recorded(_));
        let output = network(map);
        let gradients = (output.clone() * Tensor::from_inner(slopes.clone()))
            .sum()
            .backward();
        let mut found = vec![output.into_data(), x.grad(&gradients).unwrap().into_data()];
        found.extend(parameters.iter().map(|parameter| parameter(&gradients).unwrap()));
        (recorded, found)
    };
    let (_, expected) = run(FeatureMap::Tensor);
    let (recorded, found) = run(FeatureMap::fastest);
    assert!(recorded, "the fast kernels ran");
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(found.shape(), expected.shape(), "{what}, tensor {i}");
        let largest = expected
            .iter::<f32>()
            .fold(1e-3, |most: f32, value| most.max(value.abs()));
        for (at, (found, expected)) in found.iter::<f32>().zip(expected.iter::<f32>()).enumerate() {
            assert!(
                (found - expected).abs() <= 2e-4 * largest,
                "{what}, tensor {i}, value {at}: {found} is not {expected}"
            );
        }
    }
}

#[test]
fn a_tensor_that_becomes_a_map_and_a_tensor_again_passes_its_gradient_on() {
    check("ends", [2, 3, 5, 4], &[], |x| x.into_tensor() * 3.0);
    check("one form", [1, 2, 3, 3], &[], |x| {
        x.map_tensor(|x| x * 2.0).into_tensor()
    });
}

/// Shape of an input, `[batch, channels, height, width]`, with sides of at least `least`.
fn inputs(channels: impl Strategy<Value = usize>, least: usize) -> impl Strategy<Value = [usize; 4]> {
    (1_usize..=3, channels, least..=least + 13, least..=least + 13).prop_map(|(b, c, h, w)| [b, c, h, w])
}

/// Numbers of channels that fill vectors and tiles, and that do not.
fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..=9, select(vec![16, 20, 32, 33, 48, 64])]
}

/// Padding of each side, less than the kernel.
fn pads(kernel: usize) -> impl Strategy<Value = [Pad; 2]> {
    let pad = || (0..kernel, 0..kernel);
    // The same on all sides, as networks have it, is its own path in places.
    prop_oneof![(0..kernel).prop_map(|pad| [(pad, pad); 2]), [pad(), pad()]]
}

/// A convolution: `[channels, inputs, kernel]`, stride, dilation, padding, and its input's shape.
fn convolutions() -> impl Strategy<Value = ([usize; 3], usize, usize, [Pad; 2], [usize; 4])> {
    let kernels = prop_oneof![3 => Just(3_usize), 2 => Just(1), 1 => select(vec![2, 5, 7])];
    let sizes = (
        kernels,
        1_usize..=3,
        prop_oneof![4 => Just(1_usize), 1 => Just(2)],
    );
    sizes.prop_flat_map(|(kernel, stride, dilation)| {
        let input = inputs(channels(), (kernel - 1) * dilation + 1);
        // The deviation of a handful of weights can be next to nothing, and what is divided by it anything.
        let input = input.prop_filter("few weights", move |input| input[1] * kernel * kernel >= 6);
        (channels(), pads(kernel), input).prop_map(move |(channels, pads, input)| {
            ([channels, input[1], kernel], stride, dilation, pads, input)
        })
    })
}

/// Channels, their groups, and an input's shape, with at least six values a group.
fn norms() -> impl Strategy<Value = (usize, usize, [usize; 4])> {
    (1_usize..=8, prop_oneof![1_usize..=9, select(vec![16, 32])]).prop_flat_map(|(size, groups)| {
        let input = inputs(Just(size * groups), 1);
        let input = input.prop_filter("few values", move |[_, _, h, w]| size * h * w >= 6);
        input.prop_map(move |input| (size * groups, groups, input))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn convolutions_of_every_kind_have_burns_gradients(
        (sizes, stride, dilation, pads, input) in convolutions()
    ) {
        let conv = Conv::new(sizes, stride, dilation);
        check("convolution", input, &[conv.gradient_of()], |x| {
            conv.forward(x, pads, Then::Norm).into_tensor()
        });
    }

    #[test]
    fn norms_with_and_without_relu_have_burns_gradients((channels, groups, input) in norms(), relu: bool) {
        let norm = Norm::new(channels, groups);
        // Rounding decides on which side of a ReLU an output next to zero is.
        let matters = |output: Tensor<4>| output.abs().greater_elem(1e-3).float();
        let parameters = [of(&norm.weight), of(&norm.bias)];
        check_where(matters, "norm", input, &parameters, |x| norm.forward(x, relu).into_tensor());
    }

    #[test]
    fn pools_and_sums_have_burns_gradients(
        (kernel, pads, input) in (1_usize..=3).prop_flat_map(|kernel| {
            (Just(kernel), pads(kernel), inputs(channels(), kernel))
        }),
        stride in 1_usize..=2,
    ) {
        check("max", input, &[], |x| max_pool(x, kernel, stride, pads).into_tensor());
        check("average", input, &[], global_average_pool);
        check("sum", input, &[], |x| add(x.clone(), x).into_tensor());
        check("sum, ReLU", input, &[], |x| {
            add_relu(max_pool(x.clone(), 1, 1, [(0, 0); 2]), x).into_tensor()
        });
        check("zeros around", input, &[], |x| pad_zeros(x, pads).into_tensor());
    }
}

#[test]
fn whole_blocks_have_burns_gradients() {
    let [norm1, norm2] = [Norm::new(32, 4), Norm::new(16, 4)];
    let [shortcut, conv1] = [Conv::new([32, 32, 1], 1, 1), Conv::new([16, 32, 1], 1, 1)];
    let conv2 = Conv::new([32, 16, 3], 1, 1);
    let parameters = || {
        vec![
            of(&norm1.weight),
            of(&norm1.bias),
            of(&norm2.weight),
            of(&norm2.bias),
            shortcut.gradient_of(),
            conv1.gradient_of(),
            conv2.gradient_of(),
        ]
    };
    let [none, same] = [[(0, 0); 2], [(1, 1); 2]];
    for projected in [true, false] {
        let parameters = parameters().into_iter().enumerate();
        let parameters: Vec<_> = parameters
            .filter(|(i, _)| projected || *i != 4)
            .map(|(_, p)| p)
            .collect();
        check("block", [2, 32, 8, 6], &parameters, |x| {
            let preact = norm1.forward(x.clone(), true);
            let shortcut = match projected {
                true => shortcut.forward(preact.clone(), none, Then::Shortcut),
                false => x,
            };
            let x = norm2.forward(conv1.forward(preact, none, Then::Norm), true);
            let sum = conv2.forward(x, same, Then::AddOnto(shortcut));
            global_average_pool(sum.clone()) + sum.into_tensor()
        });
    }
}

#[test]
fn frozen_parameters_and_inputs_get_no_gradient_and_the_others_theirs() {
    let (conv, norm) = (Conv::new([8, 4, 3], 1, 1), Norm::new(4, 2));
    let frozen = Conv {
        weight: conv.weight.clone().set_require_grad(false),
        ..Conv::new([8, 4, 3], 1, 1)
    };
    let x = || Tensor::<4>::from_inner(Tensor::ones([1, 4, 5, 5], &Device::flex()) * random([1, 4, 5, 5]));
    let run = |conv: &Conv, x: Tensor<4>| {
        let x = norm.forward(FeatureMap::fastest(x), true);
        conv.forward(x, [(1, 1); 2], Then::Norm)
            .into_tensor()
            .square()
            .sum()
            .backward()
    };
    let gradients = run(&frozen, x());
    assert!(frozen.weight.val().grad(&gradients).is_none());
    assert!(norm.weight.val().grad(&gradients).is_some());
    let gradients = run(&conv, x());
    assert!(conv.weight.val().grad(&gradients).is_some());
}

#[test]
fn a_graph_that_is_dropped_before_its_backward_leaves_the_next_one_alone() {
    let conv = Conv::new([4, 4, 3], 1, 1);
    let forward = || {
        let x = Tensor::<4>::from_inner(Tensor::ones([1, 4, 5, 5], &Device::flex()));
        conv.forward(FeatureMap::fastest(x), [(1, 1); 2], Then::Norm)
            .into_tensor()
            .sum()
    };
    let first = forward().backward();
    drop(forward());
    let second = forward().backward();
    let of = |gradients| conv.weight.val().grad(gradients).unwrap().into_data();
    of(&first).assert_eq(&of(&second), true);
}
