#![allow(clippy::unwrap_used)]

use super::pointwise::pointwise_with;
use super::pool::{global_average_pool_with, max_pool_with};
use super::*;

/// Reproducible values: xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() >> 20) as usize % n
    }
    fn values(&mut self, n: usize) -> Vec<f32> {
        (0..n)
            .map(|_| (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0)
            .collect()
    }
    fn affine(&mut self, shape: Shape, relu: bool) -> Affine {
        let n = shape.images * shape.channels;
        Affine {
            scale: self.values(n),
            shift: self.values(n),
            relu,
        }
    }
}

fn close(actual: &[f32], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(*a) - e).abs() <= tolerance * largest,
            "{what}: value {i} is {a}, expected {e}"
        );
    }
}

fn value(input: Activations, image: usize, y: usize, x: usize, channel: usize) -> f64 {
    let Shape {
        height,
        width,
        channels,
        ..
    } = input.shape;
    let raw = f64::from(input.data[((image * height + y) * width + x) * channels + channel]);
    let Some(affine) = input.affine else { return raw };
    let at = image * channels + channel;
    let value = raw * f64::from(affine.scale[at]) + f64::from(affine.shift[at]);
    if affine.relu { value.max(0.0) } else { value }
}

/// What `f` makes of the taps under each output pixel and of the channel, `None` in the padding.
fn windows(
    input: Activations,
    window: Window,
    padding: Padding,
    channels: usize,
    f: impl Fn(&dyn Fn(usize, usize) -> Option<f64>, usize) -> f64,
) -> Vec<f64> {
    let shape = window.output(input.shape, padding, channels).unwrap();
    let mut out = Vec::new();
    for image in 0..shape.images {
        for (oy, ox) in (0..shape.height).flat_map(|y| (0..shape.width).map(move |x| (y, x))) {
            let tap = |tap: usize, channel: usize| {
                let y = oy * window.stride[0] + tap / window.kernel[1] * window.dilation[0];
                let x = ox * window.stride[1] + tap % window.kernel[1] * window.dilation[1];
                let (y, x) = (y.checked_sub(padding.top)?, x.checked_sub(padding.left)?);
                let inside = y < input.shape.height && x < input.shape.width;
                inside.then(|| value(input, image, y, x, channel))
            };
            out.extend((0..channels).map(|channel| f(&tap, channel)));
        }
    }
    out
}

fn naive_conv(
    input: Activations,
    weight: &[f32],
    bias: Option<&[f32]>,
    window: Window,
    padding: Padding,
    channels: usize,
) -> Vec<f64> {
    let (inputs, taps) = (input.shape.channels, window.taps());
    windows(input, window, padding, channels, |tap, channel| {
        let mut sum = bias.map_or(0.0, |bias| f64::from(bias[channel]));
        for (t, i) in (0..taps).flat_map(|t| (0..inputs).map(move |i| (t, i))) {
            sum += tap(t, i).unwrap_or(0.0) * f64::from(weight[(channel * inputs + i) * taps + t]);
        }
        sum
    })
}

fn naive_moments(data: &[f64], shape: Shape) -> (Vec<f64>, Vec<f64>) {
    let n = shape.pixels() as f64;
    let channel = |image: usize, c: usize| {
        let at = image * shape.pixels() * shape.channels + c;
        (0..shape.pixels()).map(move |p| at + p * shape.channels)
    };
    let all = || (0..shape.images).flat_map(|image| (0..shape.channels).map(move |c| (image, c)));
    let mean: Vec<f64> = all()
        .map(|(i, c)| channel(i, c).map(|at| data[at]).sum::<f64>() / n)
        .collect();
    let variance = all()
        .zip(&mean)
        .map(|((i, c), m)| channel(i, c).map(|at| (data[at] - m).powi(2)).sum::<f64>() / n);
    let variance = variance.collect();
    (mean, variance)
}

fn check_moments(moments: &Moments, data: &[f64], shape: Shape, what: &str) {
    let (mean, variance) = naive_moments(data, shape);
    close(&moments.mean, &mean, 1e-5, &format!("{what}: mean"));
    close(&moments.variance, &variance, 1e-5, &format!("{what}: variance"));
}

struct Case {
    shape: Shape,
    channels: usize,
    window: Window,
    padding: Padding,
}

/// The convolution on every instruction set, with and without normalization, bias and residual.
fn check_conv(random: &mut Random, case: &Case) {
    let Case {
        shape,
        channels,
        window,
        padding,
    } = *case;
    let Some(out) = window.output(shape, padding, channels) else {
        return;
    };
    let data = random.values(shape.len());
    let weight = random.values(channels * shape.channels * window.taps());
    let bias = random.values(channels);
    let residual = random.values(out.len());
    for variant in 0..4 {
        let affine = random.affine(shape, variant == 2);
        let plain = Activations::new(&data, shape);
        let input = if variant == 0 {
            plain
        } else {
            plain.normalized(&affine)
        };
        let bias = (variant == 3).then_some(bias.as_slice());
        let mut expected = naive_conv(input, &weight, bias, window, padding, channels);
        if variant >= 2 {
            expected
                .iter_mut()
                .zip(&residual)
                .for_each(|(e, r)| *e += f64::from(*r));
        }
        for isa in Isa::available() {
            let what = format!("{isa:?} {shape:?} -> {channels}, {window:?}, {padding:?}, variant {variant}");
            let conv = PreparedConv::with_isa(isa, &weight, channels, shape.channels, window, bias);
            let moments = if variant == 3 {
                let mut sum = residual.clone();
                let moments = conv.accumulate(input, padding, &mut sum, true);
                close(&sum, &expected, 1e-5, &what);
                moments
            } else {
                let residual = (variant == 2).then_some(residual.as_slice());
                let result = conv.forward(input, padding, residual, variant != 1);
                assert_eq!(result.shape, out, "{what}");
                close(&result.data, &expected, 1e-5, &what);
                result.moments
            };
            match moments {
                Some(moments) => check_moments(&moments, &expected, out, &what),
                None => assert_eq!(variant, 1),
            }
        }
    }
}

#[test]
fn convolution_matches_plain_loops_on_random_shapes() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let cases = if cfg!(miri) { 3 } else { 60 };
    for _ in 0..cases {
        let odd = random.below(2) == 0;
        let size = |random: &mut Random, most: usize| 1 + random.below(most);
        let inputs = if odd {
            size(&mut random, 20)
        } else {
            16 * size(&mut random, 3)
        };
        let shape = Shape::new(
            size(&mut random, 2),
            size(&mut random, 12),
            size(&mut random, 12),
            inputs,
        );
        let window = Window {
            kernel: [size(&mut random, 4), size(&mut random, 4)],
            stride: [size(&mut random, 3), size(&mut random, 3)],
            dilation: [size(&mut random, 2), size(&mut random, 2)],
        };
        let padding = Padding {
            top: random.below(4),
            bottom: random.below(4),
            left: random.below(4),
            right: random.below(4),
        };
        let channels = if odd {
            size(&mut random, 70)
        } else {
            32 * size(&mut random, 2)
        };
        check_conv(
            &mut random,
            &Case {
                shape,
                channels,
                window,
                padding,
            },
        );
    }
}

#[test]
fn three_by_three_matches_plain_loops() {
    let mut random = Random(77);
    let sizes: &[(usize, usize)] = if cfg!(miri) {
        &[(1, 1), (5, 4)]
    } else {
        &[(1, 1), (2, 3), (4, 4), (7, 7), (9, 14), (17, 12)]
    };
    for &(height, width) in sizes {
        for (inputs, channels) in [(16, 32), (3, 5), (33, 40), (32, 64), (64, 33), (160, 96)] {
            let images = 1 + random.below(3);
            let shape = Shape::new(images, height, width, inputs);
            let padding = if random.below(3) == 0 {
                Padding {
                    top: 2,
                    bottom: 0,
                    left: 1,
                    right: 3,
                }
            } else {
                Padding::same(1)
            };
            for window in [1, 2].map(|stride| Window::square(3, stride)) {
                check_conv(
                    &mut random,
                    &Case {
                        shape,
                        channels,
                        window,
                        padding,
                    },
                );
            }
        }
    }
}

#[test]
fn pointwise_convolution_matches_on_the_network_s_kinds_of_shape() {
    let mut random = Random(78);
    // Many pixels (tasks split pixels), few pixels (tasks split panels), tiles of which one is cut short, one pixel.
    let sizes: &[(usize, usize)] = if cfg!(miri) {
        &[(2, 3)]
    } else {
        &[(30, 31), (14, 14), (7, 7), (1, 3), (1, 1)]
    };
    for &(height, width) in sizes {
        for (inputs, channels, stride) in [(64, 64, 1), (96, 128, 2), (48, 96, 2), (10, 1000, 1)] {
            let shape = Shape::new(1, height, width, inputs);
            let window = Window::square(1, stride);
            check_conv(
                &mut random,
                &Case {
                    shape,
                    channels,
                    window,
                    padding: Padding::default(),
                },
            );
        }
    }
}

#[test]
fn the_stem_matches_plain_loops() {
    let mut random = Random(79);
    let uneven = Padding {
        top: 2,
        bottom: 4,
        left: 1,
        right: 0,
    };
    // One pixel, sides smaller than the window, outputs of whole tiles and of tiles that are cut.
    let sizes: &[(usize, usize)] = if cfg!(miri) {
        &[(5, 6)]
    } else {
        &[(1, 1), (3, 9), (19, 22), (32, 32), (24, 41)]
    };
    for &(height, width) in sizes {
        for (inputs, channels, kernel) in [
            (3, 64, 7),
            (4, 32, 7),
            (3, 32, 8),
            (3, 24, 7),
            (1, 32, 7),
            (5, 32, 7),
        ] {
            let shape = Shape::new(1 + random.below(2), height, width, inputs);
            for padding in [Padding::same(3), uneven] {
                let window = Window::square(kernel, 2);
                check_conv(
                    &mut random,
                    &Case {
                        shape,
                        channels,
                        window,
                        padding,
                    },
                );
            }
        }
    }
}

#[test]
fn four_by_four_matches_plain_loops() {
    let mut random = Random(86);
    let sizes: &[(usize, usize)] = if cfg!(miri) {
        &[(4, 4)]
    } else {
        &[(4, 4), (6, 13), (11, 10)]
    };
    for &(height, width) in sizes {
        for (inputs, channels) in [(16, 32), (48, 64), (160, 96)] {
            let padding = Padding::same(random.below(3));
            check_conv(
                &mut random,
                &Case {
                    shape: Shape::new(2, height, width, inputs),
                    channels,
                    window: Window::square(4, 1),
                    padding,
                },
            );
        }
    }
}

#[test]
fn max_pool_counts_the_zeros_around_the_image() {
    let mut random = Random(80);
    for (height, width, channels) in [(1, 1, 3), (6, 7, 16), (9, 5, 37)] {
        let shape = Shape::new(2, height, width, channels);
        let data: Vec<f32> = random.values(shape.len()).iter().map(|x| x - 0.8).collect();
        let affine = random.affine(shape, false);
        for input in [
            Activations::new(&data, shape),
            Activations::new(&data, shape).normalized(&affine),
        ] {
            let (window, padding) = (Window::square(3, 2), Padding::same(1));
            let expected = windows(input, window, padding, channels, |tap, channel| {
                (0..9)
                    .map(|t| tap(t, channel).unwrap_or(0.0))
                    .fold(f64::NEG_INFINITY, f64::max)
            });
            for isa in Isa::available() {
                let (actual, out, moments) = max_pool_with(isa, input, window, padding);
                close(&actual, &expected, 1e-6, &format!("{isa:?} {shape:?}"));
                check_moments(&moments, &expected, out, &format!("{isa:?} {shape:?}"));
            }
        }
    }
}

#[test]
fn passes_over_activations_match_plain_loops() {
    let mut random = Random(81);
    for (height, width, channels) in [(1, 1, 1), (3, 5, 37), (33, 9, 64), (2, 2, 300)] {
        let shape = Shape::new(2, height, width, channels);
        let (left, right) = (random.values(shape.len()), random.values(shape.len()));
        let affines = [random.affine(shape, false), random.affine(shape, true)];
        let left = Activations::new(&left, shape).normalized(&affines[0]);
        let right = Activations::new(&right, shape).normalized(&affines[1]);
        let read = |input| {
            windows(
                input,
                Window::square(1, 1),
                Padding::default(),
                channels,
                |tap, c| tap(0, c).unwrap(),
            )
        };
        let (l, r) = (read(left), read(right));
        let sum: Vec<f64> = l.iter().zip(&r).map(|(l, r)| (l + r).max(0.0)).collect();
        let (average, _) = naive_moments(&r, shape);
        for isa in Isa::available() {
            let what = format!("{isa:?} {shape:?}");
            close(&pointwise_with(isa, left, None, false), &l, 1e-6, &what);
            close(&pointwise_with(isa, left, Some(right), true), &sum, 1e-6, &what);
            close(&global_average_pool_with(isa, right), &average, 1e-5, &what);
            check_moments(
                &super::moments::moments_with(isa, left.data, shape),
                &left.data.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
                shape,
                &what,
            );
        }
    }
}

#[test]
fn group_norm_of_moments_is_group_norm() {
    let mut random = Random(82);
    let shape = Shape::new(2, 5, 3, 12);
    let data: Vec<f32> = random.values(shape.len()).iter().map(|x| x * 3.0 + 2.0).collect();
    let (weight, bias) = (random.values(12), random.values(12));
    let affine = moments(&data, shape).group_norm(4, &weight, &bias, 1e-5, true);
    let actual = normalize(Activations::new(&data, shape).normalized(&affine));
    let group = |at: usize| {
        let (image, group) = (at / (15 * 12), at % 12 / 3);
        (0..data.len()).filter(move |i| i / (15 * 12) == image && i % 12 / 3 == group)
    };
    let expected: Vec<f64> = (0..data.len())
        .map(|at| {
            let values: Vec<f64> = group(at).map(|i| f64::from(data[i])).collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
            let normal = (f64::from(data[at]) - mean) / (variance + 1e-5).sqrt();
            (normal * f64::from(weight[at % 12]) + f64::from(bias[at % 12])).max(0.0)
        })
        .collect();
    close(&actual, &expected, 1e-5, "group norm");
}

#[test]
fn statistics_survive_a_mean_far_from_zero() {
    let shape = Shape::new(1, 40, 40, 16);
    let data: Vec<f32> = Random(83)
        .values(shape.len())
        .iter()
        .map(|x| x + 1000.0)
        .collect();
    let exact: Vec<f64> = data.iter().map(|&x| f64::from(x)).collect();
    let (_, variance) = naive_moments(&exact, shape);
    close(&moments(&data, shape).variance, &variance, 1e-3, "moments");
    // An identity convolution gathers them through the micro-kernel.
    let weight: Vec<f32> = (0..256)
        .map(|i| if i / 16 == i % 16 { 1.0 } else { 0.0 })
        .collect();
    for isa in Isa::available() {
        let conv = PreparedConv::with_isa(isa, &weight, 16, 16, Window::square(1, 1), None);
        let out = conv.forward(Activations::new(&data, shape), Padding::default(), None, true);
        close(&out.moments.unwrap().variance, &variance, 1e-3, "convolution");
    }
}

#[test]
fn relu_keeps_not_a_number() {
    let shape = Shape::new(1, 1, 20, 1);
    let data = vec![f32::NAN; 20];
    let affine = Affine {
        scale: vec![1.0],
        shift: vec![0.0],
        relu: true,
    };
    assert!(
        normalize(Activations::new(&data, shape).normalized(&affine))
            .iter()
            .all(|x| x.is_nan())
    );
    let wide = Shape::new(1, 1, 1, 20);
    let affine = Affine {
        scale: vec![1.0; 20],
        shift: vec![0.0; 20],
        relu: true,
    };
    for isa in Isa::available() {
        let out = pointwise_with(isa, Activations::new(&data, wide).normalized(&affine), None, true);
        assert!(out.iter().all(|x| x.is_nan()), "{isa:?}");
    }
}

#[test]
fn layouts_are_each_other_s_inverse() {
    let shape = Shape::new(2, 5, 7, 37);
    let data = Random(84).values(shape.len());
    let last = to_channels_last(&data, shape);
    assert_eq!(last[37 + 3], data[3 * 35 + 1], "pixel 1 of channel 3");
    assert_eq!(*to_channels_first(&last, shape), data);
}

#[test]
fn a_standardized_filter_has_zero_mean_and_unit_variance() {
    let mut weight = Random(85).values(4 * 27);
    standardize_weight(&mut weight, 4, 1e-8);
    for filter in weight.chunks(27) {
        let mean = filter.iter().map(|&w| f64::from(w)).sum::<f64>() / 27.0;
        let variance = filter.iter().map(|&w| (f64::from(w) - mean).powi(2)).sum::<f64>() / 27.0;
        assert!(
            mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5,
            "{mean} {variance}"
        );
    }
}
