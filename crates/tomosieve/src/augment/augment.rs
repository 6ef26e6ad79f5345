//! What a view of a patch is (paper Sec. III-D): the contract that every file beside this one fulfils.

use rand::Rng;

use crate::patch::Patch;

/// A random change of a patch.
///
/// All slices of a patch undergo the same change: one geometry, one set of photometric parameters.
/// A *geometric* view permutes the pixels of image and labels alike; a *photometric* view changes
/// values, keeps them in `[0, 1]` and leaves the labels alone. The same patch and the same state of
/// the generator give the same result.
pub trait Augment: Send + Sync {
    /// Changes `patch` in place, drawing from `rng`.
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng);
}

/// Views one after the other.
impl Augment for Vec<Box<dyn Augment>> {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        for view in self {
            view.apply(patch, rng);
        }
    }
}
