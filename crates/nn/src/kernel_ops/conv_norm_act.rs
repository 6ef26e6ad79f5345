//! Convolution, group norm, `PReLU` and channel dropout as one operation: what most of a network is.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{
    Buffer, Change, ChannelMoments, Conv, Isa, Kind, NormGradients, NormStats, norm_act, together,
};

use super::deferred::{Pending, settled};
use super::frozen;
use super::layout::Tracked;
use super::norm_act::Layer as Norm;
use super::storage::{Cpu, Values, tensor, vector};

/// Everything but the activation that comes in.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) weight: Values,
    pub(super) bias: Values,
    pub(super) after: Norm,
}

impl Layer {
    /// The convolution, its pixels alone, and their moments if they are known.
    fn convolve(&self, x: &Values, pending: &Pending) -> (Conv, Buffer, Option<ChannelMoments>) {
        let conv = super::conv::of(x, &self.weight, Kind::Square);
        let mut z = Buffer::dirty(conv.output().len());
        let kept = frozen::kept(conv, &self.weight);
        let filters = (&*self.weight, kept.as_deref().map(|kept| &*kept.filters));
        let moments =
            conv.forward_measured(Isa::best(), x.awaiting(pending), filters, Some(&self.bias), &mut z);
        (conv, z, moments)
    }

    /// The convolution and the norm that is left to its reader; with dropout the output.
    pub(super) fn infer(&self, x: &Values, pending: &Pending) -> (Cpu, Pending) {
        together(|| {
            let (conv, z, moments) = self.convolve(x, pending);
            self.after.infer(tensor(z, conv.output().dims()), conv.output(), moments)
        })
    }

    /// The output and what the backward pass needs.
    fn train(self, x: Values) -> (Cpu, State) {
        let (conv, z, y, stats) = together(|| {
            let (conv, z, moments) = self.convolve(&x, &None);
            let mut y = Buffer::dirty(conv.output().len());
            let norm = self.after.norm();
            let stats = norm_act(Isa::best(), conv.output(), Change::elsewhere(&z, &mut y), moments, norm);
            (conv, z, y, stats)
        });
        (tensor(y, conv.output().dims()), Arc::new(Saved { layer: self, conv, x, z, stats }))
    }
}

/// The layer, its input, the pixels of the convolution before the norm, and the norm's statistics.
#[derive(Debug)]
struct Saved {
    layer: Layer,
    conv: Conv,
    x: Values,
    z: Buffer,
    stats: NormStats,
}

type State = Arc<Saved>;

/// What the backward pass finds.
struct Found {
    norm: NormGradients,
    x: Option<Buffer>,
    weight: Option<Buffer>,
}

impl Saved {
    /// The gradients, of input and weight only where wanted.
    fn backward(&self, dy: Cpu, of_x: bool, of_weight: bool) -> Found {
        let Self { layer, conv, x, z, stats } = self;
        let isa = Isa::best();
        let (dz, norm) = layer.after.backward(z, conv.output(), stats, dy);
        let dz = Values::new(dz);
        let weight = of_weight.then(|| {
            let mut dw = Buffer::dirty(conv.weights());
            conv.backward_weight(isa, x, &dz, &mut dw);
            dw
        });
        let x = of_x.then(|| {
            let mut dx = Buffer::dirty(x.len());
            conv.backward_input(isa, &dz, &layer.weight, &mut dx);
            dx
        });
        Found { norm, x, weight }
    }
}

#[derive(Debug)]
struct Activated;

impl Backward<Flex, 6> for Activated {
    type State = State;

    fn backward(self, ops: Ops<State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let [of_x, of_weight, of_bias, of_gamma, of_beta, of_slope] = ops.parents;
        let saved = &*ops.state;
        let Found { norm, x, weight } = together(|| saved.backward(dy, of_x.is_some(), of_weight.is_some()));
        if let (Some(node), Some(dx)) = (of_x, x) {
            grads.register::<Flex>(node.id, tensor(dx, saved.conv.input.dims()));
        }
        if let (Some(node), Some(dw)) = (of_weight, weight) {
            grads.register::<Flex>(node.id, tensor(dw, saved.layer.weight.dims::<4>()));
        }
        let vectors =
            [(of_bias, norm.bias), (of_gamma, norm.gamma), (of_beta, norm.beta), (of_slope, norm.slope)];
        for (parent, values) in vectors {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, vector(values));
            }
        }
    }
}

/// The layer with its gradients; `parents` are weight, bias, gamma, beta and slope.
pub(super) fn tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    parents: [Tracked<C>; 5],
    mask: Option<Vec<f32>>,
    groups: usize,
    epsilon: f32,
) -> Tracked<C> {
    let [weight, bias, gamma, beta, slope] = &parents;
    let nodes = [x.node(), weight.node(), bias.node(), gamma.node(), beta.node(), slope.node()];
    let values = |t: Tracked<C>| Values::new(t.into_primitive());
    let x = values(x);
    let [weight, bias, gamma, beta, slope] = parents.map(values);
    let after = Norm { gamma, beta, slope, mask, groups, epsilon };
    let layer = Layer { weight, bias, after };
    match Activated.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => {
            let (y, state) = layer.train(x);
            op.finish(state, y)
        }
        OpsKind::UnTracked(op) => {
            let (y, pending) = layer.infer(&x, &None);
            op.finish(settled(y, pending))
        }
    }
}
