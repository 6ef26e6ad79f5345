//! The blocked layout of the CPU against burn's composed operations: values and gradients.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Device, Distribution, Tensor};
use tomosieve_nn::device;
use tomosieve_nn::features::Features;
use tomosieve_nn::kernel_ops::{ConvNormActParams, FrozenFilters, NormActParams, blend, fork, sum};

/// Every parameter of a small network with one skip connection.
struct Weights {
    four: Vec<Tensor<4>>,
    one: Vec<Tensor<1>>,
    mask: Tensor<2>,
}

fn normal<const D: usize>(shape: [usize; D], mean: f64, device: &Device) -> Tensor<D> {
    let values = Tensor::random(shape, Distribution::Normal(mean, 0.3), device);
    if device.is_autodiff() { values.require_grad() } else { values }
}

impl Weights {
    fn new([slices, a, b, classes]: [usize; 4], n: usize, device: &Device) -> Self {
        let four = [
            [a, slices, 3, 3],
            [b, a, 3, 3],
            [b, a, 2, 2],
            [a, 2 * a, 3, 3],
            [classes, a, 1, 1],
            [a, a, 3, 3],
        ];
        let mut one = Vec::new();
        for c in [a, b, a] {
            one.push(normal([c], 0.1, device)); // bias
            one.push(normal([c], 1.0, device)); // gamma
            one.push(normal([c], 0.1, device)); // beta
            one.push(normal([c], 0.25, device)); // slope
        }
        one.push(normal([a], 0.0, device));
        one.push(normal([classes], 0.0, device));
        one.push(normal([a], 0.0, device));
        let mask = Tensor::random([n, b], Distribution::Bernoulli(0.7), device).div_scalar(0.7);
        Self { four: four.map(|shape| normal(shape, 0.0, device)).into(), one, mask }
    }

    fn layer(&self, filter: usize, first: usize, mask: Option<Tensor<2>>) -> ConvNormActParams {
        ConvNormActParams {
            weight: self.four[filter].clone(),
            bias: self.one[first].clone(),
            gamma: self.one[first + 1].clone(),
            beta: self.one[first + 2].clone(),
            slope: self.one[first + 3].clone(),
            mask,
            groups: 2,
            epsilon: 1e-5,
        }
    }

    fn forward(&self, x: Features) -> Tensor<4> {
        let fine = x.conv_norm_act(self.layer(0, 0, None));
        let coarse = fine.clone().max_pool2().conv_norm_act(self.layer(1, 4, Some(self.mask.clone())));
        let up = coarse.up2(self.four[2].clone(), self.one[12].clone());
        let up = up.clone().add(up.map(|x| x.mul_scalar(0.5)));
        let joined = fine.cat(up).conv_norm_act(self.layer(3, 8, None));
        let squared = joined.conv_square(self.four[5].clone(), self.one[14].clone());
        squared.conv_point(self.four[4].clone(), self.one[13].clone()).leave()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn close(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
    for (a, b) in got.iter().zip(expected) {
        assert!((a - b).abs() <= 1e-4 * scale, "{what}: {a} instead of {b}, scale {scale}");
    }
}

fn agrees(channels: [usize; 4], [n, h, w]: [usize; 3], seed: u64) {
    let plain = device::by_name("cpu").unwrap();
    let device = plain.clone().autodiff();
    device.seed(seed);
    let weights = Weights::new(channels, n, &device);
    let x = normal([n, channels[0], h, w], 0.0, &device);
    let wish = Tensor::<4>::random([n, channels[3], h, w], Distribution::Default, &device);
    let run = |enter: fn(Tensor<4>) -> Features| {
        let y = weights.forward(enter(x.clone()));
        let loss = (y.clone() * wish.clone()).sum();
        let grads = loss.backward();
        let mut found = vec![("output".to_owned(), values(y.inner()))];
        found.push(("input".into(), values(x.grad(&grads).unwrap())));
        for (i, weight) in weights.four.iter().enumerate() {
            found.push((format!("filter {i}"), values(weight.grad(&grads).unwrap())));
        }
        for (i, weight) in weights.one.iter().enumerate() {
            found.push((format!("vector {i}"), values(weight.grad(&grads).unwrap())));
        }
        found
    };
    let (fast, composed) = (run(Features::enter), run(Features::plain));
    for ((what, fast), (_, composed)) in fast.iter().zip(&composed) {
        close(fast, composed, what);
    }
}

#[test]
fn whole_blocks_agree() {
    agrees([7, 8, 16, 4], [2, 16, 24], 1);
}

#[test]
fn odd_channels_and_sizes_agree() {
    agrees([3, 6, 10, 5], [3, 10, 14], 2);
    agrees([1, 4, 12, 2], [1, 22, 6], 3);
}

#[test]
fn inference_agrees_with_training() {
    let plain = device::by_name("cpu").unwrap();
    let device = plain.clone().autodiff();
    device.seed(4);
    let weights = Weights::new([7, 8, 16, 4], 1, &device);
    let x = Tensor::<4>::random([1, 7, 12, 20], Distribution::Default, &device);
    let tracked = values(weights.forward(Features::enter(x.clone())).inner());
    let inner = Weights {
        four: weights.four.iter().map(|t| t.clone().inner()).collect(),
        one: weights.one.iter().map(|t| t.clone().inner()).collect(),
        mask: weights.mask.inner(),
    };
    assert_eq!(values(inner.forward(Features::enter(x.inner()))), tracked);
}

/// Where nothing is learned a norm is left to whoever reads the activation: every reader finds the same as composed
/// operations do, alone or among several.
#[test]
fn whoever_reads_applies_the_norm() {
    let device = device::by_name("cpu").unwrap();
    for ([n, h, w], [c, a, b], seed) in [([1, 6, 8], [7, 8, 16], 11), ([2, 38, 30], [5, 12, 20], 12)] {
        device.seed(seed);
        let weights = Weights::new([c, a, b, 3], n, &device);
        let x = normal([n, c, h, w], 0.0, &device);
        let [down, up] = [[b, a, 2, 2], [a, b, 2, 2]].map(|shape| normal(shape, 0.0, &device));
        let (point, square) = (normal([b, a, 1, 1], 0.0, &device), normal([b, a, 3, 3], 0.0, &device));
        let bias = normal([b], 0.1, &device);
        let bias = || bias.clone();
        let readers: [(&str, &dyn Fn(Features) -> Features); 14] = [
            ("nobody", &|x| x),
            ("convolution and norm", &|x| x.conv_norm_act(weights.layer(1, 4, None))),
            ("dropout", &|x| x.conv_norm_act(weights.layer(1, 4, Some(weights.mask.clone())))),
            ("norm and 3×3", &|x| {
                let layer = weights.layer(3, 8, Some(weights.mask.clone().slice([0..n, 0..a])));
                let ConvNormActParams { gamma, beta, slope, mask, groups, epsilon, .. } = layer;
                let after = x.clone().norm_act(NormActParams { gamma, beta, slope, mask, groups, epsilon });
                after.conv_square(square.clone(), bias()).cat(x)
            }),
            ("3×3", &|x| x.conv_square(square.clone(), bias())),
            ("1×1", &|x| x.conv_point(point.clone(), bias())),
            ("2×2", &|x| x.down2(down.clone(), bias())),
            ("transposed 2×2", &|x| x.up2(up.clone(), bias())),
            ("holes", &|x| x.conv_dilated(square.clone(), bias(), 2)),
            ("wide holes", &|x| x.conv_dilated(square.clone(), bias(), 99)),
            ("pooling", &Features::max_pool2),
            ("sum of two", &|x| x.clone().add(x)),
            ("pooling and sum", &|x| x.clone().max_pool2().nearest2().add(x)),
            ("channels side by side", &|x| x.clone().cat(x.map(|x| x.mul_scalar(0.5)))),
        ];
        for (reader, read) in readers {
            let run = |enter: fn(Tensor<4>) -> Features| {
                values(read(enter(x.clone()).conv_norm_act(weights.layer(0, 0, None))).leave())
            };
            close(&run(Features::enter), &run(Features::plain), &format!("{reader}, {h} × {w}"));
        }
    }
}

#[test]
fn frozen_filters_are_made_once_and_change_nothing() {
    let device = device::by_name("cpu").unwrap();
    let convolve = |x: &Tensor<4>, weight: &Tensor<4>| {
        let bias = Tensor::zeros([weight.dims()[0]], &device);
        values(Features::enter(x.clone()).conv_square(weight.clone(), bias).leave())
    };
    let random = |shape| Tensor::<4>::random(shape, Distribution::Default, &device);
    let (x, weight, other) = (random([1, 7, 12, 20]), random([9, 7, 3, 3]), random([9, 7, 3, 3]));
    let expected = [&weight, &other].map(|weight| convolve(&x, weight));
    let frozen = FrozenFilters::default();
    assert!(frozen.is_empty());
    for _ in 0..3 {
        let found = [&weight, &other].map(|weight| frozen.used_in(|| convolve(&x, weight)));
        assert_eq!(found, expected);
        assert_eq!(frozen.len(), 2);
    }
    // Weights that were changed lie elsewhere, for what was kept holds the old ones.
    let changed = blend(weight, other.clone(), 0.25);
    let expected = convolve(&x, &changed);
    assert_eq!(frozen.clone().used_in(|| convolve(&x, &changed)), expected);
    assert_eq!(frozen.len(), 3);
    convolve(&x, &random([9, 7, 3, 3]));
    assert_eq!(frozen.len(), 3); // nobody asked for more outside
}

/// What networks need beside convolutions with a norm, at odd sizes: every second pixel, every pixel four
/// times, a `PReLU` alone, weights a pixel, and a 2×2 convolution of stride 2.
#[test]
fn steps_slopes_and_weights_agree() {
    for ([n, c, c_out, h, w], seed) in [([2, 5, 11, 9, 7], 5), ([1, 16, 3, 4, 12], 6)] {
        let device = device::by_name("cpu").unwrap().autodiff();
        device.seed(seed);
        let x = normal([n, c, h, w], 0.0, &device);
        let (slope, factors) = (normal([c], 0.25, &device), normal([n, 1, 2 * h, 2 * w], 0.5, &device));
        let (weight, bias) = (normal([c_out, c, 2, 2], 0.0, &device), normal([c_out], 0.1, &device));
        let wish = normal([n, c_out, h.div_ceil(2), w.div_ceil(2)], 0.0, &device);
        let run = |enter: fn(Tensor<4>) -> Features| {
            let large = enter(x.clone()).prelu(slope.clone()).nearest2().weigh(factors.clone());
            let y = large.down2(weight.clone(), bias.clone()).every_second().leave();
            let grads = (y.clone() * wish.clone()).sum().backward();
            let mut found = vec![values(y.inner()), values(x.grad(&grads).unwrap())];
            found.extend([&slope, &bias].map(|t| values(t.grad(&grads).unwrap())));
            found.extend([&factors, &weight].map(|t| values(t.grad(&grads).unwrap())));
            found
        };
        for (fast, composed) in run(Features::enter).iter().zip(&run(Features::plain)) {
            close(fast, composed, &format!("seed {seed}"));
        }
    }
}

/// A mean over all values has a gradient beside the pixels too, where a 3×3 convolution before it would read.
#[test]
fn means_of_convolutions_agree() {
    let device = device::by_name("cpu").unwrap().autodiff();
    device.seed(8);
    let (x, weight) = (normal([2, 5, 6, 9], 0.0, &device), normal([11, 5, 3, 3], 0.0, &device));
    let (thin, bias) = (normal([5, 1, 3, 3], 0.0, &device), normal([11], 0.1, &device));
    let wish = normal([2, 11], 1.0, &device);
    let run = |enter: fn(Tensor<4>) -> Features| {
        let convolved = enter(x.clone()).conv_depthwise(thin.clone(), Tensor::zeros([5], &device), 2);
        let means = convolved.conv_square(weight.clone(), bias.clone()).means();
        let grads = (means * wish.clone()).sum().backward();
        [&x, &weight, &thin].map(|t| values(t.grad(&grads).unwrap()))
    };
    for (fast, composed) in run(Features::enter).iter().zip(&run(Features::plain)) {
        close(fast, composed, "means");
    }
}

/// Clones of an activation are readers of it: one that leads nowhere, one of a sum with itself, and as many side by side as
/// there may be parts of a join.
#[test]
fn gradients_of_several_readers_add_up() {
    for (parts, [n, c, h, w]) in [(1, [2, 16, 5, 7]), (2, [1, 8, 4, 4]), (4, [3, 8, 6, 3]), (7, [2, 8, 4, 5])]
    {
        let device = device::by_name("cpu").unwrap().autodiff();
        device.seed(parts as u64);
        let (x, slope) = (normal([n, c, h, w], 0.0, &device), normal([c], 0.25, &device));
        let wish = normal([n, parts * c + 3, h, w], 0.0, &device);
        let odd = normal([n, 3, h, w], 0.0, &device);
        let run = |enter: fn(Tensor<4>) -> Features| {
            let read = enter(x.clone()).prelu(slope.clone());
            let nowhere = read.clone().max_pool2();
            let doubled = read.clone().add(read.clone());
            let side_by_side = (1..parts).map(|_| read.clone()).chain([doubled, enter(odd.clone())]);
            let y = Features::join(side_by_side).leave();
            let grads = (y.clone() * wish.clone()).sum().backward();
            drop(nowhere);
            let found = [&x, &odd].map(|t| values(t.grad(&grads).unwrap()));
            (values(y.inner()), found, values(slope.grad(&grads).unwrap()))
        };
        let (fast, composed) = (run(Features::enter), run(Features::plain));
        assert_eq!(fast.0, composed.0);
        for (fast, composed) in fast.1.iter().zip(&composed.1).chain([(&fast.2, &composed.2)]) {
            close(fast, composed, &format!("{parts} parts"));
        }
    }
}

/// burn keeps the gradient of a leaf for whoever asks, also while it is summed.
#[test]
fn gradients_of_several_readers_of_a_leaf_add_up() {
    let device = device::by_name("cpu").unwrap().autodiff();
    let x = normal([1, 2, 5, 6, 8], 0.0, &device);
    let arrived = Arc::new(AtomicBool::new(false));
    let read = |factor: f32| fork(x.clone(), Arc::clone(&arrived)).mul_scalar(factor);
    let loss = sum(read(1.0), sum(read(2.0), read(4.0))).sum();
    assert_eq!(values(x.grad(&loss.backward()).unwrap()), [7.0; 480]);
}
