//! The random smooth field S: a sum of cosines, of unit root mean square.
//!
//! `S(k_max, J) = √(2/J) · Σ_j cos(2π k_j·(x, y, z) + φ_j)`, with the `J` wave vectors `k_j` uniform in
//! the cube [−`k_max`, `k_max`]³ (cycles per unit) and the phases uniform. It never exceeds `√(2J)`.

use std::f64::consts::TAU;

use rand::RngExt as _;

use super::streams::Stream;

/// One draw of the field.
#[derive(Debug, Clone)]
pub(super) struct Smooth {
    waves: Vec<Wave>,
    scale: f64,
}

/// `cos(x·x + y·y + z·z + phase)`; angular wave numbers.
#[derive(Debug, Clone, Copy)]
struct Wave {
    x: f64,
    y: f64,
    z: f64,
    phase: f64,
}

impl Smooth {
    /// Number of cosines unless a feature asks for another.
    pub(super) const TERMS: usize = 8;

    /// Draws `terms` waves of at most `k_max` cycles per unit along each axis.
    pub(super) fn draw(rng: &mut Stream, k_max: f64, terms: usize) -> Self {
        let waves = (0..terms)
            .map(|_| {
                let mut k = || TAU * rng.random_range(-k_max..k_max);
                let (x, y, z) = (k(), k(), k());
                Wave { x, y, z, phase: rng.random_range(0.0..TAU) }
            })
            .collect();
        Self { waves, scale: (2.0 / terms as f64).sqrt() }
    }

    /// The field at one point.
    pub(super) fn at(&self, x: f64, y: f64, z: f64) -> f64 {
        let sum: f64 = self.waves.iter().map(|w| (w.x * x + w.y * y + w.z * z + w.phase).cos()).sum();
        self.scale * sum
    }

    /// The largest magnitude the field can take.
    pub(super) fn bound(&self) -> f64 {
        self.scale * self.waves.len() as f64
    }

    /// Prepares the columns `xs` for evaluation row by row.
    pub(super) fn columns(&self, xs: &[f64]) -> Columns<'_> {
        let mut cos = Vec::with_capacity(self.waves.len() * xs.len());
        let mut sin = Vec::with_capacity(self.waves.len() * xs.len());
        for wave in &self.waves {
            for x in xs {
                let (s, c) = (wave.x * x).sin_cos();
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
        Columns { field: self, cos, sin }
    }
}

/// The x part of every wave, so that a row costs two multiplications per pixel and wave:
/// `cos(a + b) = cos a cos b − sin a sin b` with `a` constant along the row.
#[derive(Debug)]
pub(super) struct Columns<'a> {
    field: &'a Smooth,
    /// `[j, x]`
    cos: Vec<f32>,
    /// `[j, x]`
    sin: Vec<f32>,
}

impl Columns<'_> {
    /// Writes the row at `(y, z)`; `row` has one entry per column.
    pub(super) fn row(&self, y: f64, z: f64, row: &mut [f32]) {
        row.fill(0.0);
        let tables = self.cos.chunks_exact(row.len()).zip(self.sin.chunks_exact(row.len()));
        for (wave, (cos, sin)) in self.field.waves.iter().zip(tables) {
            let (s, c) = (wave.y * y + wave.z * z + wave.phase).sin_cos();
            let (s, c) = ((self.field.scale * s) as f32, (self.field.scale * c) as f32);
            for ((value, cos), sin) in row.iter_mut().zip(cos).zip(sin) {
                *value += c * cos - s * sin;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::streams::{Purpose, Streams};
    use super::*;

    #[test]
    fn rows_agree_with_points() {
        let field =
            Smooth::draw(&mut Streams { seed: 3, family: 0 }.common(Purpose::Geometry), 2.5, Smooth::TERMS);
        let xs: Vec<f64> = (0..40).map(|i| f64::from(i) / 20.0 - 1.0).collect();
        let mut row = vec![0.0; xs.len()];
        field.columns(&xs).row(0.3, -0.1, &mut row);
        for (x, value) in xs.iter().zip(&row) {
            assert!((field.at(*x, 0.3, -0.1) - f64::from(*value)).abs() < 1e-5);
        }
    }

    #[test]
    fn root_mean_square_is_one() {
        let mut rng = Streams { seed: 5, family: 0 }.common(Purpose::Geometry);
        let mean: f64 = (0..2000)
            .map(|_| Smooth::draw(&mut rng, 2.0, Smooth::TERMS).at(0.2, 0.4, 0.1).powi(2))
            .sum::<f64>()
            / 2000.0;
        assert!((mean - 1.0).abs() < 0.1, "mean square {mean}");
    }
}
