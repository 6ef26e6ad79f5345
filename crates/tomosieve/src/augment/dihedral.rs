//! Weak views (paper Sec. III-D): rotations by 90°, 180° and 270°, vertical, horizontal and diagonal
//! flips.
//!
//! [`Dihedral`] draws one of the eight symmetries of the square, each with probability 1/8; the others
//! are single symmetries with a probability of their own, under the meaning Albumentations gives them
//! (`D4`, `RandomRotate90`, `VerticalFlip`, `HorizontalFlip`, `Transpose`). On a patch that is not
//! square only the symmetries that keep its shape take part.
//!
//! Reference: Buslaev et al. 2020, *Albumentations: fast and flexible image augmentations*,
//! Information 11(2), 125; version 2.0.8.

use rand::Rng;

use super::augment::Augment;
use super::draw;
use super::symmetry::Symmetry;
use crate::patch::Patch;

/// Name of [`Dihedral`] in the roster.
pub const NAME: &str = "dihedral";

/// One of the eight symmetries of the square (four of a rectangle), uniformly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dihedral;

impl Augment for Dihedral {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        let symmetries = Symmetry::of(patch);
        symmetries[draw::choice(rng, symmetries.len())].apply(patch);
    }
}

/// With a probability, one of several symmetries, uniformly among those that keep the patch's shape.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// What may happen.
    pub symmetries: &'static [Symmetry],
    /// How often it happens.
    pub probability: f64,
}

impl Turn {
    /// `rotate90`: a rotation by 0°, 90°, 180° or 270°.
    pub const ROTATE_90: Self =
        Self::often(&[Symmetry::IDENTITY, Symmetry::ROTATE_180, Symmetry::ROTATE_90, Symmetry::ROTATE_270]);
    /// `flip-vertical`: top and bottom change places.
    pub const FLIP_VERTICAL: Self = Self::often(&[Symmetry::FLIP_VERTICAL]);
    /// `flip-horizontal`: left and right change places.
    pub const FLIP_HORIZONTAL: Self = Self::often(&[Symmetry::FLIP_HORIZONTAL]);
    /// `transpose`: the diagonal flip.
    pub const TRANSPOSE: Self = Self::often(&[Symmetry::TRANSPOSE]);

    /// Every second time, as is Albumentations' default.
    const fn often(symmetries: &'static [Symmetry]) -> Self {
        Self { symmetries, probability: 0.5 }
    }
}

impl Augment for Turn {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        if !draw::chance(rng, self.probability) {
            return;
        }
        let square = patch.height == patch.width;
        let fitting = || self.symmetries.iter().filter(|symmetry| square || !symmetry.transpose);
        let chosen = draw::choice(rng, fitting().count());
        if let Some(symmetry) = fitting().nth(chosen) {
            symmetry.apply(patch);
        }
    }
}
