//! The scan: line integrals, photons, detector errors, reconstruction.
//!
//! Parallel beam over 180°, slice by slice. The attenuation is scaled so that a path of 0.7 n pixels of
//! μ = 1 has the exposure's optical depth; counts are Poisson; the detector's error is
//! constant over the angles and so turns into rings: `σ_r (√½ c(column) + √½ c(row, column))`, with three
//! columns off by another ±4 `σ_r` in all rows.
//!
//! # Any size
//!
//! The specification holds for n = 192 with 288 angles. In general there are 1.5 n angles, the photons
//! grow with n, the detector's error falls as 1/√n and the number of bad columns grows with n. The
//! standard deviation of both errors, per voxel and at the same distance from the axis relative to n, is
//! then the same at every size.

use std::ops::Range;

use rand::RngExt as _;
use rand_distr::{Distribution as _, Poisson, StandardNormal};

use super::fbp::Reconstructor;
use super::frame::Frame;
use super::project::Projector;
use super::streams::{Purpose, Stream, Streams};

/// How a sample is exposed at the reference side of 192 px.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exposure {
    /// Photons per detector pixel and angle without a sample.
    pub(super) photons: f64,
    /// Optical depth of 0.7 n pixels of μ = 1.
    pub(super) optical_depth: f64,
    /// Standard deviation `σ_r` of the detector's error, in optical depth.
    pub(super) ring: f64,
    /// Standard deviation of the reconstruction's error, rings included, over the pixels of truth
    /// class 1; measured over seeds 0–4 at 32 × 192 × 192.
    pub(super) object_noise: f64,
}

/// A scanner set up for one phantom.
#[derive(Debug)]
pub(super) struct Scanner {
    frame: Frame,
    reconstructor: Reconstructor,
    /// Optical depth of one pixel of μ = 1.
    depth: f64,
    /// `None` for a scan without any error.
    errors: Option<Errors>,
}

#[derive(Debug)]
struct Errors {
    photons: f64,
    /// Error of every column that all rows share, `[u]`.
    columns: Vec<f64>,
    /// Standard deviation of each row's own error.
    row: f64,
}

impl Scanner {
    /// `noise` scales the standard deviation of photon noise and detector error alike.
    pub(super) fn new(frame: Frame, exposure: Exposure, streams: Streams, noise: f64) -> Self {
        let n = frame.n;
        let errors = (noise > 0.0).then(|| {
            let sigma = noise * exposure.ring / frame.magnification().sqrt();
            let mut rng = streams.common(Purpose::Detector);
            let mut columns: Vec<f64> =
                (0..n).map(|_| sigma * 0.5_f64.sqrt() * rng.sample::<f64, _>(StandardNormal)).collect();
            for _ in 0..(3.0 * frame.magnification()).round().max(1.0) as usize {
                let column = rng.random_range(n / 5..4 * n / 5);
                columns[column] += if rng.random() { 4.0 * sigma } else { -4.0 * sigma };
            }
            Errors {
                photons: exposure.photons * frame.magnification() / (noise * noise),
                columns,
                row: sigma * 0.5_f64.sqrt(),
            }
        });
        Self {
            frame,
            reconstructor: Reconstructor::new(n, (1.5 * n as f64).round() as usize),
            depth: exposure.optical_depth / (0.7 * n as f64),
            errors,
        }
    }

    /// Scans `attenuation`, `[y, x]`, and reconstructs its pixels `ys × xs`.
    pub(super) fn scan(
        &self,
        attenuation: &[f32],
        rng: &mut Stream,
        ys: Range<usize>,
        xs: Range<usize>,
    ) -> Vec<f32> {
        let n = self.frame.n;
        let projector = Projector::new(attenuation, n);
        let mut sinogram = vec![0.0; self.reconstructor.angles().len() * n]; // [a, u]
        for ((cos, sin), line) in self.reconstructor.angles().iter().zip(sinogram.chunks_exact_mut(n)) {
            projector.project(*cos, *sin, line);
        }
        if let Some(errors) = &self.errors {
            errors.apply(&mut sinogram, self.depth, rng);
        }
        self.reconstructor.reconstruct(&sinogram, ys, xs)
    }
}

impl Errors {
    /// Replaces exact line integrals by measured ones, `[a, u]`; `depth` is the optical depth per pixel.
    fn apply(&self, sinogram: &mut [f32], depth: f64, rng: &mut Stream) {
        let gains: Vec<f64> = self
            .columns
            .iter()
            .map(|common| common + self.row * rng.sample::<f64, _>(StandardNormal))
            .collect();
        for line in sinogram.chunks_exact_mut(gains.len()) {
            for (value, gain) in line.iter_mut().zip(&gains) {
                let expected = self.photons * (-f64::from(*value) * depth).exp();
                let counted = match Poisson::new(expected) {
                    Ok(counts) => counts.sample(rng),
                    // No light passes, or more than a Poisson generator can count.
                    Err(_) => expected,
                };
                let measured = -(counted.max(1.0) / self.photons).ln() + gain;
                *value = (measured / depth) as f32;
            }
        }
    }
}
