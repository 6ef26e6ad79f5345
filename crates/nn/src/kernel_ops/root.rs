//! A number whose gradient is known already, as that of a loss judged by hand.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use tomosieve_kernels::Buffer;

use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor, vector};

#[derive(Debug)]
struct Root;

impl Backward<Flex, 1> for Root {
    /// The gradient.
    type State = Cpu;

    fn backward(self, ops: Ops<Cpu, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let factor = Values::new(grads.consume::<Flex>(&ops.node))[0];
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let gradient = ops.state;
            let whole = factor == 1.0; // as of a loss that is not weighed against others
            let gradient = if whole { gradient } else { Flex::float_mul_scalar(gradient, factor.into()) };
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

/// The number, a tensor of one value.
pub(super) fn root(value: f32) -> Cpu {
    vector(vec![value])
}

/// [`root`] of `x` with its gradient.
pub(super) fn root_tracked<C: CheckpointStrategy>(x: Tracked<C>, value: f32, gradient: Buffer) -> Tracked<C> {
    let node = x.node();
    let gradient = tensor(gradient, x.into_primitive().layout().shape().clone());
    match Root.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(gradient, root(value)),
        OpsKind::UnTracked(op) => op.finish(root(value)),
    }
}
