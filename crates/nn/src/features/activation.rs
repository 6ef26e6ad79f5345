//! An activation in the blocked layout that may have several readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor};

use super::Layout;
use crate::kernel_ops;

/// `[n, ⌈c/8⌉, h + 2, w + 2, 8]`.
///
/// Clones are readers of the same activation. Their gradients are summed by the kernels: burn itself would add them on one
/// thread, in memory new each time.
#[derive(Debug)]
pub(super) struct Activation {
    x: Tensor<5>,
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
    /// The values, for the one operation that this clone goes into.
    pub(super) fn read(self) -> Tensor<5> {
        if self.readers.several.load(Ordering::Relaxed) {
            kernel_ops::fork(self.x, Arc::clone(&self.readers.arrived))
        } else {
            self.x
        }
    }

    /// What an operation makes of it.
    pub(super) fn then(self, operation: impl FnOnce(Tensor<5>) -> Tensor<5>) -> Layout {
        Layout::Blocked(operation(self.read()).into())
    }

    /// What an operation makes of it and another one.
    pub(super) fn with(
        self,
        other: Self,
        operation: impl FnOnce(Tensor<5>, Tensor<5>) -> Tensor<5>,
    ) -> Layout {
        Layout::Blocked(operation(self.read(), other.read()).into())
    }

    /// `[n, ⌈c/8⌉, h + 2, w + 2, 8]`
    pub(super) fn dims(&self) -> [usize; 5] {
        self.x.dims()
    }

    /// Where it lies.
    pub(super) fn device(&self) -> Device {
        self.x.device()
    }
}

impl Clone for Activation {
    fn clone(&self) -> Self {
        self.readers.several.store(true, Ordering::Relaxed);
        Self { x: self.x.clone(), readers: Arc::clone(&self.readers) }
    }
}

impl From<Tensor<5>> for Activation {
    fn from(x: Tensor<5>) -> Self {
        Self { x, readers: Arc::default() }
    }
}
