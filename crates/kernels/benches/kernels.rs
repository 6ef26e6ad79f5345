//! Every kernel at the sizes of the default network's training step (4×7×128²), on one thread, or as many as
//! `RAYON_NUM_THREADS` says.
//!
//! `cargo bench -p tomosieve-kernels`; the item throughput of convolutions is multiply-adds of the plain
//! algorithm a second, that of the others values a second.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tomosieve_kernels::{
    Blocked, Buffer, Change, Conv, Isa, Kind, NormAct, max_pool2, max_pool2_backward, norm_act,
    norm_act_backward, pooled, to_blocked, to_nchw, together,
};

fn main() {
    let threads =
        std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok()).unwrap_or(1);
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the first pool");
    together(divan::main);
}

fn values(len: usize) -> Buffer {
    let mut buffer = Buffer::dirty(len);
    for (i, value) in buffer.iter_mut().enumerate() {
        *value = (i * 7919 % 1000) as f32 / 500.0 - 1.0;
    }
    buffer
}

/// Input channels, output channels, edge.
const SQUARES: &[[usize; 3]] = &[
    [7, 8, 64],
    [8, 8, 64],
    [8, 16, 32],
    [16, 16, 32],
    [32, 32, 16],
    [7, 16, 128],
    [16, 16, 128],
    [32, 32, 64],
    [64, 64, 32],
    [128, 128, 16],
    [64, 64, 64],
    [128, 128, 32],
    [288, 128, 32],
    [128, 288, 8],
    [288, 288, 8],
];
/// Channels, edge.
const PLANES: &[[usize; 2]] = &[[8, 64], [16, 128], [32, 64], [64, 32], [128, 16], [288, 8]];

struct Problem {
    conv: Conv,
    x: Buffer,
    y: Buffer,
    weight: Buffer,
    bias: Buffer,
}

impl Problem {
    fn new(kind: Kind, [c, c_out, edge]: [usize; 3]) -> Self {
        let conv = Conv { kind, input: Blocked::new(4, c, edge, edge), c_out };
        let [x, y] = [conv.input, conv.output()].map(|shape| {
            let mut blocked = values(shape.len());
            to_blocked(Isa::best(), shape, &values(shape.n * shape.c * shape.h * shape.w), &mut blocked);
            blocked
        });
        Self { conv, x, y, weight: values(conv.weights()), bias: values(c_out) }
    }
}

#[divan::bench_group(name = "winograd")]
mod winograd {
    use super::{Bencher, Isa, ItemsCount, Kind, Problem, SQUARES, black_box};

    #[divan::bench(args = SQUARES)]
    fn forward(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Square, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.forward(Isa::best(), black_box(&p.x), &p.weight, Some(&p.bias), &mut p.y);
        });
    }

    #[divan::bench(args = SQUARES)]
    fn backward_input(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Square, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.backward_input(Isa::best(), black_box(&p.y), &p.weight, &mut p.x);
        });
    }

    #[divan::bench(args = SQUARES)]
    fn backward_weight(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Square, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.backward_weight(Isa::best(), black_box(&p.x), &p.y, &mut p.weight);
        });
    }
}

#[divan::bench_group(name = "spread")]
mod spread {
    use super::{Bencher, Isa, ItemsCount, Kind, Problem, black_box};

    const SIZES: &[[usize; 3]] =
        &[[288, 128, 8], [128, 64, 16], [64, 32, 32], [32, 16, 64], [256, 128, 32], [64, 32, 128]];

    #[divan::bench(args = SIZES)]
    fn forward(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Spread, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.forward(Isa::best(), black_box(&p.x), &p.weight, Some(&p.bias), &mut p.y);
        });
    }

    #[divan::bench(args = SIZES)]
    fn backward_input(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Spread, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.backward_input(Isa::best(), black_box(&p.y), &p.weight, &mut p.x);
        });
    }

    #[divan::bench(args = SIZES)]
    fn backward_weight(bencher: Bencher<'_, '_>, size: &[usize; 3]) {
        let mut p = Problem::new(Kind::Spread, *size);
        bencher.counter(ItemsCount::new(p.conv.products())).bench_local(|| {
            p.conv.backward_weight(Isa::best(), black_box(&p.x), &p.y, &mut p.weight);
        });
    }
}

#[divan::bench_group(name = "plane")]
mod plane {
    use super::{
        Bencher, Blocked, Buffer, Change, Isa, ItemsCount, NormAct, PLANES, black_box, max_pool2,
        max_pool2_backward, norm_act, norm_act_backward, pooled, to_blocked, to_nchw, values,
    };

    fn setup([c, edge]: [usize; 2]) -> (Blocked, Buffer, Buffer, Buffer) {
        let shape = Blocked::new(4, c, edge, edge);
        (shape, values(shape.len()), values(shape.len()), values(c))
    }

    fn params(channels: &[f32]) -> NormAct<'_> {
        NormAct { gamma: channels, beta: channels, slope: channels, mask: None, groups: 8, epsilon: 1e-5 }
    }

    #[divan::bench(args = PLANES)]
    fn norm_forward(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, mut y, c) = setup(*size);
        bencher.counter(ItemsCount::new(shape.len())).bench_local(|| {
            norm_act(Isa::best(), shape, Change::elsewhere(black_box(&x), &mut y), None, params(&c))
        });
    }

    #[divan::bench(args = PLANES)]
    fn norm_backward(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, mut y, c) = setup(*size);
        let stats = norm_act(Isa::best(), shape, Change::elsewhere(&x, &mut y), None, params(&c));
        let mut dx = values(shape.len());
        bencher.counter(ItemsCount::new(shape.len())).bench_local(|| {
            let gradient = Change::elsewhere(&y, &mut dx);
            norm_act_backward(Isa::best(), shape, black_box(&x), params(&c), &stats, gradient)
        });
    }

    #[divan::bench(args = PLANES)]
    fn pool_forward(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, ..) = setup(*size);
        let mut y = values(pooled(shape).len());
        bencher
            .counter(ItemsCount::new(shape.len()))
            .bench_local(|| max_pool2(Isa::best(), shape, black_box(&x), &mut y));
    }

    #[divan::bench(args = PLANES)]
    fn pool_backward(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, mut dx, _) = setup(*size);
        let dy = values(pooled(shape).len());
        bencher
            .counter(ItemsCount::new(shape.len()))
            .bench_local(|| max_pool2_backward(Isa::best(), shape, black_box(&x), &dy, &mut dx));
    }

    #[divan::bench(args = PLANES)]
    fn enter(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, mut y, _) = setup(*size);
        let x = &x[..shape.n * shape.c * shape.h * shape.w];
        bencher
            .counter(ItemsCount::new(x.len()))
            .bench_local(|| to_blocked(Isa::best(), shape, black_box(x), &mut y));
    }

    #[divan::bench(args = PLANES)]
    fn leave(bencher: Bencher<'_, '_>, size: &[usize; 2]) {
        let (shape, x, mut y, _) = setup(*size);
        let y = &mut y[..shape.n * shape.c * shape.h * shape.w];
        bencher
            .counter(ItemsCount::new(y.len()))
            .bench_local(|| to_nchw(Isa::best(), shape, black_box(&x), y));
    }
}
