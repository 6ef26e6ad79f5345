//! Views of a patch (paper Sec. III-D): the roster.
//!
//! *Weak* views are symmetries of the square, seen by teacher and student alike; *strong* views change
//! grey values and are put on top of them for the student. Both lists are data: names in the
//! configuration. Names, ranges and meaning are those of Albumentations 2.0.8.
//!
//! A new view is a file that implements [`Augment`] and one line in the lists below, weak or strong.

#[allow(clippy::module_inception, reason = "the contract leaf is named after the trait it holds")]
mod augment;
pub mod brightness_contrast;
pub mod clahe;
pub mod color_jitter;
pub mod dihedral;
mod draw;
pub mod gamma;
pub mod symmetry;
mod tile_maps;

use serde::{Deserialize, Serialize};

pub use augment::Augment;
use brightness_contrast::BrightnessContrast;
use clahe::{Clahe, Grid};
use color_jitter::ColorJitter;
use dihedral::{Dihedral, Turn};
use gamma::Gamma;

use crate::{Error, Result};

type View = Box<dyn Augment>;

/// Names and how to make what they name.
type Roster<F> = &'static [(&'static str, F)];

/// Every weak view by name.
const WEAK: Roster<fn() -> View> = &[
    (dihedral::NAME, || Box::new(Dihedral)),
    ("rotate90", || Box::new(Turn::ROTATE_90)),
    ("flip-vertical", || Box::new(Turn::FLIP_VERTICAL)),
    ("flip-horizontal", || Box::new(Turn::FLIP_HORIZONTAL)),
    ("transpose", || Box::new(Turn::TRANSPOSE)),
];

/// Every strong view by name.
const STRONG: Roster<fn(&StrongConfig) -> View> = &[
    (gamma::NAME, |c| Box::new(Gamma { probability: c.probability, strength: c.strength })),
    (brightness_contrast::NAME, |c| {
        Box::new(BrightnessContrast { probability: c.probability, strength: c.strength })
    }),
    (color_jitter::NAME, |c| Box::new(ColorJitter { probability: c.probability, strength: c.strength })),
    (clahe::NAME, |c| Box::new(Clahe { probability: c.probability, grid: Grid::TileSize(c.tile) })),
];

/// Which strong views there are, and how strong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrongConfig {
    /// Names, applied in this order.
    pub views: Vec<String>,
    /// s ≥ 0, the scale of every view's range; 1 is Albumentations' defaults.
    pub strength: f64,
    /// How often each view is taken, 0 to 1.
    pub probability: f64,
    /// Edge of a CLAHE tile, pixels.
    pub tile: usize,
}

impl Default for StrongConfig {
    /// All views, as Albumentations has them by default, with tiles of 24 pixels.
    fn default() -> Self {
        let views = strong_names().map(str::to_owned).collect();
        Self { views, strength: 1.0, probability: 0.5, tile: 24 }
    }
}

/// Names of the weak views.
pub fn weak_names() -> impl Iterator<Item = &'static str> {
    WEAK.iter().map(|&(name, _)| name)
}

/// Names of the strong views.
pub fn strong_names() -> impl Iterator<Item = &'static str> {
    STRONG.iter().map(|&(name, _)| name)
}

/// Names of all views, weak and strong.
pub fn names() -> Vec<&'static str> {
    weak_names().chain(strong_names()).collect()
}

/// The weak views of these names, in this order.
///
/// # Errors
/// [`Error::Config`] if a name is none of [`weak_names`].
pub fn weak(views: &[String]) -> Result<Vec<Box<dyn Augment>>> {
    views.iter().map(|name| Ok(find(WEAK, name)?())).collect()
}

/// The strong views of a configuration, in its order.
///
/// # Errors
/// [`Error::Config`] if a name is none of [`strong_names`].
pub fn strong(config: &StrongConfig) -> Result<Vec<Box<dyn Augment>>> {
    config.views.iter().map(|name| Ok(find(STRONG, name)?(config))).collect()
}

/// The roster's entry of that name.
fn find<T: Copy>(roster: Roster<T>, name: &str) -> Result<T> {
    let found = roster.iter().find(|(known, _)| *known == name);
    let (_, make) = found.ok_or_else(|| {
        let known: Vec<&str> = roster.iter().map(|&(known, _)| known).collect();
        Error::unknown("view", name, &known)
    })?;
    Ok(*make)
}
