//! Gradients of our own against Burn's, of the same layers over tensors.

#![allow(clippy::unwrap_used)]

use burn::module::Param;
use burn::tensor::{Device, Distribution, Gradients, Tensor, TensorData};

use crate::{
    FeatureMap, GroupNorm, Pad, PreparedWeight, StandardizedConv, Then, add, add_relu, global_average_pool,
    max_pool, pad_zeros,
};

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.2, 1.0), &Device::flex())
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
    let x = random(shape);
    let slopes = random(network(FeatureMap::Tensor(Tensor::from_inner(x.clone()))).dims());
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

#[test]
fn convolutions_of_every_kind_have_burns_gradients() {
    let kinds = [
        // channels, inputs, kernel, stride, dilation, padding
        ([7, 5, 1], 1, 1, 0),
        ([64, 32, 1], 1, 1, 0),
        ([20, 33, 1], 2, 1, 0),
        ([64, 32, 3], 1, 1, 1),
        ([6, 4, 3], 1, 1, 1),
        ([64, 64, 3], 2, 1, 1),
        ([5, 9, 3], 2, 1, 1),
        ([32, 16, 3], 1, 2, 2),
        ([16, 3, 7], 2, 1, 3),
        ([4, 3, 3], 3, 2, 0),
        ([4, 3, 1], 2, 1, 1),
        ([8, 8, 2], 1, 1, 0),
    ];
    for (sizes, stride, dilation, pad) in kinds {
        let conv = Conv::new(sizes, stride, dilation);
        for [batch, height, width] in [[1, 9, 6], [3, 7, 11], [2, 16, 16]] {
            let what = format!("{sizes:?} / {stride} x {dilation} + {pad} of {batch} {height}x{width}");
            check(
                &what,
                [batch, sizes[1], height, width],
                &[conv.gradient_of()],
                |x| conv.forward(x, [(pad, pad); 2], Then::Norm).into_tensor(),
            );
        }
    }
}

#[test]
fn a_padding_that_differs_on_each_side_is_taken_back() {
    for (kernel, stride) in [(3, 1), (3, 2), (2, 1), (7, 2)] {
        let conv = Conv::new([5, 4, kernel], stride, 1);
        check(
            &format!("{kernel} / {stride}"),
            [2, 4, 10, 9],
            &[conv.gradient_of()],
            |x| conv.forward(x, [(0, 1), (1, 0)], Then::Norm).into_tensor(),
        );
    }
}

#[test]
fn norms_with_and_without_relu_have_burns_gradients() {
    for (channels, groups) in [(6, 3), (32, 8), (48, 1), (17, 17)] {
        let norm = Norm::new(channels, groups);
        for (relu, [height, width]) in [(true, [5, 3]), (false, [12, 13]), (true, [1, 2])] {
            let what = format!("{channels} in {groups}, ReLU {relu}, {height}x{width}");
            let parameters = [of(&norm.weight), of(&norm.bias)];
            check(&what, [3, channels, height, width], &parameters, |x| {
                norm.forward(x, relu).into_tensor()
            });
        }
    }
}

#[test]
fn pools_and_sums_have_burns_gradients() {
    check("max", [2, 5, 9, 8], &[], |x| {
        max_pool(x, 3, 2, [(1, 1); 2]).into_tensor()
    });
    check("max, one side", [2, 16, 7, 7], &[], |x| {
        max_pool(x, 3, 2, [(0, 1), (1, 0)]).into_tensor()
    });
    check("average", [2, 5, 4, 3], &[], global_average_pool);
    check("sum", [2, 5, 4, 3], &[], |x| add(x.clone(), x).into_tensor());
    check("sum, ReLU", [2, 5, 4, 3], &[], |x| {
        add_relu(max_pool(x.clone(), 1, 1, [(0, 0); 2]), x).into_tensor()
    });
    check("zeros around", [2, 3, 4, 5], &[], |x| {
        pad_zeros(x, [(1, 2), (0, 1)]).into_tensor()
    });
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
