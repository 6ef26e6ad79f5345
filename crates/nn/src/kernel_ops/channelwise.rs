//! `PReLU` alone, and weights that all channels of a pixel share.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{Buffer, Isa};

use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor, vector};

/// `max(x, 0) + slope · min(x, 0)`
pub(super) fn prelu(x: &Values, slope: &Values) -> Cpu {
    let shape = x.blocked(slope.len());
    let mut y = Buffer::dirty(shape.len());
    tomosieve_kernels::prelu(Isa::best(), shape, x, slope, &mut y);
    tensor(y, shape.dims())
}

/// `x · factors`, the factors `[n, 1, h, w]`.
pub(super) fn weigh(x: &Values, factors: &Values) -> Cpu {
    let shape = x.lanes();
    let mut y = Buffer::dirty(shape.len());
    tomosieve_kernels::weigh(Isa::best(), shape, x, factors, &mut y);
    tensor(y, shape.dims())
}

/// Both inputs.
type State = (Values, Values);

#[derive(Debug)]
struct Activated;

impl Backward<Flex, 2> for Activated {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let (x, slope) = ops.state;
        let shape = x.blocked(slope.len());
        let mut dx = Buffer::dirty(shape.len());
        let dslope = tomosieve_kernels::prelu_backward(Isa::best(), shape, &x, &slope, &dy, &mut dx);
        let [of_x, of_slope] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<Flex>(node.id, tensor(dx, shape.dims()));
        }
        if let Some(node) = of_slope {
            grads.register::<Flex>(node.id, vector(dslope));
        }
    }
}

#[derive(Debug)]
struct Weighed;

impl Backward<Flex, 2> for Weighed {
    type State = State;

    fn backward(self, ops: Ops<State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let (x, factors) = ops.state;
        let [of_x, of_factors] = ops.parents;
        if let Some(node) = of_x {
            grads.register::<Flex>(node.id, weigh(&dy, &factors));
        }
        if let Some(node) = of_factors {
            let mut dfactors = Buffer::dirty(factors.len());
            tomosieve_kernels::weigh_backward(Isa::best(), x.lanes(), &x, &dy, &mut dfactors);
            grads.register::<Flex>(node.id, tensor(dfactors, factors.dims::<4>()));
        }
    }
}

/// [`prelu`] with its gradients.
pub(super) fn prelu_tracked<C: CheckpointStrategy>(x: Tracked<C>, slope: Tracked<C>) -> Tracked<C> {
    let nodes = [x.node(), slope.node()];
    let [x, slope] = [x, slope].map(|t| Values::new(t.into_primitive()));
    let y = prelu(&x, &slope);
    match Activated.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((x, slope), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}

/// [`weigh`] with its gradients.
pub(super) fn weigh_tracked<C: CheckpointStrategy>(x: Tracked<C>, factors: Tracked<C>) -> Tracked<C> {
    let nodes = [x.node(), factors.node()];
    let [x, factors] = [x, factors].map(|t| Values::new(t.into_primitive()));
    let y = weigh(&x, &factors);
    match Weighed.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((x, factors), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
