//! Convolution of each channel by itself.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{Buffer, Depthwise, Isa, channel_sums};

use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor, vector};

/// The convolution that a weight makes of an input.
fn of(x: &Values, weight: &Values, rate: usize) -> Depthwise {
    let [c, one, rows, columns] = weight.dims();
    assert_eq!([one, rows, columns], [1, 3, 3], "filter of a depthwise convolution");
    Depthwise { input: x.blocked(c), rate }
}

/// `x ∗ weight + bias`, channel by channel.
pub(super) fn depthwise(x: &Values, weight: &Values, bias: &Values, rate: usize) -> Cpu {
    let conv = of(x, weight, rate);
    let mut y = Buffer::dirty(conv.input.len());
    conv.forward(Isa::best(), x, weight, bias, &mut y);
    tensor(y, conv.input.dims())
}

/// What the backward pass needs: input, weight and rate.
type State = (Values, Values, usize);

#[derive(Debug)]
struct Convolved;

impl Backward<Flex, 3> for Convolved {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, rate) = ops.state;
        let (conv, isa) = (of(&x, &weight, rate), Isa::best());
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        debug_assert!(conv.input.is_halo_clear(&dy), "gradients beside the pixels");
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_x {
            let mut dx = Buffer::dirty(conv.input.len());
            conv.backward_input(isa, &dy, &weight, &mut dx);
            grads.register::<Flex>(node.id, tensor(dx, conv.input.dims()));
        }
        if let Some(node) = of_weight {
            let mut dw = Buffer::dirty(weight.len());
            conv.backward_weight(isa, &x, &dy, &mut dw);
            grads.register::<Flex>(node.id, tensor(dw, weight.dims::<4>()));
        }
        if let Some(node) = of_bias {
            grads.register::<Flex>(node.id, vector(channel_sums(isa, conv.input, &dy)));
        }
    }
}

/// [`depthwise`] with its gradients.
pub(super) fn depthwise_tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    weight: Tracked<C>,
    bias: Tracked<C>,
    rate: usize,
) -> Tracked<C> {
    let nodes = [x.node(), weight.node(), bias.node()];
    let [x, weight, bias] = [x, weight, bias].map(|t| Values::new(t.into_primitive()));
    let y = depthwise(&x, &weight, &bias, rate);
    match Convolved.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((x, weight, rate), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
