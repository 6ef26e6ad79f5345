//! The optimiser, sums of gradients and the moving average in one pass against burn's.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use tomosieve_nn::adam::Adam;
use tomosieve_nn::gradients::GradientSum;
use tomosieve_nn::{device, teacher};

fn training() -> Device {
    device::by_name("cpu").unwrap().autodiff()
}

fn values(layer: &Linear) -> Vec<f32> {
    let of = |t: Tensor<1>| t.into_data().try_to_vec::<f32>().unwrap();
    let [weight, bias] = [layer.weight.val().flatten(0, 1), layer.bias.as_ref().unwrap().val()];
    [of(weight), of(bias)].concat()
}

fn close(got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len());
    assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-5), "{got:?} instead of {expected:?}");
}

fn gradients(layer: &Linear, x: &Tensor<2>) -> GradientsParams {
    GradientsParams::from_grads(layer.forward(x.clone()).square().mean().backward(), layer)
}

/// A layer, a step later.
fn step(layer: Linear, optimizer: &mut ModuleOptimizer, x: &Tensor<2>) -> Linear {
    let gradients = gradients(&layer, x);
    optimizer.step(0.05, layer, gradients)
}

#[test]
fn gradients_of_parts_add_up_as_with_burn() {
    let device = training();
    device.seed(5);
    let layer: Linear = LinearConfig::new(7, 5).init(&device);
    let parts = [1, 2, 3].map(|n| Tensor::<2>::random([n, 7], Distribution::Default, &device));
    let (mut ours, mut burns) = (GradientSum::default(), GradientsAccumulator::new());
    for x in &parts {
        ours.add(&layer, gradients(&layer, x));
        burns.accumulate(&layer, gradients(&layer, x));
    }
    let of = |sum: GradientsParams| {
        let weight = sum.get::<2>(layer.weight.id).unwrap().flatten::<1>(0, 1);
        let bias = sum.get::<1>(layer.bias.as_ref().unwrap().id).unwrap();
        [weight, bias].map(|t| t.into_data().try_into_vec::<f32>().unwrap()).concat()
    };
    let (ours, burns) = (of(ours.into_params()), of(burns.grads()));
    assert_eq!(ours, burns);
    assert!(ours.iter().any(|g| *g != 0.0));
}

#[test]
fn steps_are_those_of_burn_and_survive_a_checkpoint() {
    let device = training();
    device.seed(3);
    let x = Tensor::<2>::random([4, 7], Distribution::Default, &device);
    let start: Linear = LinearConfig::new(7, 5).init(&device);
    let mut ours = (start.clone(), Adam::optimizer(1e-8));
    let mut burns = (start, AdamConfig::new().with_epsilon(1e-8).init());
    let file = std::env::temp_dir().join(format!("tomosieve-adam-{}.bpk", std::process::id()));
    for i in 0..12 {
        ours.0 = step(ours.0, &mut ours.1, &x);
        burns.0 = step(burns.0, &mut burns.1, &x);
        close(&values(&ours.0), &values(&burns.0));
        if i == 5 {
            ours.1.save(&file).unwrap();
            ours.1 = Adam::optimizer(1e-8).load(&file).unwrap();
        }
    }
    std::fs::remove_file(file).unwrap();
}

#[test]
fn the_teacher_is_the_weighed_mean_and_its_copies_stay() {
    let device = training();
    device.seed(4);
    let [first, second]: [Linear; 2] = [(); 2].map(|()| LinearConfig::new(6, 9).init(&device));
    let before = first.valid();
    let blended = teacher::blend(before.clone(), &second, 0.75);
    let expected: Vec<f32> =
        values(&first).iter().zip(values(&second)).map(|(a, b)| 0.75 * a + 0.25 * b).collect();
    close(&values(&blended), &expected);
    assert_eq!(values(&before), values(&first.valid()), "a blend changes no copy");
}
