//! One BiT forward on the kernels alone, with random weights: `forward [--size 224] [--batch 1] [--arch 50x1]
//! [--repeat 20] [--layers]`. Prints what preparing the weights took and a forward takes, and with `--layers` where it goes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bit_kernels::cpu::*;

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Block {
    norms: [Norm; 3],
    downsample: Option<PreparedConv>,
    convs: [PreparedConv; 3],
}

struct Network {
    stem: PreparedConv,
    blocks: Vec<Block>,
    norm: Norm,
    head: PreparedConv,
}

fn random(n: usize, scale: f32) -> Vec<f32> {
    let mut state = n as u64 | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (0..n).map(|_| next()).collect()
}

/// Weights as a checkpoint has them, prepared as a model that is loaded does; and how long that took in all.
#[derive(Default)]
struct Preparation(Duration);

impl Preparation {
    fn conv(&mut self, channels: usize, inputs: usize, kernel: usize, stride: usize) -> PreparedConv {
        let fan = inputs * kernel * kernel;
        let weight = random(channels * fan, (3.0 / fan as f32).sqrt());
        let start = Instant::now();
        let mut weight = weight.clone();
        standardize_weight(&mut weight, channels, 1e-8);
        let conv = PreparedConv::new(&weight, channels, inputs, Window::square(kernel, stride), None);
        self.0 += start.elapsed();
        conv
    }
}

fn norm(channels: usize) -> Norm {
    Norm {
        weight: vec![1.0; channels],
        bias: random(channels, 0.1),
    }
}

impl Network {
    fn new(depths: [usize; 4], width: usize, preparation: &mut Preparation) -> Network {
        let mut conv = |channels, inputs, kernel, stride| preparation.conv(channels, inputs, kernel, stride);
        let stem = 64 * width;
        let (mut blocks, mut inputs) = (Vec::new(), stem);
        for (stage, depth) in depths.into_iter().enumerate() {
            let (out, stride) = ((256 * width) << stage, if stage == 0 { 1 } else { 2 });
            for block in 0..depth {
                let stride = if block == 0 { stride } else { 1 };
                blocks.push(Block {
                    norms: [norm(inputs), norm(out / 4), norm(out / 4)],
                    downsample: (block == 0).then(|| conv(out, inputs, 1, stride)),
                    convs: [
                        conv(out / 4, inputs, 1, 1),
                        conv(out / 4, out / 4, 3, stride),
                        conv(out, out / 4, 1, 1),
                    ],
                });
                inputs = out;
            }
        }
        let head = PreparedConv::linear(
            &random(1000 * inputs, 0.01),
            1000,
            inputs,
            Some(&random(1000, 0.1)),
        );
        Network {
            stem: conv(stem, 3, 7, 2),
            blocks,
            norm: norm(inputs),
            head,
        }
    }

    fn forward(&self, pixels: &[f32], shape: Shape, clock: &mut Clock) -> Vec<f32> {
        let input = clock.time("layout".into(), || to_channels_last(pixels, shape));
        let stem = Activations::new(&input, shape);
        let (h, _, size) = run(clock, &self.stem, stem, Padding::same(3), None);
        let pool = || max_pool(Activations::new(&h, size), Window::square(3, 2), Padding::same(1));
        let (mut data, mut shape, mut moments) = clock.time("max_pool".into(), pool);
        let norm =
            |moments: &Moments, norm: &Norm| moments.group_norm(32, &norm.weight, &norm.bias, 1e-5, true);
        for block in &self.blocks {
            let affine = norm(&moments, &block.norms[0]);
            let input = Activations::new(&data, shape).normalized(&affine);
            let none = Padding::default();
            let shortcut = block.downsample.as_ref();
            let shortcut = shortcut.map(|conv| run(clock, conv, input, none, None).0);
            let (h, m, size) = run(clock, &block.convs[0], input, none, None);
            let affine = norm(&m, &block.norms[1]);
            let input = Activations::new(&h, size).normalized(&affine);
            let (h, m, size) = run(clock, &block.convs[1], input, Padding::same(1), None);
            let affine = norm(&m, &block.norms[2]);
            let input = Activations::new(&h, size).normalized(&affine);
            let onto = shortcut.unwrap_or(data);
            (data, moments, shape) = run(clock, &block.convs[2], input, none, Some(onto));
        }
        let affine = norm(&moments, &self.norm);
        let pooled = clock.time("average".into(), || {
            global_average_pool(Activations::new(&data, shape).normalized(&affine))
        });
        let shape = Shape::new(1, 1, shape.images, shape.channels);
        run(
            clock,
            &self.head,
            Activations::new(&pooled, shape),
            Padding::default(),
            None,
        )
        .0
        .to_vec()
    }
}

/// The convolution, added to `onto` where there is a shortcut.
fn run(
    clock: &mut Clock,
    conv: &PreparedConv,
    input: Activations<'_>,
    padding: Padding,
    onto: Option<Buffer>,
) -> (Buffer, Moments, Shape) {
    let (window, shape) = (conv.window(), input.shape);
    let out = window.output(shape, padding, conv.channels()).expect("fits");
    let Shape {
        height,
        width,
        channels,
        ..
    } = shape;
    let ([tall, wide], stride) = (window.kernel, window.stride[0]);
    let name = format!(
        "{height:4}x{width:<4} {channels:4} -> {:<4} {tall}x{wide}/{stride}",
        out.channels
    );
    let flops = 2 * out.len() * window.taps() * channels;
    let (data, moments) = clock.time_flops(name, flops, || match onto {
        Some(mut onto) => {
            let moments = conv.accumulate(input, padding, &mut onto, true);
            (onto, moments)
        }
        None => {
            let result = conv.forward(input, padding, None, true);
            (result.data, result.moments)
        }
    });
    (data, moments.expect("asked for"), out)
}

/// What each operation of one forward took.
#[derive(Default)]
struct Clock(Vec<Entry>);

struct Entry {
    name: String,
    time: Duration,
    flops: usize,
}

impl Clock {
    fn time<T>(&mut self, name: String, f: impl FnOnce() -> T) -> T {
        self.time_flops(name, 0, f)
    }

    fn time_flops<T>(&mut self, name: String, flops: usize, f: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = f();
        self.0.push(Entry {
            name,
            time: start.elapsed(),
            flops,
        });
        result
    }

    /// Keeps each operation's least time: what it takes when nothing else runs.
    fn keep_least(&mut self, other: Clock) {
        if self.0.is_empty() {
            self.0 = other.0;
        } else {
            self.0
                .iter_mut()
                .zip(other.0)
                .for_each(|(kept, new)| kept.time = kept.time.min(new.time));
        }
    }

    fn print(&self) {
        let mut rows = BTreeMap::<&str, (f64, f64, usize)>::new();
        for entry in &self.0 {
            let row = rows.entry(&entry.name).or_default();
            *row = (
                row.0 + entry.time.as_secs_f64(),
                row.1 + entry.flops as f64,
                row.2 + 1,
            );
        }
        for (name, (time, flops, count)) in &rows {
            println!(
                "{name:32} x{count:<3} {:8.3} ms {:7.1} GFLOP/s",
                time * 1e3,
                flops / time / 1e9
            );
        }
        let (time, flops) = rows
            .values()
            .fold((0.0, 0.0), |(t, f), row| (t + row.0, f + row.1));
        println!(
            "{:32} {:13.3} ms {:7.1} GFLOP/s",
            "all",
            time * 1e3,
            flops / time / 1e9
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str, default: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1))
            .map_or(default.to_string(), Clone::clone)
    };
    let number = |name, default| option(name, default).parse::<usize>().expect("a number");
    let (size, batch, repeat) = (
        number("--size", "224"),
        number("--batch", "1"),
        number("--repeat", "20"),
    );
    let (depths, width) = match option("--arch", "50x1").as_str() {
        "50x1" => ([3, 4, 6, 3], 1),
        "50x3" => ([3, 4, 6, 3], 3),
        "101x1" => ([3, 4, 23, 3], 1),
        "101x3" => ([3, 4, 23, 3], 3),
        other => panic!("unknown architecture {other}"),
    };
    let mut preparation = Preparation::default();
    let network = Network::new(depths, width, &mut preparation);
    println!("weights prepared in {:.1} ms", preparation.0.as_secs_f64() * 1e3);
    let shape = Shape::new(batch, size, size, 3);
    let pixels = random(shape.len(), 1.0);
    let forward = |clock: &mut Clock| keep_awake(|| network.forward(&pixels, shape, clock));
    let (mut times, mut best, mut sum) = (Vec::new(), Clock::default(), 0.0);
    for _ in 0..repeat + 2 {
        let mut clock = Clock::default();
        let start = Instant::now();
        let logits = forward(&mut clock);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        sum = logits.iter().map(|&x| f64::from(x)).sum();
        best.keep_least(clock);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "min {:.2} median {:.2} ms (sum of logits {sum})",
        times[0],
        times[times.len() / 2]
    );
    if arguments.iter().any(|argument| argument == "--layers") {
        best.print();
    }
}
