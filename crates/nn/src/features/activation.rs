//! An activation in the blocked layout that may have several readers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};

use super::Layout;
use crate::kernel_ops::{self, Pending};

/// `[n, ⌈c/8⌉, h + 2, w + 2, 8]`.
///
/// Where nothing is learned it may still await the norm that was left to its reader. Clones are readers of the same
/// activation, for which the norm is applied. Their gradients are summed by the kernels: burn itself would add them on one
/// thread, in memory new each time.
#[derive(Debug)]
pub(super) struct Activation {
    /// The values and the norm that they await; none for an instant only.
    x: Mutex<Option<(Tensor<5>, Pending)>>,
    readers: Arc<Readers>,
}

/// What the clones of an activation have in common.
#[derive(Debug, Default)]
struct Readers {
    /// Whether there are, or were, several.
    several: AtomicBool,
    /// Whether the gradient of one has arrived.
    arrived: Arc<AtomicBool>,
}

impl Activation {
    fn new(x: Tensor<5>, pending: Pending) -> Self {
        Self { x: Mutex::new(Some((x, pending))), readers: Arc::default() }
    }

    /// The values, for the one operation that this clone goes into, and the norm that they await.
    fn awaiting(self) -> (Tensor<5>, Pending) {
        let x = self.x.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (x, pending) = x.expect("an activation has values");
        if self.readers.several.load(Ordering::Relaxed) {
            (kernel_ops::fork(x, Arc::clone(&self.readers.arrived)), pending)
        } else {
            (x, pending)
        }
    }

    /// The values, for the one operation that this clone goes into.
    pub(super) fn read(self) -> Tensor<5> {
        settled(self.awaiting())
    }

    /// What an operation makes of it.
    pub(super) fn then(self, operation: impl FnOnce(Tensor<5>) -> Tensor<5>) -> Layout {
        Layout::Blocked(operation(self.read()).into())
    }

    /// What an operation makes of it that applies the norm that it awaits, and may leave one to whoever reads the result.
    pub(super) fn then_awaiting(
        self,
        operation: impl FnOnce(Tensor<5>, &mut Pending) -> Tensor<5>,
    ) -> Layout {
        let (x, mut pending) = self.awaiting();
        let y = operation(x, &mut pending);
        Layout::Blocked(Self::new(y, pending))
    }

    /// What an operation makes of it and another one.
    pub(super) fn with(
        self,
        other: Self,
        operation: impl FnOnce(Tensor<5>, Tensor<5>) -> Tensor<5>,
    ) -> Layout {
        Layout::Blocked(operation(self.read(), other.read()).into())
    }

    /// What `look` finds in its values, or beside them.
    fn look<R>(&self, look: impl FnOnce(&Tensor<5>) -> R) -> R {
        let x = self.x.lock().unwrap_or_else(PoisonError::into_inner);
        look(&x.as_ref().expect("an activation has values").0)
    }

    /// `[n, ⌈c/8⌉, h + 2, w + 2, 8]`
    pub(super) fn dims(&self) -> [usize; 5] {
        self.look(Tensor::dims)
    }

    /// Where it lies.
    pub(super) fn device(&self) -> Device {
        self.look(Tensor::device)
    }
}

/// The values after the norm that they await.
fn settled((x, pending): (Tensor<5>, Pending)) -> Tensor<5> {
    match pending {
        Some(norm) => kernel_ops::settle(x, norm),
        None => x,
    }
}

impl Clone for Activation {
    fn clone(&self) -> Self {
        self.readers.several.store(true, Ordering::Relaxed);
        let mut x = self.x.lock().unwrap_or_else(PoisonError::into_inner);
        let values = settled(x.take().expect("an activation has values"));
        *x = Some((values.clone(), None));
        Self { readers: Arc::clone(&self.readers), ..Self::new(values, None) }
    }
}

impl From<Tensor<5>> for Activation {
    fn from(x: Tensor<5>) -> Self {
        Self::new(x, None)
    }
}
