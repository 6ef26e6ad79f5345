//! Entering and leaving the blocked layout; each is the other's gradient.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use tomosieve_kernels::{Blocked, Buffer, Isa, to_blocked, to_nchw};

use super::storage::{Cpu, Values, tensor};

/// `[n, c, h, w]` to the blocked layout.
pub(super) fn enter(x: Cpu) -> Cpu {
    let x = Values::new(x);
    let [n, c, h, w] = x.dims();
    let shape = Blocked::new(n, c, h, w);
    let mut y = Buffer::dirty(shape.len());
    to_blocked(Isa::best(), shape, &x, &mut y);
    tensor(y, shape.dims())
}

/// The blocked layout to `[n, channels, h, w]`.
pub(super) fn leave(x: Cpu, channels: usize) -> Cpu {
    let x = Values::new(x);
    let shape = x.blocked(channels);
    let dims = [shape.n, shape.c, shape.h, shape.w];
    let mut y = Buffer::dirty(dims.iter().product());
    to_nchw(Isa::best(), shape, &x, &mut y);
    tensor(y, dims)
}

#[derive(Debug)]
struct Entered;

impl Backward<Flex, 1> for Entered {
    type State = usize;

    fn backward(self, ops: Ops<usize, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            grads.register::<Flex>(node.id, leave(dy, ops.state));
        }
    }
}

#[derive(Debug)]
struct Left;

impl Backward<Flex, 1> for Left {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            grads.register::<Flex>(node.id, enter(dy));
        }
    }
}

/// A float tensor of the differentiable CPU back end.
pub(super) type Tracked<C> = FloatTensor<Autodiff<Flex, C>>;

/// [`enter`] with its gradient.
pub(super) fn enter_tracked<C: CheckpointStrategy>(x: Tracked<C>) -> Tracked<C> {
    let node = x.node();
    let x = x.into_primitive();
    match Entered.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => {
            let channels = x.layout().shape()[1];
            op.finish(channels, enter(x))
        }
        OpsKind::UnTracked(op) => op.finish(enter(x)),
    }
}

/// [`leave`] with its gradient.
pub(super) fn leave_tracked<C: CheckpointStrategy>(x: Tracked<C>, channels: usize) -> Tracked<C> {
    let node = x.node();
    let x = x.into_primitive();
    match Left.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((), leave(x, channels)),
        OpsKind::UnTracked(op) => op.finish(leave(x, channels)),
    }
}
