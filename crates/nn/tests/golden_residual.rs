//! The blocks of ResUNet, ResUNet++ and DeepLabv3+ against PyTorch: outputs and all gradients, by the
//! kernels and by burn's composed operations. `tests/peers/nn/make_golden_residual.py` made the golden file.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use serde::Deserialize;
use tomosieve_nn::blocks::{BlockStyle, Residual, SqueezeExcite};
use tomosieve_nn::device;
use tomosieve_nn::features::Features;
use tomosieve_nn::networks::{deeplabv3_plus as deeplab, resunet_plus_plus as plus_plus};

const STYLE: BlockStyle = BlockStyle { groups: 2, dropout: 0.0 };

/// Into the layout of the kernels or of burn.
type Enter = fn(Tensor<4>) -> Features;

/// What PyTorch found.
#[derive(Deserialize)]
struct Case {
    name: String,
    inputs: Vec<[usize; 4]>,
    shape: [usize; 4],
    output: Vec<f32>,
    input_gradients: Vec<Vec<f32>>,
    gradients: BTreeMap<String, Vec<f32>>,
}

fn case(name: &str) -> Case {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/residual.json")).unwrap();
    cases.into_iter().find(|case| case.name == name).unwrap()
}

/// The formula of the script: values in [-1, 1), the same for the same shape and number.
fn pattern(count: usize, number: usize) -> Vec<f32> {
    let value = |i: usize| (((i + 31 * number) * 7919) % 1009) as f64 / 504.5 - 1.0;
    (0..count).map(|i| value(i) as f32).collect()
}

/// The formula as a tensor.
fn patterned(shape: [usize; 4], number: usize, device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new(pattern(shape.iter().product(), number), shape), device)
}

/// Visits parameters under their paths: first to name them, then to set them, at last for their gradients.
#[derive(Default)]
struct Named<'a> {
    path: Vec<String>,
    numbers: BTreeMap<String, usize>,
    gradients: Option<&'a Gradients>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Named<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let gradient = self.gradients.map(|all| param.val().grad(all).unwrap_or_else(|| panic!("{name}")));
        self.found.insert(name, gradient.map_or_else(Vec::new, values));
    }
}

impl ModuleMapper for Named<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.join(".");
        let number = self.numbers[&name] + 1;
        let centre = match name.rsplit('.').next() {
            Some("gamma") => 1.0,
            Some("alpha") => 0.25,
            _ => 0.0,
        };
        param.map(|old| {
            let shape = old.dims();
            let made = pattern(shape.iter().product(), number);
            let made: Vec<f32> = made.iter().map(|v| centre + 0.3 * v).collect();
            Tensor::from_data(TensorData::new(made, shape), &old.device()).require_grad()
        })
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

/// Holds `forward` of a block against PyTorch, in both layouts.
fn agrees<M: Module>(name: &str, make: impl Fn(&Device) -> M, forward: impl Fn(&M, &[Features]) -> Features) {
    let case = case(name);
    let device = device::by_name("cpu").unwrap().autodiff();
    let mut names = Named::default();
    let block = make(&device);
    block.visit(&mut names);
    let names: Vec<&String> = names.found.keys().collect();
    assert_eq!(names, case.gradients.keys().collect::<Vec<_>>(), "{name}");
    let numbers = names.into_iter().cloned().enumerate().map(|(i, name)| (name, i)).collect();
    let block = block.map(&mut Named { numbers, ..Named::default() });
    let layouts: [(&str, Enter); 2] = [("kernels", Features::enter), ("composed", Features::plain)];
    for (how, enter) in layouts {
        let inputs = case.inputs.iter().enumerate();
        let inputs: Vec<_> = inputs.map(|(i, s)| patterned(*s, 100 + i, &device).require_grad()).collect();
        let entered: Vec<_> = inputs.iter().map(|x| enter(x.clone())).collect();
        let y = forward(&block, &entered).leave();
        assert_eq!(y.dims(), case.shape, "{name}, {how}");
        close(&values(y.clone().inner()), &case.output, &format!("{name}, {how}: output"));
        let gradients = (y * patterned(case.shape, 200, &device)).sum().backward();
        for (x, expected) in inputs.iter().zip(&case.input_gradients) {
            close(&values(x.grad(&gradients).unwrap()), expected, &format!("{name}, {how}: input"));
        }
        let mut found = Named { gradients: Some(&gradients), ..Named::default() };
        block.visit(&mut found);
        for (path, expected) in &case.gradients {
            close(&found.found[path], expected, &format!("{name}, {how}: {path}"));
        }
    }
}

#[test]
fn residual_units() {
    let unit = |x: usize, y: usize, stride: usize| move |d: &Device| Residual::new(x, y, stride, STYLE, d);
    let forward = |unit: &Residual, x: &[Features]| unit.forward(x[0].clone());
    agrees("residual-strided", unit(5, 10, 2), forward);
    agrees("residual-identity", unit(4, 4, 1), forward);
    agrees("residual-raw", |d| unit(3, 4, 1)(d).of_raw(), forward);
}

#[test]
fn squeeze_and_excitation() {
    agrees("squeeze-excite", |d| SqueezeExcite::new(20, d), |block, x| block.forward(x[0].clone()));
}

#[test]
fn blocks_of_resunet_plus_plus() {
    use plus_plus::{Aspp, Attention, Unit};
    agrees("unit", |d| Unit::new(4, 6, 2, STYLE, d), |block, x| block.forward(x[0].clone()));
    agrees("aspp-resunet", |d| Aspp::new(3, 4, STYLE, d), |block, x| block.forward(x[0].clone()));
    let attend = |block: &Attention, x: &[Features]| block.forward(x[0].clone(), x.get(1).cloned());
    agrees("attention-guided", |d| Attention::new(4, Some(3), STYLE, d), attend);
    agrees("attention-self", |d| Attention::new(4, None, STYLE, d), attend);
}

#[test]
fn blocks_of_deeplab() {
    use deeplab::{Aspp, Xception};
    let forward = |block: &Xception, x: &[Features]| block.forward(x[0].clone());
    agrees("xception-strided", |d| Xception::new([6, 9], 2, STYLE, d), forward);
    agrees("xception-identity", |d| Xception::new([8, 8], 1, STYLE, d), forward);
    agrees("aspp-deeplab", |d| Aspp::new(4, 4, STYLE, d), |block, x| block.forward(x[0].clone()));
}

#[test]
fn resizing() {
    #[derive(Module, Debug)]
    struct Nothing;
    agrees("bilinear", |_| Nothing, |_, x| x[0].clone().resize([12, 7]));
    agrees("nearest", |_| Nothing, |_, x| x[0].clone().nearest2());
}
