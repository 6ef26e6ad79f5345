//! Convolutions with a bias and nothing after: 3×3, 1×1, 2×2 and transposed 2×2.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{Buffer, Conv, Isa, Kind, channel_sums};

use super::deferred::Pending;
use super::frozen;
use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor, vector};

/// The convolution that a weight makes of an input.
pub(super) fn of(x: &Values, weight: &Values, kind: Kind) -> Conv {
    let dims: [usize; 4] = weight.dims();
    let size = match kind {
        Kind::Square => 3,
        Kind::Point => 1,
        Kind::Spread | Kind::Collect => 2,
    };
    assert_eq!(dims[2..], [size; 2], "filter of a {kind:?} convolution");
    let (c_out, c_in) = if kind == Kind::Spread { (dims[1], dims[0]) } else { (dims[0], dims[1]) };
    Conv { kind, input: x.blocked(c_in), c_out }
}

/// `x ∗ weight + bias`
pub(super) fn conv(x: &Values, pending: &Pending, weight: &Values, bias: &Values, kind: Kind) -> Cpu {
    let conv = of(x, weight, kind);
    let x = x.awaiting(pending);
    let mut y = Buffer::dirty(conv.output().len());
    let isa = Isa::best();
    match frozen::kept(conv, weight) {
        Some(kept) => conv.forward_prepared(isa, x, (weight, &kept.filters), Some(bias), &mut y),
        None => conv.forward(isa, x, weight, Some(bias), &mut y),
    }
    tensor(y, conv.output().dims())
}

/// What the backward pass needs: input, weight and kind.
type State = (Values, Values, Kind);

#[derive(Debug)]
struct Convolved;

impl Backward<Flex, 3> for Convolved {
    type State = State;

    fn backward(self, ops: Ops<State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, kind) = ops.state;
        let (conv, isa) = (of(&x, &weight, kind), Isa::best());
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        debug_assert!(
            kind != Kind::Square || conv.output().is_halo_clear(&dy),
            "gradients beside the pixels"
        );
        let [of_x, of_weight, of_bias] = ops.parents;
        if let Some(node) = of_x {
            let mut dx = Buffer::dirty(conv.input.len());
            conv.backward_input(isa, &dy, &weight, &mut dx);
            grads.register::<Flex>(node.id, tensor(dx, conv.input.dims()));
        }
        if let Some(node) = of_weight {
            let mut dw = Buffer::dirty(conv.weights());
            conv.backward_weight(isa, &x, &dy, &mut dw);
            grads.register::<Flex>(node.id, tensor(dw, weight.dims::<4>()));
        }
        if let Some(node) = of_bias {
            grads.register::<Flex>(node.id, vector(channel_sums(isa, conv.output(), &dy)));
        }
    }
}

/// [`conv`] with its gradients.
pub(super) fn conv_tracked<C: CheckpointStrategy>(
    x: Tracked<C>,
    weight: Tracked<C>,
    bias: Tracked<C>,
    kind: Kind,
) -> Tracked<C> {
    let nodes = [x.node(), weight.node(), bias.node()];
    let [x, weight, bias] = [x, weight, bias].map(|t| Values::new(t.into_primitive()));
    let y = conv(&x, &None, &weight, &bias, kind);
    match Convolved.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((x, weight, kind), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
