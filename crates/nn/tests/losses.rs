//! What every loss of the roster must do, hand-worked numbers, and PyTorch's (tests/peers/losses).

use std::path::PathBuf;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::Deserialize;
use tomosieve_nn::device;
use tomosieve_nn::kernel_ops;
use tomosieve_nn::kernels::Buffer;
use tomosieve_nn::losses::by_hand::{ByHand, Patch as Judgeable, judged};
use tomosieve_nn::losses::{LossConfig, by_config, masked_mean, names};

/// The losses of the paper, all of which PyTorch has or can be made of.
const PAPERS: [&str; 7] = [
    "cross-entropy",
    "generalized-cross-entropy",
    "symmetric-cross-entropy",
    "label-smoothing",
    "bootstrapping",
    "bootstrapping-hard",
    "focal",
];

fn cpu() -> Device {
    device::by_name("cpu").unwrap()
}

fn config(name: &str) -> LossConfig {
    LossConfig { name: name.into(), ..LossConfig::default() }
}

/// Logits `[1, k, 1, pixels]` given pixel by pixel.
fn logits(pixels: &[&[f32]], device: &Device) -> Tensor<4> {
    let k = pixels[0].len();
    let planes: Vec<f32> = (0..k).flat_map(|class| pixels.iter().map(move |p| p[class])).collect();
    Tensor::from_data(TensorData::new(planes, [1, k, 1, pixels.len()]), device)
}

fn labels(classes: &[i32], device: &Device) -> Tensor<3, Int> {
    Tensor::from_data(TensorData::new(classes.to_vec(), [1, 1, classes.len()]), device)
}

fn losses(name: &str, pixels: &[&[f32]], classes: &[i32]) -> Vec<f32> {
    let loss = by_config(&config(name)).unwrap();
    let log_p = log_softmax(logits(pixels, &cpu()), 1);
    loss.per_pixel(log_p, labels(classes, &cpu())).into_data().try_into_vec().unwrap()
}

#[test]
fn hand_worked_numbers() {
    // Probabilities 0.7, 0.2, 0.1.
    let pixel: &[f32] = &[0.7_f32.ln(), 0.2_f32.ln(), 0.1_f32.ln()];
    let ce = losses("cross-entropy", &[pixel, pixel], &[0, 2]);
    assert!((ce[0] + 0.7_f32.ln()).abs() < 1e-6 && (ce[1] + 0.1_f32.ln()).abs() < 1e-6);
    let smooth = losses("label-smoothing", &[pixel], &[0]);
    let expected = -(0.9 * 0.7_f32.ln() + 0.1 / 3.0 * (0.7_f32.ln() + 0.2_f32.ln() + 0.1_f32.ln()));
    assert!((smooth[0] - expected).abs() < 1e-6);
    // The label is the second class, of probability 0.2.
    let one = |name: &str| losses(name, &[pixel], &[1])[0];
    let surprise = -0.2_f32.ln();
    let entropy = -(0.7 * 0.7_f32.ln() + 0.2 * 0.2_f32.ln() + 0.1 * 0.1_f32.ln());
    for (name, expected) in [
        ("generalized-cross-entropy", (1.0 - 0.2_f32.powf(0.7)) / 0.7),
        ("symmetric-cross-entropy", 0.1 * surprise + 4.0 * 0.8),
        ("bootstrapping", 0.95 * surprise + 0.05 * entropy),
        ("bootstrapping-hard", 0.8 * surprise - 0.2 * 0.7_f32.ln()),
        ("focal", 0.8 * 0.8 * surprise),
    ] {
        assert!((one(name) - expected).abs() < 1e-6, "{name}: {} and {expected}", one(name));
    }
}

/// One patch of the golden file and what PyTorch made of it.
#[derive(Deserialize)]
struct Patch {
    #[serde(rename = "patch")]
    name: String,
    /// `[n, k, h, w]`
    shape: [usize; 4],
    logits: Vec<f32>,
    labels: Vec<i32>,
    weights: Vec<f32>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    settings: serde_json::Map<String, serde_json::Value>,
    pixels: Vec<f32>,
    total: f32,
    gradient: Vec<f32>,
}

/// The default settings with those of a case in their place.
fn config_of(case: &Case) -> LossConfig {
    let mut config = serde_json::to_value(config(&case.name)).unwrap();
    config.as_object_mut().unwrap().extend(case.settings.clone());
    serde_json::from_value(config).unwrap()
}

/// Fails unless both agree within 1e-4, relative where the numbers are large.
fn agree(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= 1e-4 * e.abs().max(1.0), "{what}: {f}, expected {e}");
    }
}

/// [`judged`] of a golden patch, whose weights are of pixels: those of one weight at a time.
fn judge(loss: &dyn ByHand, patch: &Patch, count: usize) -> (f64, Vec<f32>) {
    let [_, classes, h, w] = patch.shape;
    let mut weights: Vec<f32> = patch.weights.clone();
    weights.sort_by(f32::total_cmp);
    weights.dedup();
    let mut sum = (0.0, vec![0.0; patch.logits.len()]);
    for weight in weights {
        let of = |(&label, &own): (&i32, &f32)| if own == weight { label as u8 } else { 255 };
        let labels: Vec<u8> = patch.labels.iter().zip(&patch.weights).map(of).collect();
        let weights = vec![weight; classes];
        let part =
            Judgeable { logits: &patch.logits, labels: &labels, weights: &weights, classes, plane: h * w };
        let (total, gradient) = judged(loss, part, count);
        sum.0 += total;
        sum.1.iter_mut().zip(&*gradient).for_each(|(sum, slope)| *sum += slope);
    }
    sum
}

#[test]
fn outputs_and_gradients_are_those_of_pytorch_even_at_extreme_logits() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/losses.json");
    let path = std::env::var_os("TOMOSIEVE_LOSSES_GOLDEN").map_or_else(beside, PathBuf::from);
    let patches: Vec<Patch> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let training = cpu().autodiff();
    let mut met = std::collections::BTreeSet::new();
    for patch in &patches {
        let [n, _, h, w] = patch.shape;
        for case in &patch.cases {
            let what = format!("{} {:?} on {} logits", case.name, case.settings, patch.name);
            let loss = by_config(&config_of(case)).unwrap();
            let logits = TensorData::new(patch.logits.clone(), patch.shape);
            let x = Tensor::<4>::from_data(logits, &training).require_grad();
            let labels = TensorData::new(patch.labels.clone(), [n, h, w]);
            let weights = TensorData::new(patch.weights.clone(), [n, h, w]);
            let count = patch.weights.iter().filter(|weight| **weight > 0.0).count();

            let labels = Tensor::<3, Int>::from_data(labels, &training);
            let pixels = loss.per_pixel(log_softmax(x.clone(), 1), labels);
            let total = masked_mean(pixels.clone(), Tensor::from_data(weights, &training), count);
            let gradient = x.grad(&total.backward()).unwrap();
            agree(&what, &pixels.into_data().try_into_vec::<f32>().unwrap(), &case.pixels);
            agree(&format!("{what}, total"), &[total.into_scalar::<f32>()], &[case.total]);
            let gradient = gradient.into_data().try_into_vec::<f32>().unwrap();
            agree(&format!("{what}, gradient"), &gradient, &case.gradient);

            let by_hand = loss.by_hand().expect("all of the paper's have one");
            let (total, gradient) = judge(by_hand, patch, count);
            agree(&format!("{what}, total by hand"), &[total as f32], &[case.total]);
            agree(&format!("{what}, gradient by hand"), &gradient, &case.gradient);
            met.insert(case.name.as_str());
        }
    }
    for name in PAPERS {
        assert!(met.contains(name), "{name} is in no golden case");
    }
}

#[test]
fn by_hand_is_as_composed_for_any_number_of_pixels_and_classes() {
    let training = cpu().autodiff();
    let mut state = 1_u32;
    let mut draw = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    for [n, k, h, w] in [[1, 2, 1, 1], [2, 3, 7, 9], [3, 5, 8, 8], [2, 4, 13, 10]] {
        let values: Vec<f32> = (0..n * k * h * w).map(|_| (draw() % 2000) as f32 / 100.0 - 10.0).collect();
        // One label more than there are classes: it does not count.
        let classes: Vec<u8> = (0..n * h * w).map(|_| (draw() % (k as u32 + 1)) as u8).collect();
        let weights: Vec<f32> = (0..k).map(|class| 0.5 + class as f32).collect();
        let count = classes.iter().filter(|&&class| usize::from(class) < k).count();
        for name in names() {
            let loss = by_config(&config(name)).unwrap();
            let Some(by_hand) = loss.by_hand() else { continue };
            let patch =
                Judgeable { logits: &values, labels: &classes, weights: &weights, classes: k, plane: h * w };
            let (total, gradient) = judged(by_hand, patch, count);

            let x = Tensor::<4>::from_data(TensorData::new(values.clone(), [n, k, h, w]), &training);
            let x = x.require_grad();
            let counts = |class: u8| usize::from(class) < k;
            let of = |class: u8| if counts(class) { weights[usize::from(class)] } else { 0.0 };
            let factors: Vec<f32> = classes.iter().map(|&class| of(class)).collect();
            let labels: Vec<i32> =
                classes.iter().map(|&class| if counts(class) { i32::from(class) } else { 0 }).collect();
            let labels = Tensor::<3, Int>::from_data(TensorData::new(labels, [n, h, w]), &training);
            let factors = Tensor::<3>::from_data(TensorData::new(factors, [n, h, w]), &training);
            let composed = masked_mean(loss.per_pixel(log_softmax(x.clone(), 1), labels), factors, count);
            let expected = x.grad(&composed.backward()).unwrap().into_data().try_into_vec::<f32>().unwrap();
            let what = format!("{name} of {n} × {k} × {h} × {w}");
            agree(&what, &[total as f32], &[composed.into_scalar::<f32>()]);
            for (found, expected) in gradient.iter().zip(&expected) {
                assert!((found - expected).abs() <= 2e-6, "{what}: {found}, composed {expected}");
            }
        }
    }
}

#[test]
fn what_was_judged_by_hand_is_the_root_of_its_gradients() {
    let mut judge = |values: &[f32]| {
        assert_eq!(values, [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]);
        (7.5, Buffer::from(&[1.0, -2.0, 0.5, 0.0, 3.0, -0.25][..]))
    };
    let x = Tensor::<2>::from_data([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], &cpu().autodiff()).require_grad();
    let mut along = |factor: f32| {
        let number = kernel_ops::root(x.clone().mul_scalar(2.0), &mut judge);
        assert_eq!(number.clone().into_scalar::<f32>(), 7.5);
        let slopes = x.grad(&number.mul_scalar(factor).backward()).unwrap();
        slopes.into_data().try_into_vec::<f32>().unwrap()
    };
    assert_eq!(along(1.0), [2.0, -4.0, 1.0, 0.0, 6.0, -0.5]);
    assert_eq!(along(-4.0), [-8.0, 16.0, -4.0, 0.0, -24.0, 2.0]);
}

#[test]
fn the_right_class_costs_less_and_extreme_logits_stay_finite() {
    for name in names() {
        let pixels: [&[f32]; 3] = [&[2.0, 0.0, 0.0], &[0.0, 0.0, 0.0], &[-2.0, 0.0, 0.0]];
        let found = losses(name, &pixels, &[0, 0, 0]);
        assert!(found[0] < found[1] && found[1] < found[2], "{name}: {found:?}");
        let extreme = losses(name, &[&[1e4, -1e4, 0.0], &[-1e4, 1e4, 0.0]], &[0, 0]);
        assert!(extreme.iter().all(|l| l.is_finite()), "{name}: {extreme:?}");
    }
}

#[test]
fn gradients_agree_with_differences() {
    let training = cpu().autodiff();
    let pixels: [&[f32]; 2] = [&[0.3, -0.8, 1.1], &[-0.2, 0.5, 0.1]];
    for name in names() {
        let loss = by_config(&config(name)).unwrap();
        let x = logits(&pixels, &training).require_grad();
        let total = loss.per_pixel(log_softmax(x.clone(), 1), labels(&[2, 0], &training)).sum();
        let gradients = total.backward();
        let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
        for (i, found) in gradient.iter().enumerate() {
            let (class, pixel) = (i / 2, i % 2);
            let step = |by: f32| {
                let mut moved = pixels.map(<[f32]>::to_vec);
                moved[pixel][class] += by;
                losses(name, &[&moved[0], &moved[1]], &[2, 0]).iter().sum::<f32>()
            };
            let expected = (step(1e-2) - step(-1e-2)) / 2e-2;
            assert!((found - expected).abs() < 1e-3, "{name}: {found} and {expected}");
        }
    }
}

#[test]
fn masked_pixels_do_not_count_and_an_all_masked_batch_is_nothing() {
    let training = cpu().autodiff();
    let row = |v: [f32; 4]| Tensor::<3>::from_data(TensorData::new(v.to_vec(), [1, 1, 4]), &training);
    let loss = row([1.0, 2.0, 3.0, 4.0]);
    let mean: f32 = masked_mean(loss, row([1.0, 0.0, 2.0, 0.0]), 2).into_scalar();
    assert!((mean - 3.5).abs() < 1e-6);

    let x = logits(&[&[0.3, -0.8], &[0.1, 0.2]], &training).require_grad();
    let per_pixel = by_config(&config("cross-entropy"))
        .unwrap()
        .per_pixel(log_softmax(x.clone(), 1), labels(&[0, 1], &training));
    let total = masked_mean(per_pixel, Tensor::zeros([1, 1, 2], &training), 0);
    let gradients = total.clone().backward();
    assert!(total.into_scalar::<f32>() == 0.0);
    let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_into_vec().unwrap();
    assert!(gradient.iter().all(|g| *g == 0.0), "{gradient:?}");
}

#[test]
fn unknown_names_and_bad_parameters_are_refused() {
    assert!(by_config(&config("hinge")).err().unwrap().to_string().contains("cross-entropy"));
    let bad = LossConfig { smoothing: 1.0, ..LossConfig::default() };
    assert!(by_config(&bad).err().unwrap().to_string().contains("loss.smoothing is 1"));
    let refused = |change: fn(&mut LossConfig)| {
        let mut bad = LossConfig::default();
        change(&mut bad);
        by_config(&bad).err().unwrap().to_string()
    };
    assert_eq!(refused(|c| c.q = 0.0), "loss.q is 0; expected 0.01 to 1");
    assert_eq!(refused(|c| c.alpha = -1.0), "loss.alpha is -1; expected 0 to 100");
    assert!(
        refused(|c| (c.alpha, c.beta) = (0.0, 0.0)).starts_with("loss.beta is 0; expected 0 to 100, and")
    );
    assert_eq!(refused(|c| c.log_zero = 0.0), "loss.log_zero is 0; expected a number in [-100, 0)");
    assert_eq!(refused(|c| c.soft_beta = 1.5), "loss.soft_beta is 1.5; expected a number in (0, 1]");
    assert_eq!(refused(|c| c.hard_beta = 0.0), "loss.hard_beta is 0; expected a number in (0, 1]");
    assert_eq!(refused(|c| c.gamma = f64::NAN), "loss.gamma is NaN; expected 0 to 10");
}
