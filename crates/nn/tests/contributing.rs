//! The worked example of CONTRIBUTING.md: it is what stands there, it compiles where it would stand, and it is a loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use poly1::Poly1;
use tomosieve_nn::device;
use tomosieve_nn::losses::{Loss, LossConfig, negative_log_likelihood};

#[path = "contributing/poly1.rs"]
#[allow(unreachable_pub, reason = "it is public where it would stand")]
mod poly1;

/// Its line of the roster.
type Make = fn(&LossConfig) -> Box<dyn Loss>;

const LINE: (&str, Make) = include!("contributing/roster_line.in");

#[test]
fn contributing_shows_the_example() {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../CONTRIBUTING.md"));
    for part in [include_str!("contributing/poly1.rs"), include_str!("contributing/roster_line.in")] {
        assert!(text.contains(part.trim_end()), "CONTRIBUTING.md lacks, word for word:\n{part}");
    }
}

#[test]
fn the_example_is_what_it_says() {
    let (name, make) = LINE;
    assert_eq!(name, "poly-1");
    let device = device::by_name("cpu").unwrap().autodiff();
    // Probabilities 0.7, 0.2 and 0.1; the label is the second class.
    let logits = TensorData::new(vec![0.7_f32.ln(), 0.2_f32.ln(), 0.1_f32.ln()], [1, 3, 1, 1]);
    let x = Tensor::<4>::from_data(logits, &device).require_grad();
    let label = Tensor::<3, Int>::from_data(TensorData::new(vec![1_i32], [1, 1, 1]), &device);
    let loss = make(&LossConfig::default()).per_pixel(log_softmax(x.clone(), 1), label);
    let gradient = x.grad(&loss.clone().backward()).unwrap();
    let value: f32 = loss.into_scalar();
    assert!((value - (-0.2_f32.ln() + 0.8)).abs() < 1e-6, "{value}");
    // d/dx_k = (1 + ε p_y)(p_k − y_k)
    let gradient: Vec<f32> = gradient.into_data().try_into_vec().unwrap();
    for (found, expected) in gradient.iter().zip([1.2 * 0.7, 1.2 * -0.8, 1.2 * 0.1]) {
        assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    }
}
