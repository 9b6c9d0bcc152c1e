//! The kernels alone, on R50x1's shapes at 224: `cargo bench -p bit-kernels`. Throughput counts multiplications and
//! additions of the plain algorithm, so that Winograd's shows as more than the machine's peak.

use std::hint::black_box;

use bit_kernels::cpu::{
    Activations, Affine, Isa, Padding, PreparedConv, Shape, Window, global_average_pool, keep_awake,
    max_pool, moments, standardize_weight,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Name, side of the input, input and output channels, kernel, stride, padding.
const CONVOLUTIONS: [(&str, usize, [usize; 2], [usize; 3]); 8] = [
    ("stem 7x7/2", 224, [3, 64], [7, 2, 3]),
    ("stage 1, 1x1", 56, [64, 256], [1, 1, 0]),
    ("stage 1, 3x3", 56, [64, 64], [3, 1, 1]),
    ("stage 2, 3x3/2", 56, [128, 128], [3, 2, 1]),
    ("stage 2, 3x3", 28, [128, 128], [3, 1, 1]),
    ("stage 3, 1x1", 14, [1024, 256], [1, 1, 0]),
    ("stage 3, 3x3", 14, [256, 256], [3, 1, 1]),
    ("stage 4, 1x1", 7, [512, 2048], [1, 1, 0]),
];

/// Values between -1 and 1 without a pattern that a kernel could profit from.
fn values(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0)
        .collect()
}

fn affine(shape: Shape) -> Affine {
    let channels = shape.images * shape.channels;
    Affine {
        scale: values(channels),
        shift: values(channels),
        relu: true,
    }
}

fn convolutions(criterion: &mut Criterion) {
    for isa in Isa::available() {
        let mut group = criterion.benchmark_group(format!("convolution, {}", isa.name()));
        group.sample_size(10);
        for (name, side, [inputs, channels], [kernel, stride, padding]) in CONVOLUTIONS {
            let (shape, window) = (Shape::new(1, side, side, inputs), Window::square(kernel, stride));
            let (data, affine) = (values(shape.len()), affine(shape));
            let weight = values(channels * inputs * window.taps());
            let conv = PreparedConv::with_isa(isa, &weight, channels, inputs, window, None);
            let padding = Padding::same(padding);
            let out = window.output(shape, padding, channels).expect("the window fits");
            group.throughput(Throughput::Elements(
                (2 * out.len() * inputs * window.taps()) as u64,
            ));
            let input = Activations::new(&data, shape).normalized(&affine);
            group.bench_function(name, |bencher| {
                keep_awake(|| bencher.iter(|| conv.forward(black_box(input), padding, None, true)));
            });
        }
    }
}

fn passes(criterion: &mut Criterion) {
    let stem = Shape::new(1, 112, 112, 64);
    let last = Shape::new(1, 7, 7, 2048);
    let (data, affine) = (values(stem.len()), affine(last));
    criterion.bench_function("max pool", |bencher| {
        bencher.iter(|| {
            max_pool(
                Activations::new(black_box(&data), stem),
                Window::square(3, 2),
                Padding::same(1),
            )
        });
    });
    criterion.bench_function("moments", |bencher| {
        bencher.iter(|| moments(black_box(&data), stem))
    });
    let input = Activations::new(&data[..last.len()], last).normalized(&affine);
    criterion.bench_function("global average pool", |bencher| {
        bencher.iter(|| global_average_pool(black_box(input)))
    });
}

fn preparation(criterion: &mut Criterion) {
    let weight = values(512 * 512 * 9);
    criterion.bench_function("standardize and pack 512x512x3x3", |bencher| {
        bencher.iter(|| {
            let mut weight = black_box(&weight).clone();
            standardize_weight(&mut weight, 512, 1e-8);
            PreparedConv::new(&weight, 512, 512, Window::square(3, 1), None)
        });
    });
}

criterion_group!(benches, convolutions, passes, preparation);
criterion_main!(benches);
