//! A number that is found by hand together with its gradient, as that of a loss.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::ops::FloatTensorOps;
use tomosieve_kernels::Buffer;

use super::Judge;
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

/// The number, a tensor of one value, and its gradient.
pub(super) fn root(x: &Values, judge: Judge<'_>) -> (Cpu, Buffer) {
    let (value, gradient) = judge(x);
    assert_eq!(gradient.len(), x.len(), "gradients along so many values");
    (vector(vec![value]), gradient)
}

/// [`root`] of `x` with its gradient.
pub(super) fn root_tracked<C: CheckpointStrategy>(x: Tracked<C>, judge: Judge<'_>) -> Tracked<C> {
    let node = x.node();
    let x = x.into_primitive();
    let shape = x.layout().shape().clone();
    let (number, gradient) = root(&Values::new(x), judge);
    match Root.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(tensor(gradient, shape), number),
        OpsKind::UnTracked(op) => op.finish(number),
    }
}
