//! Max pooling.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{Buffer, Isa, pooled};

use super::deferred::Pending;
use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor};

/// Maximum of 2×2.
pub(super) fn max_pool2(x: &Values, pending: &Pending) -> Cpu {
    let shape = x.lanes();
    let mut y = Buffer::dirty(pooled(shape).len());
    tomosieve_kernels::max_pool2(Isa::best(), shape, x.awaiting(pending), &mut y);
    tensor(y, pooled(shape).dims())
}

#[derive(Debug)]
struct Pooled;

impl Backward<Flex, 1> for Pooled {
    type State = Values;

    fn backward(self, ops: Ops<Values, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let (x, shape) = (&ops.state, ops.state.lanes());
            let mut dx = Buffer::dirty(shape.len());
            tomosieve_kernels::max_pool2_backward(Isa::best(), shape, x, &dy, &mut dx);
            grads.register::<Flex>(node.id, tensor(dx, shape.dims()));
        }
    }
}

/// [`max_pool2`] with its gradient.
pub(super) fn max_pool2_tracked<C: CheckpointStrategy>(x: Tracked<C>) -> Tracked<C> {
    let node = x.node();
    let x = Values::new(x.into_primitive());
    let y = max_pool2(&x, &None);
    match Pooled.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(x, y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
