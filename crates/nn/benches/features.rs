//! The block every network is made of, by burn's composed operations and by the kernels, through autodiff.
//!
//! `cargo bench -p tomosieve-nn --bench features`; throughput is output voxels a second, one thread.

use burn::tensor::{Device, Distribution, Tensor};
use divan::Bencher;
use divan::counter::ItemsCount;
use tomosieve_nn::device;
use tomosieve_nn::features::Features;
use tomosieve_nn::kernel_ops::ConvNormActParams;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the first pool");
    divan::main();
}

/// Channels and edge of the levels of the default network, batch 4.
const LEVELS: &[[usize; 2]] = &[[16, 128], [32, 64], [64, 32], [128, 16], [288, 8]];

fn layer(c: usize, device: &Device) -> ConvNormActParams {
    let vector = |mean| Tensor::random([c], Distribution::Normal(mean, 0.1), device).require_grad();
    ConvNormActParams {
        weight: Tensor::random([c, c, 3, 3], Distribution::Normal(0.0, 0.1), device).require_grad(),
        bias: vector(0.0),
        gamma: vector(1.0),
        beta: vector(0.0),
        slope: vector(0.25),
        mask: None,
        groups: 8,
        epsilon: 1e-5,
    }
}

fn train(bencher: Bencher<'_, '_>, [c, edge]: [usize; 2], enter: fn(Tensor<4>) -> Features) {
    let device = device::by_name("cpu").expect("always built").autodiff();
    let params = layer(c, &device);
    let x = enter(Tensor::random([4, c, edge, edge], Distribution::Default, &device));
    bencher.counter(ItemsCount::new(4 * c * edge * edge)).bench_local(|| {
        let y = x.clone().conv_norm_act(params.clone());
        y.conv_norm_act(params.clone()).sum().backward()
    });
}

#[divan::bench(name = "composed", args = LEVELS, sample_count = 5)]
fn composed(bencher: Bencher<'_, '_>, level: &[usize; 2]) {
    train(bencher, *level, Features::plain);
}

#[divan::bench(name = "kernels", args = LEVELS, sample_count = 20)]
fn kernels(bencher: Bencher<'_, '_>, level: &[usize; 2]) {
    train(bencher, *level, Features::enter);
}

/// A depthwise convolution and its gradients, by burn's operation on `[n, c, h, w]` and by the kernel.
fn train_depthwise(bencher: Bencher<'_, '_>, [c, edge]: [usize; 2], enter: fn(Tensor<4>) -> Features) {
    let device = device::by_name("cpu").expect("always built").autodiff();
    let weight = Tensor::random([c, 1, 3, 3], Distribution::Normal(0.0, 0.1), &device).require_grad();
    let bias = Tensor::random([c], Distribution::Normal(0.0, 0.1), &device).require_grad();
    let x = Tensor::random([4, c, edge, edge], Distribution::Default, &device).require_grad();
    let x = enter(x);
    bencher
        .counter(ItemsCount::new(4 * c * edge * edge))
        .bench_local(|| x.clone().conv_depthwise(weight.clone(), bias.clone(), 1).sum().backward());
}

#[divan::bench(name = "depthwise, composed", args = LEVELS, sample_count = 5)]
fn composed_depthwise(bencher: Bencher<'_, '_>, level: &[usize; 2]) {
    train_depthwise(bencher, *level, Features::plain);
}

#[divan::bench(name = "depthwise, kernels", args = LEVELS, sample_count = 20)]
fn kernels_depthwise(bencher: Bencher<'_, '_>, level: &[usize; 2]) {
    train_depthwise(bencher, *level, Features::enter);
}
