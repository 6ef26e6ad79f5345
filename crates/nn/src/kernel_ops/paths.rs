//! Where paths through a network part and meet: several readers of an activation, sums, and channels side by side.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use tomosieve_kernels::{BLOCK, Buffer, join as join_values, split as split_values};

use super::layout::Tracked;
use super::storage::{Cpu, Values, tensor};
use super::update::sum;

/// One of the readers of an activation.
#[derive(Debug)]
struct Read;

impl Backward<Flex, 1> for Read {
    type State = Arc<AtomicBool>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        let [parent] = ops.parents;
        let Some(node) = parent else { return };
        // Whoever comes later takes out what is there. The gradient of a leaf would stay, and count twice; this node is none.
        let leaf = node.requirement != ops.node.requirement;
        let later = ops.state.swap(true, Ordering::Relaxed);
        let dx = if later && !leaf { sum(grads.consume::<Flex>(&node), dy) } else { dy };
        grads.register::<Flex>(node.id, dx);
    }
}

/// The same values, whose gradient goes on as `backward` has it.
fn same<C: CheckpointStrategy, B: Backward<Flex, 1>>(
    x: Tracked<C>,
    backward: B,
    state: B::State,
) -> Tracked<C> {
    let node = x.node();
    let x = x.into_primitive();
    match backward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(state, x),
        OpsKind::UnTracked(op) => op.finish(x),
    }
}

/// The activation for one of several readers, which share `arrived`: whether the gradient of one has.
pub(super) fn fork_tracked<C: CheckpointStrategy>(x: Tracked<C>, arrived: Arc<AtomicBool>) -> Tracked<C> {
    same::<C, _>(x, Read, arrived)
}

#[derive(Debug)]
struct Pixels;

impl Backward<Flex, 1> for Pixels {
    type State = ();

    fn backward(self, ops: Ops<(), 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let shape = dy.lanes();
            let mut dx = Buffer::from(&*dy);
            shape.clear_halo(&mut dx);
            grads.register::<Flex>(node.id, tensor(dx, shape.dims()));
        }
    }
}

/// The same values, of whose gradient only that of the pixels goes on.
pub(super) fn pixels_tracked<C: CheckpointStrategy>(x: Tracked<C>) -> Tracked<C> {
    same::<C, _>(x, Pixels, ())
}

#[derive(Debug)]
struct Summed;

impl Backward<Flex, 2> for Summed {
    type State = ();

    fn backward(self, ops: Ops<(), 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<Flex>(&ops.node);
        for node in ops.parents.into_iter().flatten() {
            grads.register::<Flex>(node.id, dy.clone());
        }
    }
}

/// `a + b` with its gradients.
pub(super) fn sum_tracked<C: CheckpointStrategy>(a: Tracked<C>, b: Tracked<C>) -> Tracked<C> {
    let nodes = [a.node(), b.node()];
    let y = sum(a.into_primitive(), b.into_primitive());
    match Summed.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}

/// The blocks of all parts in order.
pub(super) fn join(parts: &[Values]) -> Cpu {
    let [n, _, rows, columns, _] = parts[0].dims();
    let blocks = parts.iter().map(|part| part.dims::<5>()[1]).sum();
    let values: Vec<&[f32]> = parts.iter().map(|part| &**part).collect();
    let mut y = Buffer::dirty(values.iter().map(|part| part.len()).sum());
    join_values(n, &values, &mut y);
    tensor(y, [n, blocks, rows, columns, BLOCK])
}

/// Joins `N` parts.
#[derive(Debug)]
struct Joined<const N: usize>;

impl<const N: usize> Backward<Flex, N> for Joined<N> {
    /// Dimensions of the parts.
    type State = [[usize; 5]; N];

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = Values::new(grads.consume::<Flex>(&ops.node));
        let mut parts = ops.state.map(|dims| Buffer::dirty(dims.iter().product()));
        split_values(ops.state[0][0], &dy, &mut parts.each_mut().map(|part| &mut **part));
        for ((parent, part), dims) in ops.parents.into_iter().zip(parts).zip(ops.state) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, tensor(part, dims));
            }
        }
    }
}

/// [`join`] with its gradients.
pub(super) fn join_tracked<C: CheckpointStrategy, const N: usize>(parts: [Tracked<C>; N]) -> Tracked<C> {
    let nodes = parts.each_ref().map(Tracked::<C>::node);
    let parts = parts.map(|part| Values::new(part.into_primitive()));
    let y = join(&parts);
    match Joined.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(parts.map(|part| part.dims()), y),
        OpsKind::UnTracked(op) => op.finish(y),
    }
}
