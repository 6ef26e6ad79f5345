//! Strong view `gamma` (paper Sec. III-D): `x ← x^γ` with a random exponent γ.
//!
//! Albumentations' `RandomGamma` draws `γ ∈ U(0.8, 1.2)` (`gamma_limit = (80, 120)`). That is strength
//! `s = 1` here. With `u ∈ U(−1, 1)`, `a = 0.2·|u|` and `m = min(s, 1)`,
//!
//! ```text
//! γ = 1 + s·a                      for u ≥ 0   (darker)
//! γ = (1 − m²·a²) / (1 + s·a)      for u < 0   (brighter)
//! ```
//!
//! so that γ is uniform in `1 ± 0.2·s` up to `s = 1`; beyond, the bright half follows the reciprocal
//! of the dark half, since `1 − s·a` would reach zero. The range grows continuously with `s`, its
//! median is 1, and γ is positive for every strength.
//!
//! The power is taken as `2^(γ·log₂ x)` by two short series, which vectorise. It agrees with the exact
//! power, and with Albumentations on float images, to 5e-7.
//!
//! Reference: Buslaev et al. 2020, *Albumentations*, Information 11(2), 125; version 2.0.8.

use std::f32::consts::{LN_2, SQRT_2};

use rand::Rng;

use super::augment::Augment;
use super::draw;
use crate::patch::Patch;

/// Name in the roster.
pub const NAME: &str = "gamma";

/// Half-width of the exponent's range at strength 1.
const LIMIT: f64 = 0.2;

/// Random gamma.
#[derive(Debug, Clone, Copy)]
pub struct Gamma {
    /// How often the view is taken.
    pub probability: f64,
    /// s, the scale of the range; 1 is Albumentations' default.
    pub strength: f64,
}

impl Augment for Gamma {
    fn apply(&self, patch: &mut Patch, rng: &mut dyn Rng) {
        if draw::chance(rng, self.probability) {
            let at = draw::uniform(rng, -1.0, 1.0);
            gamma(&mut patch.image, exponent(at, self.strength));
        }
    }
}

/// The exponent at place `at ∈ [−1, 1]` of the range of a strength; see the module's formula.
pub fn exponent(at: f64, strength: f64) -> f64 {
    let a = LIMIT * at.abs();
    if at < 0.0 { (1.0 - (strength.min(1.0) * a).powi(2)) / (1.0 + strength * a) } else { 1.0 + strength * a }
}

/// Raises every value, in `[0, 1]`, to a positive power.
pub fn gamma(image: &mut [f32], exponent: f64) {
    let exponent = exponent as f32;
    for value in image {
        *value = power(*value, exponent);
    }
}

/// `x^exponent` for `x ∈ [0, 1]` and a positive exponent; 0 stays 0 and 1 stays 1.
#[inline]
fn power(x: f32, exponent: f32) -> f32 {
    let raised = exp2((exponent * log2(x)).max(-126.0)).min(1.0);
    if x > 0.0 { raised } else { 0.0 }
}

/// `log₂ x` of a positive number: with `x = 2^e·m`, `m ∈ [√½, √2)` and `t = (m − 1)/(m + 1)`,
/// `log₂ x = e + 2/ln 2·(t + t³/3 + t⁵/5 + t⁷/7)`; the omitted rest is below 4e-8.
#[inline]
fn log2(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let half = (SQRT_2 / 2.0).to_bits() as i32;
    let e = (bits - half) >> 23;
    let m = f32::from_bits((bits - (e << 23)) as u32);
    let t = (m - 1.0) / (m + 1.0);
    let t2 = t * t;
    let series = 1.0 + t2 * (1.0 / 3.0 + t2 * (1.0 / 5.0 + t2 * (1.0 / 7.0)));
    e as f32 + 2.0 / LN_2 * t * series
}

/// `2^y` for `y ∈ [−126, 126]`: `2^n·e^z` with the integer `n` nearest to `y` and `z = (y − n)·ln 2`,
/// the exponential's series up to `z⁶`; the omitted rest is below 2e-7 of the value.
#[inline]
fn exp2(y: f32) -> f32 {
    // Adding 1.5·2²³ rounds to an integer, which then stands in the lowest bits.
    let shifted = y + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let z = (y - n) * LN_2;
    let series = 1.0
        + z * (1.0 + z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z * (1.0 / 120.0 + z * (1.0 / 720.0))))));
    let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    scale * series
}

#[cfg(test)]
mod tests {
    use super::{exponent, gamma};

    #[test]
    fn the_power_is_exact_to_half_a_millionth() {
        for exponent in [0.1, 0.3, 0.565, 0.8, 1.0, 1.2, 1.7, 3.0, 10.0] {
            let exact = |x: f32| f64::from(x).powf(exponent);
            let grid: Vec<f32> = (0..=100_000_u32).map(|i| i as f32 / 100_000.0).collect();
            let tiny = [1e-7, 1e-12, 1e-30, f32::MIN_POSITIVE];
            let before = [&grid[..], &tiny].concat();
            let mut after = before.clone();
            gamma(&mut after, exponent);
            for (&x, &y) in before.iter().zip(&after) {
                let error = (f64::from(y) - exact(x)).abs();
                assert!(error <= 5e-7, "{x}^{exponent}: {y}, off by {error}");
            }
            assert_eq!((after[0], after[100_000]), (0.0, 1.0));
        }
    }

    #[test]
    fn strength_one_is_the_uniform_range() {
        for (at, expected) in [(-1.0, 0.8), (-0.5, 0.9), (0.0, 1.0), (0.5, 1.1), (1.0, 1.2)] {
            assert!((exponent(at, 1.0) - expected).abs() < 1e-12);
        }
        assert!((exponent(-1.0, 0.5) - 0.9).abs() < 1e-12);
    }

    #[test]
    fn the_exponent_is_monotone_and_positive() {
        let strengths = [0.0, 0.5, 1.0, 1.0 + 1e-9, 3.5, 20.0, 1000.0];
        let places: Vec<f64> = (-10..=10).map(|i| f64::from(i) / 10.0).collect();
        for s in strengths {
            let range: Vec<f64> = places.iter().map(|&at| exponent(at, s)).collect();
            assert!(range.iter().all(|&g| g > 0.0) && range.is_sorted(), "{s}: {range:?}");
        }
        for at in places {
            let growth = strengths.map(|s| (exponent(at, s) - 1.0).abs());
            assert!(growth.is_sorted(), "{at}: {growth:?}");
            assert!((growth[3] - growth[2]).abs() < 1e-8, "a jump at strength 1");
        }
    }
}
