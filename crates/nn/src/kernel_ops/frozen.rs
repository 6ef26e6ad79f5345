//! Filters that stay as they are from call to call, and so need their way to Winograd's domain only once.
//!
//! While windows go through a network its weights do not change, but a convolution cannot know. Whoever owns the
//! network says so with [`FrozenFilters`]: within [`FrozenFilters::used_in`] 3×3 convolutions without gradients look for
//! their transformed filters there. A filter is known by where its values lie; what is kept holds those values too,
//! so that nothing else can come to lie there and whoever changes the weights gets a copy to change.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tomosieve_kernels::{Buffer, Conv, Isa};

use super::storage::Values;

/// Transformed filters of a network whose weights stay as they are; clones share them.
#[derive(Debug, Clone, Default)]
pub struct FrozenFilters(Arc<Mutex<HashMap<usize, Arc<Kept>>>>);

/// Weights and what was made of them.
#[derive(Debug)]
pub(super) struct Kept {
    weight: Values,
    pub(super) filters: Buffer,
}

thread_local! {
    static CURRENT: RefCell<Option<FrozenFilters>> = const { RefCell::new(None) };
}

impl FrozenFilters {
    /// Bytes that are kept of so many parameters: 36 values for nine, where outputs fill their groups of 16.
    pub const fn bytes(parameters: usize) -> usize {
        4 * parameters * size_of::<f32>()
    }

    /// Does `work`, whose convolutions on this thread find their filters here.
    pub fn used_in<R>(&self, work: impl FnOnce() -> R) -> R {
        let _before = Restore(CURRENT.replace(Some(self.clone())));
        work()
    }

    /// How many filters are kept.
    pub fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn find(&self, conv: Conv, weight: &Values) -> Option<Arc<Kept>> {
        let place = weight.as_ptr() as usize;
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept().get(&place).cloned();
        let found = found.filter(|found| found.weight.dims::<4>() == weight.dims());
        // Two threads may both make them, rather than one wait for the other.
        found.or_else(|| {
            let filters = conv.prepare(Isa::best(), weight)?;
            let made = Arc::new(Kept { weight: weight.clone(), filters });
            kept().insert(place, made.clone());
            Some(made)
        })
    }
}

/// The transformed filters of a convolution, if what is at work on this thread keeps them.
pub(super) fn kept(conv: Conv, weight: &Values) -> Option<Arc<Kept>> {
    // The thread may turn to other work while it waits for this, so nothing stays borrowed.
    let frozen = CURRENT.with_borrow(Clone::clone);
    frozen.and_then(|frozen| frozen.find(conv, weight))
}

/// Puts back what was in use before, whatever happens.
struct Restore(Option<FrozenFilters>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}
