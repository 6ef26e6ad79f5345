//! Every kernel on every instruction set of this machine against its plain reference, at odd shapes.

use proptest::prelude::*;
use tomosieve_kernels::{
    Adam, BLOCK, Blocked, Buffer, Change, Conv, Deferred, Depthwise, Input, Isa, Kind, NormAct, Resample,
    add, blend, channel_sums, max_pool2, max_pool2_backward, norm_act, norm_act_backward, pooled, prelu,
    prelu_backward, reference, softmax, to_blocked, to_nchw, weigh, weigh_backward,
};

/// Values in (−1, 1) by a congruential generator.
fn noise(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    };
    (0..len).map(next).collect()
}

fn count(shape: Blocked) -> usize {
    shape.n * shape.c * shape.h * shape.w
}

fn blocked(shape: Blocked, values: &[f32]) -> Buffer {
    let mut out = littered(shape);
    to_blocked(Isa::best(), shape, values, &mut out);
    out
}

fn plain(shape: Blocked, values: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0; count(shape)];
    to_nchw(Isa::best(), shape, values, &mut out);
    out
}

/// Memory that a kernel must overwrite.
fn littered(shape: Blocked) -> Buffer {
    let mut out = Buffer::dirty(shape.len());
    out.fill(f32::NAN);
    out
}

fn close(got: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(got.len(), expected.len());
    let scale = expected.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
    for (i, (a, b)) in got.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * scale, "value {i}: {a} instead of {b} (scale {scale})");
    }
}

/// The halo and the channels beyond the last must be zero.
fn tidy(shape: Blocked, values: &[f32]) {
    let [_, blocks, rows, columns, _] = shape.dims();
    for (i, &value) in values.iter().enumerate() {
        let (lane, x) = (i % BLOCK, i / BLOCK % columns);
        let (y, block) = (i / BLOCK / columns % rows, i / shape.plane() % blocks);
        let inside = (1..rows - 1).contains(&y) && (1..columns - 1).contains(&x);
        assert!((inside && block * BLOCK + lane < shape.c) || value == 0.0, "{value} outside {shape:?}");
    }
}

/// Every value where the layout says that it lies, and back.
fn layout_agrees(shape: Blocked, seed: u64) {
    let x = noise(count(shape), seed);
    for isa in Isa::available() {
        let mut blocked = littered(shape);
        to_blocked(isa, shape, &x, &mut blocked);
        tidy(shape, &blocked);
        for (i, value) in x.iter().enumerate() {
            let (column, row) = (i % shape.w, i / shape.w % shape.h);
            let (channel, image) = (i / shape.w / shape.h % shape.c, i / shape.w / shape.h / shape.c);
            let lies = blocked[shape.at(image, channel / BLOCK, row, column) + channel % BLOCK];
            assert_eq!(lies.to_bits(), value.to_bits());
        }
        let mut back = vec![f32::NAN; x.len()];
        to_nchw(isa, shape, &blocked, &mut back);
        assert_eq!(back, x);
    }
}

/// A convolution that measures writes the same pixels, and a norm finds what it would have measured itself.
fn measured_agrees(conv: Conv, isa: Isa, x: &[f32], weight: &[f32], bias: &[f32], expected: &[f32]) {
    let (shape, ones) = (conv.output(), vec![1.0; conv.c_out]);
    let mut z = littered(shape);
    let moments = conv.forward_measured(isa, x, (weight, None), Some(bias), &mut z);
    assert_eq!(plain(shape, &z), plain(shape, expected));
    for groups in [1, conv.c_out] {
        let params = NormAct { gamma: &ones, beta: &ones, slope: &ones, mask: None, groups, epsilon: 1e-3 };
        let [mut known, mut own] = [littered(shape), littered(shape)];
        norm_act(isa, shape, Change::elsewhere(&z, &mut known), moments.clone(), params);
        norm_act(isa, shape, Change::elsewhere(expected, &mut own), None, params);
        tidy(shape, &known);
        close(&known, &own, 1e-4);
    }
}

/// What reads values whose norm is left to it finds, to the last bit, what it would find had the norm been applied before;
/// beside the pixels there may be anything then.
fn deferred_agrees(isa: Isa, shape: Blocked, x: &[f32], seed: u64, read: impl Fn(Input<'_>) -> Buffer) {
    let [gamma, beta, slope] = [5, 6, 7].map(|s| noise(shape.c, seed + s));
    let groups = if shape.c.is_multiple_of(2) { 2 } else { 1 };
    let params = NormAct { gamma: &gamma, beta: &beta, slope: &slope, mask: None, groups, epsilon: 1e-3 };
    let (mut raw, mut applied) = (littered(shape), littered(shape));
    let pixels = blocked(shape, x);
    norm_act(isa, shape, Change::elsewhere(&pixels, &mut applied), None, params);
    for n in 0..shape.n {
        for block in 0..shape.blocks() {
            for y in 0..shape.h {
                let row = shape.at(n, block, y, 0)..shape.at(n, block, y, 0) + shape.w * BLOCK;
                raw[row.clone()].copy_from_slice(&pixels[row]);
            }
        }
    }
    let norm = Deferred::new(isa, shape, &raw, None, params);
    assert_eq!(read(Input::new(&raw, Some(&norm))), read(Input::from(&applied)));
    norm.apply(isa, Change::in_place(&mut raw));
    assert_eq!(raw[..], applied[..]);
}

fn conv_agrees(conv: Conv, seed: u64) {
    let (input, output) = (conv.input, conv.output());
    let (x, dy) = (noise(count(input), seed), noise(count(output), seed + 1));
    let (weight, bias) = (noise(conv.weights(), seed + 2), noise(conv.c_out, seed + 3));
    let y = reference::conv_forward(conv, &x, &weight, &bias);
    let dx = reference::conv_backward_input(conv, &dy, &weight);
    let dw = reference::conv_backward_weight(conv, &x, &dy);
    let (xb, dyb) = (blocked(input, &x), blocked(output, &dy));
    for isa in Isa::available() {
        let mut out = littered(output);
        conv.forward(isa, &xb, &weight, Some(&bias), &mut out);
        tidy(output, &out);
        close(&plain(output, &out), &y, 2e-5);
        if let Some(prepared) = conv.prepare(isa, &weight) {
            let mut again = littered(output);
            conv.forward_prepared(isa, &xb, (&weight, &prepared), Some(&bias), &mut again);
            assert_eq!(again[..], out[..], "prepared weights");
        }
        if conv.kind == Kind::Square {
            measured_agrees(conv, isa, &xb, &weight, &bias, &out);
        }
        deferred_agrees(isa, input, &x, seed, |x| {
            let mut out = littered(output);
            conv.forward(isa, x, &weight, Some(&bias), &mut out);
            out
        });
        let mut back = littered(input);
        conv.backward_input(isa, &dyb, &weight, &mut back);
        tidy(input, &back);
        close(&plain(input, &back), &dx, 2e-5);
        let mut grad = vec![f32::NAN; conv.weights()];
        conv.backward_weight(isa, &xb, &dyb, &mut grad);
        close(&grad, &dw, 5e-5);
        close(&channel_sums(isa, output, &dyb), &reference::channel_sums(output, &dy), 1e-5);
    }
}

fn norm_agrees(shape: Blocked, groups: usize, masked: bool, mean: f32, seed: u64) {
    let x: Vec<f32> = noise(count(shape), seed).into_iter().map(|v| v + mean).collect();
    let [gamma, beta, slope] = [2, 3, 4].map(|s| noise(shape.c, seed + s));
    let mask: Vec<f32> =
        noise(shape.n * shape.c, seed + 5).iter().map(|&v| if v < 0.0 { 0.0 } else { 1.25 }).collect();
    let params = NormAct {
        gamma: &gamma,
        beta: &beta,
        slope: &slope,
        mask: masked.then_some(&mask[..]),
        groups,
        epsilon: 1e-5,
    };
    let y = reference::norm_act(shape, &x, params);
    // Where rounding decides on which side of the activation's kink a value lies, no gradient comes in.
    let kinks = reference::norm_act(shape, &x, NormAct { slope: &vec![1.0; shape.c], mask: None, ..params });
    let dy = noise(count(shape), seed + 1);
    let dy: Vec<f32> = dy.iter().zip(kinks).map(|(dy, v)| if v.abs() < 1e-5 { 0.0 } else { *dy }).collect();
    let [dx, dgamma, dbeta, dslope] = reference::norm_act_backward(shape, &x, params, &dy);
    let (xb, dyb) = (blocked(shape, &x), blocked(shape, &dy));
    for isa in Isa::available() {
        let mut out = littered(shape);
        let stats = norm_act(isa, shape, Change::elsewhere(&xb, &mut out), None, params);
        tidy(shape, &out);
        close(&plain(shape, &out), &y, 1e-4);
        let mut own = blocked(shape, &x);
        norm_act(isa, shape, Change::in_place(&mut own), None, params);
        assert_eq!(&own[..], &out[..]);
        let mut back = littered(shape);
        let grads = norm_act_backward(isa, shape, &xb, params, &stats, Change::elsewhere(&dyb, &mut back));
        tidy(shape, &back);
        close(&plain(shape, &back), &dx, 2e-4);
        let mut own = dyb.clone();
        let again = norm_act_backward(isa, shape, &xb, params, &stats, Change::in_place(&mut own));
        assert_eq!((&own[..], &again), (&back[..], &grads), "in place");
        close(&grads.gamma, &dgamma, 2e-4);
        close(&grads.beta, &dbeta, 2e-4);
        close(&grads.slope, &dslope, 2e-4);
        close(&grads.bias, &reference::channel_sums(shape, &dx), 2e-3);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn layouts_agree(n in 1..3_usize, c in 1..20_usize, h in 1..5_usize, w in 1..50_usize, seed in any::<u64>()) {
        layout_agrees(Blocked::new(n, c, h, w), seed);
    }

    #[test]
    fn convolutions_agree(kind in 0_usize..4, n in 1_usize..4, c in 1_usize..36, c_out in 1_usize..36, h in 1_usize..20, w in 1_usize..20, seed in 0_u64..1000) {
        let kind = [Kind::Square, Kind::Point, Kind::Spread, Kind::Collect][kind];
        let (h, w) = if kind == Kind::Collect { (2 * h, 2 * w) } else { (h, w) };
        conv_agrees(Conv { kind, input: Blocked::new(n, c, h, w), c_out }, seed);
    }

    #[test]
    fn depthwise_convolutions_agree(n in 1_usize..4, c in 1_usize..20, h in 1_usize..12, w in 1_usize..12, rate in 1_usize..14, seed in 0_u64..1000) {
        let conv = Depthwise { input: Blocked::new(n, c, h, w), rate };
        let (x, dy) = (noise(count(conv.input), seed), noise(count(conv.input), seed + 1));
        let (weight, bias) = (noise(9 * c, seed + 2), noise(c, seed + 3));
        let [y, dx, dw] = reference::depthwise(conv, &x, &weight, &bias, &dy);
        let (xb, dyb) = (blocked(conv.input, &x), blocked(conv.input, &dy));
        for isa in Isa::available() {
            let mut out = littered(conv.input);
            conv.forward(isa, &xb, &weight, &bias, &mut out);
            tidy(conv.input, &out);
            close(&plain(conv.input, &out), &y, 1e-5);
            let mut back = littered(conv.input);
            conv.backward_input(isa, &dyb, &weight, &mut back);
            tidy(conv.input, &back);
            close(&plain(conv.input, &back), &dx, 1e-5);
            let mut grad = vec![f32::NAN; 9 * c];
            conv.backward_weight(isa, &xb, &dyb, &mut grad);
            close(&grad, &dw, 1e-5);
        }
    }

    #[test]
    fn resampling_agrees(n in 1_usize..4, c in 1_usize..20, h in 1_usize..20, w in 1_usize..20, half: bool, seed in 0_u64..1000) {
        let how = if half { Resample::Half } else { Resample::Double };
        let (shape, out) = (Blocked::new(n, c, h, w), how.output(Blocked::new(n, c, h, w)));
        let (x, dy) = (noise(count(shape), seed), noise(count(out), seed + 1));
        let (mut y, mut dx) = (littered(out), littered(shape));
        how.forward(shape, &blocked(shape, &x), &mut y);
        tidy(out, &y);
        prop_assert_eq!(plain(out, &y), reference::resample(how, shape, &x));
        how.backward(shape, &blocked(out, &dy), &mut dx);
        tidy(shape, &dx);
        close(&plain(shape, &dx), &reference::resample_backward(how, shape, &dy), 1e-6);
    }

    #[test]
    fn what_is_done_by_channel_or_pixel_agrees(n in 1_usize..4, c in 1_usize..20, h in 1_usize..20, w in 1_usize..20, seed in 0_u64..1000) {
        let shape = Blocked::new(n, c, h, w);
        let [x, dy] = [0, 1].map(|i| noise(count(shape), seed + i));
        let (slope, factors) = (noise(c, seed + 2), noise(n * h * w, seed + 3));
        let [active, active_dx, by_slope] = reference::prelu(shape, &x, &slope, &dy);
        let [weighed, weighed_dx, by_factor] = reference::weigh(shape, &x, &factors, &dy);
        let (xb, dyb) = (blocked(shape, &x), blocked(shape, &dy));
        for isa in Isa::available() {
            let mut y = littered(shape);
            prelu(isa, shape, &xb, &slope, &mut y);
            tidy(shape, &y);
            close(&plain(shape, &y), &active, 1e-6);
            let found = prelu_backward(isa, shape, &xb, &slope, &dyb, &mut y);
            tidy(shape, &y);
            close(&plain(shape, &y), &active_dx, 1e-6);
            close(&found, &by_slope, 1e-5);
            let mut y = littered(shape);
            weigh(isa, shape, &xb, &factors, &mut y);
            tidy(shape, &y);
            close(&plain(shape, &y), &weighed, 1e-6);
            weigh(isa, shape, &dyb, &factors, &mut y);
            close(&plain(shape, &y), &weighed_dx, 1e-6);
            let mut found = vec![f32::NAN; n * h * w];
            weigh_backward(isa, shape, &xb, &dyb, &mut found);
            close(&found, &by_factor, 1e-5);
        }
    }

    #[test]
    fn adam_and_the_moving_average_agree(len in 1_usize..3000, time in 1_i32..2000, rate in 1e-5_f64..1.0, alpha in 0.0_f64..1.0, seed in 0_u64..1000) {
        let [old, gradient, first] = [0, 1, 2].map(|i| noise(len, seed + i));
        let second: Vec<f32> = noise(len, seed + 3).iter().map(|v| v.abs()).collect();
        let step = Adam { rate, betas: [0.9, 0.999], epsilon: 1e-8, time };
        let expected = reference::adam(step, &old, &gradient, &first, &second);
        let average = reference::blend(alpha, &old, &gradient);
        for isa in Isa::available() {
            let (mut m, mut v, mut new) = (first.clone(), second.clone(), vec![f32::NAN; len]);
            step.step(isa, Change::elsewhere(&old, &mut new), &gradient, [&mut m, &mut v]);
            [&new, &m, &v].into_iter().zip(&expected).for_each(|(got, expected)| close(got, expected, 1e-5));
            let in_place = |change: &dyn Fn(Change<'_>), expected: &[f32]| {
                let mut own = old.clone();
                change(Change::in_place(&mut own));
                assert_eq!(own, expected, "in place");
            };
            let again = |weights: Change<'_>| step.step(isa, weights, &gradient, [&mut first.clone(), &mut second.clone()]);
            in_place(&again, &new);
            let mut blended = vec![f32::NAN; len];
            blend(isa, alpha, Change::elsewhere(&old, &mut blended), &gradient);
            close(&blended, &average, 1e-6);
            in_place(&|average| blend(isa, alpha, average, &gradient), &blended);
            let mut sum = vec![f32::NAN; len];
            add(isa, Change::elsewhere(&old, &mut sum), &gradient);
            let expected: Vec<f32> = old.iter().zip(&gradient).map(|(a, b)| a + b).collect();
            assert_eq!(sum, expected);
            in_place(&|values| add(isa, values, &gradient), &sum);
        }
    }

    #[test]
    fn softmax_agrees(n in 1_usize..4, classes in 2_usize..12, plane in 1_usize..6000, spread in 0.1_f32..200.0, seed in 0_u64..1000) {
        let logits: Vec<f32> = noise(n * classes * plane, seed).iter().map(|v| spread * v).collect();
        let expected = reference::softmax(&logits, classes, plane);
        for isa in Isa::available() {
            let mut got = vec![f32::NAN; logits.len()];
            softmax(isa, &logits, classes, plane, &mut got);
            let worst = got.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(worst < 5e-7, "{isa:?}: {worst}");
            let mut spoilt = logits.clone();
            spoilt[seed as usize % (classes * plane)] = f32::NAN;
            softmax(isa, &spoilt, classes, plane, &mut got);
            prop_assert_eq!(got.iter().filter(|p| p.is_nan()).count(), classes, "of one pixel");
        }
    }

    #[test]
    fn norms_agree(n in 1_usize..4, each in 1_usize..7, groups in 1_usize..9, h in 2_usize..20, w in 2_usize..20, masked: bool, seed in 0_u64..1000) {
        norm_agrees(Blocked::new(n, each * groups, h, w), groups, masked, 0.3, seed);
    }

    #[test]
    fn pooling_agrees(n in 1_usize..4, c in 1_usize..20, h in 2_usize..20, w in 2_usize..20, coarse: bool, seed in 0_u64..1000) {
        let shape = Blocked::new(n, c, h, w);
        let mut x = noise(count(shape), seed);
        if coarse {
            for value in &mut x {
                *value = (*value * 2.0).round(); // many ties
            }
        }
        let dy = noise(count(pooled(shape)), seed + 1);
        let (xb, dyb) = (blocked(shape, &x), blocked(pooled(shape), &dy));
        for isa in Isa::available() {
            let mut y = littered(pooled(shape));
            max_pool2(isa, shape, &xb, &mut y);
            tidy(pooled(shape), &y);
            prop_assert_eq!(plain(pooled(shape), &y), reference::max_pool2(shape, &x));
            deferred_agrees(isa, shape, &x, seed, |x| {
                let mut y = littered(pooled(shape));
                max_pool2(isa, shape, x, &mut y);
                y
            });
            let mut dx = littered(shape);
            max_pool2_backward(isa, shape, &xb, &dyb, &mut dx);
            tidy(shape, &dx);
            prop_assert_eq!(plain(shape, &dx), reference::max_pool2_backward(shape, &x, &dy));
        }
    }
}

/// More tiles than are handled at a time, and sums in several parts.
#[test]
fn large_convolutions_agree() {
    conv_agrees(Conv { kind: Kind::Square, input: Blocked::new(2, 7, 70, 61), c_out: 16 }, 1);
    conv_agrees(Conv { kind: Kind::Square, input: Blocked::new(1, 40, 37, 40), c_out: 24 }, 2);
    conv_agrees(Conv { kind: Kind::Spread, input: Blocked::new(2, 40, 17, 33), c_out: 24 }, 3);
}

/// A value at the kink of the activation once failed this.
#[test]
fn norms_agree_at_a_kink() {
    norm_agrees(Blocked::new(2, 40, 16, 18), 8, false, 0.3, 298);
}

#[test]
fn a_large_mean_costs_no_digits() {
    norm_agrees(Blocked::new(1, 8, 33, 31), 2, false, 100.0, 7);
}

#[test]
fn results_do_not_depend_on_threads() {
    let conv = Conv { kind: Kind::Square, input: Blocked::new(2, 16, 50, 46), c_out: 24 };
    let x = blocked(conv.input, &noise(count(conv.input), 1));
    let dy = blocked(conv.output(), &noise(count(conv.output()), 2));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut dw = vec![0.0; conv.weights()];
            conv.backward_weight(Isa::best(), &x, &dy, &mut dw);
            dw
        })
    };
    assert_eq!(run(1), run(3));
}
