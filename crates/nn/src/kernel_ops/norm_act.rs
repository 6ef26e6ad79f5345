//! Group norm, `PReLU` and channel dropout of an activation: what comes *before* the convolution in a
//! pre-activation block.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{
    Blocked, Buffer, Change, ChannelMoments, Deferred, Isa, NormAct, NormGradients, NormStats, norm_act,
    norm_act_backward,
};

use super::deferred::Pending;
use super::layout::Tracked;
use super::storage::{Cpu, Values, changed, tensor, vector};

/// Everything but the activation that comes in.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) gamma: Values,
    pub(super) beta: Values,
    pub(super) slope: Values,
    pub(super) mask: Option<Vec<f32>>,
    pub(super) groups: usize,
    pub(super) epsilon: f32,
}

impl Layer {
    /// The norm as the kernels take it.
    pub(super) fn norm(&self) -> NormAct<'_> {
        NormAct {
            gamma: &self.gamma,
            beta: &self.beta,
            slope: &self.slope,
            mask: self.mask.as_deref(),
            groups: self.groups,
            epsilon: self.epsilon,
        }
    }

    pub(super) fn shape(&self, x: &Values) -> Blocked {
        x.blocked(self.gamma.len())
    }

    /// `x`, and its norm, which is left to its reader; with dropout the output. The moments of `x` may be known.
    pub(super) fn infer(&self, x: Cpu, shape: Blocked, known: Option<ChannelMoments>) -> (Cpu, Pending) {
        let (isa, norm) = (Isa::best(), self.norm());
        if norm.mask.is_some() {
            return (changed(x, |x| norm_act(isa, shape, x, known, norm)).0, None);
        }
        let deferred = Deferred::new(isa, shape, &Values::new(x.clone()), known, norm);
        (x, Some(Arc::new(deferred)))
    }

    /// The output and the norm's statistics.
    fn train(&self, x: &Values) -> (Cpu, NormStats) {
        let shape = self.shape(x);
        let mut y = Buffer::dirty(shape.len());
        let stats = norm_act(Isa::best(), shape, Change::elsewhere(x, &mut y), None, self.norm());
        (tensor(y, shape.dims()), stats)
    }

    /// The gradients of the input `x` and of the parameters.
    pub(super) fn backward(
        &self,
        x: &[f32],
        shape: Blocked,
        stats: &NormStats,
        dy: Cpu,
    ) -> (Cpu, NormGradients) {
        changed(dy, |dy| norm_act_backward(Isa::best(), shape, x, self.norm(), stats, dy))
    }
}

/// The layer, its input and the norm's statistics.
type State = Arc<(Layer, Values, NormStats)>;

#[derive(Debug)]
struct Activated;

impl Backward<Flex, 4> for Activated {
    type State = State;

    fn backward(self, ops: Ops<State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let [of_x, of_gamma, of_beta, of_slope] = ops.parents;
        let (layer, x, stats) = &*ops.state;
        let (dx, norm) = layer.backward(x, layer.shape(x), stats, dy);
        if let Some(node) = of_x {
            grads.register::<Flex>(node.id, dx);
        }
        for (parent, values) in [(of_gamma, norm.gamma), (of_beta, norm.beta), (of_slope, norm.slope)] {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, vector(values));
            }
        }
    }
}

/// The layer with its gradients; `parents` are gamma, beta and slope.
pub(super) fn tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    parents: [Tracked<C>; 3],
    mask: Option<Vec<f32>>,
    groups: usize,
    epsilon: f32,
) -> Tracked<C> {
    let [gamma, beta, slope] = &parents;
    let nodes = [x.node(), gamma.node(), beta.node(), slope.node()];
    let values = |t: Tracked<C>| Values::new(t.into_primitive());
    let x = values(x);
    let [gamma, beta, slope] = parents.map(values);
    let layer = Layer { gamma, beta, slope, mask, groups, epsilon };
    let (y, stats) = layer.train(&x);
    match Activated.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(Arc::new((layer, x, stats)), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
