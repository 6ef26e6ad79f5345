//! What happens to weights between two steps, in one pass over their arrays. Nothing here is differentiated.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tomosieve_kernels::{Adam, Buffer, Isa, add as add_values, blend as blend_values, together};

use super::storage::{Cpu, Values, tensor};

/// The operations, on primitive tensors.
#[backend_extension(Flex)]
pub trait UpdateOps: Backend {
    /// New values and moments from old ones and the gradient.
    fn update_adam(
        old: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: Adam,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// `α · average + (1 − α) · value`
    fn update_blend(average: FloatTensor<Self>, value: FloatTensor<Self>, alpha: f64) -> FloatTensor<Self>;
}

/// A step of Adam: the new values and the new first and second moments.
pub fn adam<const D: usize>(
    old: Tensor<D>,
    gradient: Tensor<D>,
    [first, second]: [Tensor<D>; 2],
    step: Adam,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let (new, first, second) = Dispatch::update_adam(
        old.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (Tensor::from_dispatch(new), [first, second].map(Tensor::from_dispatch))
}

/// `α · average + (1 − α) · value`
pub fn blend<const D: usize>(average: Tensor<D>, value: Tensor<D>, alpha: f64) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::update_blend(average.into_dispatch(), value.into_dispatch(), alpha))
}

impl UpdateOps for Flex {
    fn update_adam(old: Cpu, gradient: Cpu, first: Cpu, second: Cpu, step: Adam) -> (Cpu, Cpu, Cpu) {
        let shape = old.layout().shape().clone();
        let [old, gradient] = [old, gradient].map(Values::new);
        let [mut first, mut second] = [first, second].map(in_order);
        let mut new = Buffer::dirty(old.len());
        let moments = [first.storage_mut::<f32>(), second.storage_mut::<f32>()];
        together(|| step.step(Isa::best(), &old, &gradient, moments, &mut new));
        (tensor(new, shape), first, second)
    }

    fn update_blend(average: Cpu, value: Cpu, alpha: f64) -> Cpu {
        combined(average, value, |average, value, new| {
            blend_values(Isa::best(), alpha, average, value, new);
        })
    }
}

/// `a + b`
pub(super) fn sum(a: Cpu, b: Cpu) -> Cpu {
    combined(a, b, |a, b, sum| add_values(Isa::best(), a, b, sum))
}

/// A tensor of the shape of `a`, whose values `with` writes from those of both.
fn combined(a: Cpu, b: Cpu, with: impl FnOnce(&[f32], &[f32], &mut [f32]) + Send) -> Cpu {
    let shape = a.layout().shape().clone();
    let [a, b] = [a, b].map(Values::new);
    let mut new = Buffer::dirty(a.len());
    together(|| with(&a, &b, &mut new));
    tensor(new, shape)
}

/// The tensor with nothing but its values in its storage, to be changed in place.
fn in_order(tensor: Cpu) -> Cpu {
    let whole = Some((0, tensor.storage::<f32>().len()));
    if tensor.layout().contiguous_offsets() == whole { tensor } else { tensor.to_contiguous() }
}
