//! Strong view `color-jitter` (paper Sec. III-D), in its meaning for grey values.
//!
//! Of the four changes of Albumentations' `ColorJitter` a grey image knows two, saturation and hue
//! being idle: brightness, `x ← clip(b·x)`, and contrast, `x ← clip(k·x + (1 − k)·x̄)`, in random
//! order, with `b, k ∈ U(0.8, 1.2)`. The strength `s` makes that `1 ± 0.2·s`, never below 0. The mean
//! `x̄` is the *middle* slice's at the moment the contrast changes, one number for all slices. Agrees
//! with Albumentations on float images to 5e-7.
//!
//! Reference: Buslaev et al. 2020, *Albumentations*, Information 11(2), 125; version 2.0.8.

use rand::Rng;

use super::augment::Augment;
use super::brightness_contrast::multiply_add;
use super::draw;
use crate::patch::Patch;

/// Name in the roster.
pub const NAME: &str = "color-jitter";

/// Half-width of both factors' range at strength 1.
const LIMIT: f64 = 0.2;

/// Random brightness and contrast about the mean, in random order.
#[derive(Debug, Clone, Copy)]
pub struct ColorJitter {
    /// How often the view is taken.
    pub probability: f64,
    /// s, the scale of the ranges; 1 is Albumentations' default.
    pub strength: f64,
}

/// Which change comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Brightness, then contrast about the new mean.
    BrightnessFirst,
    /// Contrast, then brightness.
    ContrastFirst,
}

impl Augment for ColorJitter {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        if draw::chance(rng, self.probability) {
            let limit = LIMIT * self.strength;
            let brightness = (1.0 + draw::uniform(rng, -limit, limit)).max(0.0);
            let contrast = (1.0 + draw::uniform(rng, -limit, limit)).max(0.0);
            let order = [Order::BrightnessFirst, Order::ContrastFirst][draw::choice(rng, 2)];
            jitter(patch, brightness, contrast, order);
        }
    }
}

/// Both changes of a whole patch in the given order.
pub fn jitter(patch: &mut Patch, brightness: f64, contrast: f64, order: Order) {
    if order == Order::BrightnessFirst {
        multiply_add(&mut patch.image, brightness, 0.0);
    }
    let mean = mean(patch.middle());
    multiply_add(&mut patch.image, contrast, mean * (1.0 - contrast));
    if order == Order::ContrastFirst {
        multiply_add(&mut patch.image, brightness, 0.0);
    }
}

/// Mean of the values; 0 if there are none.
fn mean(values: &[f32]) -> f64 {
    // Eight sums side by side, since an addition waits for the one before it.
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0_f64; 8];
    for eight in eights {
        for (sum, &value) in sums.iter_mut().zip(eight) {
            *sum += f64::from(value);
        }
    }
    let total: f64 = sums.iter().sum::<f64>() + rest.iter().copied().map(f64::from).sum::<f64>();
    total / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::{Order, jitter, mean};
    use crate::patch::Patch;

    /// Three slices of two pixels; the middle one has mean 0.5.
    fn patch() -> Patch {
        Patch::new(3, 1, 2, vec![0.0, 0.125, 0.25, 0.75, 0.5, 1.0], vec![0, 1])
    }

    #[test]
    fn contrast_is_about_the_middle_slice() {
        let mut patch = patch();
        jitter(&mut patch, 1.0, 0.5, Order::BrightnessFirst);
        assert_eq!(*patch.image, [0.25, 0.3125, 0.375, 0.625, 0.5, 0.75]);
    }

    #[test]
    fn the_order_matters() {
        let (mut one, mut other) = (patch(), patch());
        jitter(&mut one, 2.0, 0.5, Order::BrightnessFirst); // middle 0.5, 1 with mean 0.75
        jitter(&mut other, 2.0, 0.5, Order::ContrastFirst);
        assert_eq!(one.middle(), [0.625, 0.875]);
        assert_eq!(other.middle(), [0.75, 1.0]);
    }

    #[test]
    fn mean_of_any_number_of_values() {
        let values: Vec<f32> = (0_u8..21).map(f32::from).collect();
        assert!((mean(&values) - 10.0).abs() < 1e-12);
        assert!(mean(&[]).abs() < 1e-12);
    }
}
