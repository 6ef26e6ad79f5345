//! From one resolution to another without weights.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{Blocked, Buffer, Resample};

use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor};

/// Every second pixel, or every pixel four times.
pub(super) fn resample(x: &Values, how: Resample) -> Cpu {
    let (from, to) = (x.lanes(), how.output(x.lanes()));
    let mut y = Buffer::dirty(to.len());
    how.forward(from, x, &mut y);
    tensor(y, to.dims())
}

#[derive(Debug)]
struct Resampled;

impl Backward<Flex, 1> for Resampled {
    type State = (Resample, Blocked);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let (how, shape) = ops.state;
            let mut dx = Buffer::dirty(shape.len());
            how.backward(shape, &dy, &mut dx);
            grads.register::<Flex>(node.id, tensor(dx, shape.dims()));
        }
    }
}

/// [`resample`] with its gradient.
pub(super) fn resample_tracked<C: CheckpointStrategy>(x: Tracked<C>, how: Resample) -> Tracked<C> {
    let node = x.node();
    let x = Values::new(x.into_primitive());
    let y = resample(&x, how);
    match Resampled.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((how, x.lanes()), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
