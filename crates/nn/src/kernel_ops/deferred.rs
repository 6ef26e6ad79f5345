//! Norms that are left to whoever reads an activation, where nothing is learned.

use std::sync::Arc;

use tomosieve_kernels::{Deferred, Isa, together};

use super::storage::{Cpu, changed};

/// The norm and activation that an activation still awaits, if any. A backward pass needs both sides of a norm, so only
/// operations without gradients leave one to their reader.
pub type Pending = Option<Arc<Deferred>>;

/// The activation after the norm that it awaits.
pub(super) fn settled(x: Cpu, pending: Pending) -> Cpu {
    match pending {
        Some(norm) => changed(x, |x| together(|| norm.apply(Isa::best(), x))).0,
        None => x,
    }
}
