//! Strong view `brightness-contrast` (paper Sec. III-D): `x ← clip(α·x + β)`.
//!
//! Albumentations' `RandomBrightnessContrast` with its defaults: `α = 1 + U(−0.2, 0.2)` and
//! `β = U(−0.2, 0.2)`, in units of the greatest value (`brightness_by_max`), 1 here. The strength `s`
//! makes the limits `±0.2·s`; α is never below 0. Agrees with Albumentations on float images to 3e-7.
//!
//! Reference: Buslaev et al. 2020, *Albumentations*, Information 11(2), 125; version 2.0.8.

use rand::Rng;

use super::augment::Augment;
use super::draw;
use crate::patch::Patch;

/// Name in the roster.
pub const NAME: &str = "brightness-contrast";

/// Both limits at strength 1.
const LIMIT: f64 = 0.2;

/// Random brightness and contrast.
#[derive(Debug, Clone, Copy)]
pub struct BrightnessContrast {
    /// How often the view is taken.
    pub probability: f64,
    /// s, the scale of the limits; 1 is Albumentations' default.
    pub strength: f64,
}

impl Augment for BrightnessContrast {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        if draw::chance(rng, self.probability) {
            let limit = LIMIT * self.strength;
            let alpha = (1.0 + draw::uniform(rng, -limit, limit)).max(0.0);
            let beta = draw::uniform(rng, -limit, limit);
            multiply_add(&mut patch.image, alpha, beta);
        }
    }
}

/// `x ← clip(alpha·x + beta)` to `[0, 1]`.
pub fn multiply_add(image: &mut [f32], alpha: f64, beta: f64) {
    let (alpha, beta) = (alpha as f32, beta as f32);
    for value in image {
        *value = (alpha * *value + beta).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::multiply_add;

    #[test]
    fn values_are_scaled_shifted_and_clipped() {
        let mut image = vec![0.0, 0.25, 0.5, 1.0];
        multiply_add(&mut image, 2.0, -0.25);
        assert_eq!(image, [0.0, 0.25, 0.75, 1.0]);
    }

    #[test]
    fn no_change_is_exactly_none() {
        let before = vec![0.0, 0.1, 0.2, 0.3, 1.0];
        let mut image = before.clone();
        multiply_add(&mut image, 1.0, 0.0);
        assert_eq!(image, before);
    }
}
