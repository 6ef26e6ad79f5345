//! The networks' building blocks against PyTorch: outputs and gradients of inputs and parameters.
//!
//! The goldens are written by `tests/peers/nn/make_golden.py`; `check.py` beside it runs these tests on
//! fresh ones, whose file the environment names.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use golden::{Fill, Golden};
use tomosieve_nn::blocks::BlockStyle;
use tomosieve_nn::device;
use tomosieve_nn::features::Features;
use tomosieve_nn::networks::NetworkConfig;
use tomosieve_nn::networks::attention_unet::AttentionGate;
use tomosieve_nn::networks::segformer::{EfficientAttention, MixFfn, OverlapPatchEmbed, SegFormer};
use tomosieve_nn::networks::unet_plus_plus::NestedNode;
use tomosieve_nn::networks::unet3_plus::FullScale;
use tomosieve_nn::segmenter::Segmenter;

#[path = "golden/file.rs"]
mod golden;

const STYLE: BlockStyle = BlockStyle { groups: 4, dropout: 0.0 };

/// Holds the gradients of a module's parameters against the golden ones.
struct Compare<'a>(&'a Golden, &'a Gradients, Vec<String>, usize);

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.2.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.2.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.1).unwrap();
        self.0.holds(&format!("grad/{}", self.2.join(".")), gradient);
        self.3 += 1;
    }
}

/// Inputs of rank `I` and an output of rank `O`.
fn agrees<M: Module, const I: usize, const O: usize>(
    case: &str,
    make: impl Fn(&Device) -> M,
    forward: impl Fn(&M, Vec<Tensor<I>>) -> Tensor<O>,
) {
    let device = device::by_name("cpu").unwrap().autodiff();
    let golden = Golden::new("networks.safetensors", "TOMOSIEVE_NETWORKS_GOLDEN", case);
    let count = |kind: &str| golden.0.keys().filter(|name| name.starts_with(kind)).count();
    let module = make(&device).map(&mut Fill(&golden, Vec::new()));
    let inputs: Vec<Tensor<I>> =
        (0..count("in/")).map(|i| golden.tensor(&format!("in/{i}"), &device).require_grad()).collect();
    let out = forward(&module, inputs.clone());
    let gradients = (out.clone() * golden.tensor("wish", &device)).sum().backward();
    golden.holds("out", out.inner());
    for (i, x) in inputs.iter().enumerate() {
        golden.holds(&format!("in_grad/{i}"), x.grad(&gradients).unwrap());
    }
    let mut compare = Compare(&golden, &gradients, Vec::new(), 0);
    module.visit(&mut compare);
    assert_eq!(compare.3, count("param/"), "{case}: every parameter is compared");
}

/// The inputs in the layouts a network may meet: plain, and the CPU's own.
const LAYOUTS: [fn(Tensor<4>) -> Features; 2] = [Features::plain, Features::enter];

#[test]
fn unet_plus_plus_node() {
    for enter in LAYOUTS {
        agrees(
            "unet++/node",
            |device| NestedNode::new(2, 8, 12, STYLE, device),
            |node, x| {
                let [a, b, below]: [Tensor<4>; 3] = x.try_into().unwrap();
                node.forward(&[enter(a), enter(b)], enter(below)).leave()
            },
        );
    }
}

#[test]
fn unet3_plus_aggregation() {
    for enter in LAYOUTS {
        agrees(
            "unet3+/aggregation",
            |device| FullScale::new(1, &[8, 6, 10], 4, STYLE, device),
            |level, x| level.forward(&x.into_iter().map(enter).collect::<Vec<_>>()).leave(),
        );
    }
}

#[test]
fn attention_gate() {
    for enter in LAYOUTS {
        agrees(
            "attention-unet/gate",
            |device| AttentionGate::new(6, 10, device),
            |gate, x| {
                let [x, g]: [Tensor<4>; 2] = x.try_into().unwrap();
                gate.forward(enter(x), enter(g)).leave()
            },
        );
    }
}

#[test]
fn segformer_embedding() {
    let forward = |embed: &OverlapPatchEmbed, mut x: Vec<Tensor<4>>| embed.forward(x.remove(0)).0;
    agrees("segformer/embed4", |device| OverlapPatchEmbed::new(3, 4, 4, device), forward);
    agrees("segformer/embed2", |device| OverlapPatchEmbed::new(4, 8, 2, device), forward);
}

#[test]
fn segformer_attention() {
    agrees(
        "segformer/attention",
        |device| EfficientAttention::new(8, 2, 2, device),
        |attention, mut x: Vec<Tensor<3>>| attention.forward(x.remove(0), [6, 4]),
    );
    agrees(
        "segformer/attention1",
        |device| EfficientAttention::new(9, 3, 1, device),
        |attention, mut x: Vec<Tensor<3>>| attention.forward(x.remove(0), [3, 5]),
    );
}

#[test]
fn segformer_mix_ffn() {
    agrees(
        "segformer/ffn",
        |device| MixFfn::new(6, 12, device),
        |ffn, mut x: Vec<Tensor<3>>| ffn.forward(x.remove(0), [5, 7]),
    );
}

#[test]
fn segformer_whole() {
    let config = NetworkConfig { name: "segformer".into(), widths: vec![4, 8], groups: 4, dropout: 0.0 };
    agrees(
        "segformer/network",
        |device| SegFormer::new(&config, 2, 2, device),
        |network, mut x: Vec<Tensor<4>>| network.forward(x.remove(0)),
    );
}
