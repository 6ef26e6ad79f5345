//! What happens to weights between two steps, in one pass over their arrays. Nothing here is differentiated.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use tomosieve_kernels::{Adam, Change, Isa, add as add_values, blend as blend_values, together};

use super::storage::{Cpu, Values, changed};

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
        let gradient = Values::new(gradient);
        let [mut first, mut second] = [first, second].map(in_order);
        let moments = [first.storage_mut::<f32>(), second.storage_mut::<f32>()];
        let (new, ()) = changed(old, |old| together(|| step.step(Isa::best(), old, &gradient, moments)));
        (new, first, second)
    }

    fn update_blend(average: Cpu, value: Cpu, alpha: f64) -> Cpu {
        combined(average, value, |average, value| blend_values(Isa::best(), alpha, average, value))
    }
}

/// `a + b`
pub(super) fn sum(a: Cpu, b: Cpu) -> Cpu {
    combined(a, b, |a, b| add_values(Isa::best(), a, b))
}

/// What `with` makes of `a` by the values of `b`.
fn combined(a: Cpu, b: Cpu, with: impl FnOnce(Change<'_>, &[f32]) + Send) -> Cpu {
    let b = Values::new(b);
    changed(a, |a| together(|| with(a, &b))).0
}

/// The tensor with nothing but its values in its storage, to be changed in place.
fn in_order(tensor: Cpu) -> Cpu {
    let whole = Some((0, tensor.storage::<f32>().len()));
    if tensor.layout().contiguous_offsets() == whole { tensor } else { tensor.to_contiguous() }
}
