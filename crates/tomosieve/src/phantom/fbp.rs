//! Filtered back projection of a parallel-beam sinogram over 180°.
//!
//! Each row is padded with a quarter of its length on both sides (else the corners of the image get a
//! positive bias), filtered with the band-limited ramp of Kak and Slaney, *Principles of Computerized
//! Tomographic Imaging*, Eq. 3.61, times a Hann window that ends at the Nyquist frequency, and back
//! projected with linear interpolation.

use std::f64::consts::PI;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::fixed::{Fixed, index, step, weight};

/// Rows of the image that are summed over all angles before the next ones; they stay in cache.
const BAND: usize = 16;

/// A reconstruction prepared for one detector width and set of angles.
pub(super) struct Reconstructor {
    n: usize,
    pad: usize,
    /// `[a]` cosine and sine of every angle.
    angles: Vec<(f64, f64)>,
    /// Ramp times window times every constant factor, `[f]`.
    response: Vec<f32>,
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
}

impl fmt::Debug for Reconstructor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconstructor")
            .field("n", &self.n)
            .field("angles", &self.angles.len())
            .finish_non_exhaustive()
    }
}

impl Reconstructor {
    /// For `n` detector columns and `angles` evenly over 180°.
    pub(super) fn new(n: usize, angles: usize) -> Self {
        // Long enough that the circular convolution does not reach around within the padded row.
        let length = (5 * n).div_ceil(2).next_power_of_two();
        let mut planner = RealFftPlanner::<f32>::new();
        let response =
            ramp_hann(length).iter().map(|h| (h * PI / angles as f64 / length as f64) as f32).collect();
        Self {
            n,
            pad: n / 4,
            angles: (0..angles)
                .map(|a| {
                    let (sin, cos) = (PI * a as f64 / angles as f64).sin_cos();
                    (cos, sin)
                })
                .collect(),
            response,
            forward: planner.plan_fft_forward(length),
            inverse: planner.plan_fft_inverse(length),
        }
    }

    /// Cosine and sine of every angle.
    pub(super) fn angles(&self) -> &[(f64, f64)] {
        &self.angles
    }

    /// Reconstructs the pixels `ys × xs` of the square from `sinogram`, `[a, u]`.
    ///
    /// The result is in inverse pixels if the sinogram holds plain line integrals.
    pub(super) fn reconstruct(&self, sinogram: &[f32], ys: Range<usize>, xs: Range<usize>) -> Vec<f32> {
        let filtered = self.filter(sinogram);
        let width = self.n + 2 * self.pad;
        let (middle, offset) = ((self.n as f64 - 1.0) / 2.0, (self.n as f64 - 1.0) / 2.0 + self.pad as f64);
        let mut image = vec![0.0; ys.len() * xs.len()]; // [y, x]
        for (band, rows) in image.chunks_mut(BAND * xs.len()).enumerate() {
            for ((cos, sin), line) in self.angles.iter().zip(filtered.chunks_exact(width)) {
                let dt = step(*cos);
                for (j, row) in rows.chunks_exact_mut(xs.len()).enumerate() {
                    let y = (ys.start + band * BAND + j) as f64 - middle;
                    let x = xs.start as f64 - middle;
                    let mut t: Fixed = step(x * cos + y * sin + offset);
                    for pixel in row {
                        let [value, rise] = line[index(t)];
                        *pixel += value + weight(t) * rise;
                        t += dt;
                    }
                }
            }
        }
        image
    }

    /// Every row filtered and padded, as pairs of a value and the rise to the next: `[a, u + pads]`.
    fn filter(&self, sinogram: &[f32]) -> Vec<[f32; 2]> {
        let width = self.n + 2 * self.pad;
        let mut row = self.forward.make_input_vec();
        let mut spectrum = self.forward.make_output_vec();
        let mut scratch = self.forward.make_scratch_vec();
        let mut back_scratch = self.inverse.make_scratch_vec();
        let mut filtered = Vec::with_capacity(self.angles.len() * width);
        for line in sinogram.chunks_exact(self.n) {
            row.fill(0.0);
            row[self.pad..self.pad + self.n].copy_from_slice(line);
            self.forward
                .process_with_scratch(&mut row, &mut spectrum, &mut scratch)
                .expect("buffers made by the plan have its lengths");
            for (value, response) in spectrum.iter_mut().zip(&self.response) {
                *value *= *response;
            }
            self.inverse
                .process_with_scratch(&mut spectrum, &mut row, &mut back_scratch)
                .expect("a real, even response keeps the ends of the spectrum real");
            filtered.extend(row[..width].windows(2).map(|w| [w[0], w[1] - w[0]]));
            filtered.push([row[width - 1], 0.0]);
        }
        filtered
    }
}

/// Frequency response of the ramp, from its samples in space, times the Hann window; `length / 2 + 1`
/// values.
fn ramp_hann(length: usize) -> Vec<f64> {
    let forward = RealFftPlanner::<f64>::new().plan_fft_forward(length);
    let mut ramp = forward.make_input_vec();
    for (i, value) in ramp.iter_mut().enumerate() {
        let distance = i.min(length - i) as f64;
        *value = match i {
            0 => 0.25,
            i if i % 2 == 1 => -1.0 / (PI * distance).powi(2),
            _ => 0.0,
        };
    }
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut ramp, &mut spectrum).expect("buffers made by the plan have its lengths");
    spectrum
        .iter()
        .enumerate()
        .map(|(i, value)| {
            let hann = 0.5 * (1.0 + (2.0 * PI * i as f64 / length as f64).cos());
            value.re * hann
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::frame::coverage;
    use super::super::project::Projector;
    use super::*;

    #[test]
    fn a_disc_comes_back_with_its_attenuation() {
        for n in [64, 101] {
            let middle = (n as f32 - 1.0) / 2.0;
            let radius = 0.35 * n as f32;
            let distance = |at: usize| {
                // Off the axis, so that nothing is symmetric.
                ((at % n) as f32 - middle - 4.0).hypot((at / n) as f32 - middle + 3.0)
            };
            let disc: Vec<f32> = (0..n * n).map(|at| coverage(distance(at) - radius)).collect();
            let reconstructor = Reconstructor::new(n, 3 * n / 2);
            let projector = Projector::new(&disc, n);
            let mut sinogram = vec![0.0; reconstructor.angles().len() * n];
            for ((cos, sin), line) in reconstructor.angles().iter().zip(sinogram.chunks_exact_mut(n)) {
                projector.project(*cos, *sin, line);
            }
            let image = reconstructor.reconstruct(&sinogram, 0..n, 0..n);
            for (at, value) in image.iter().enumerate() {
                if distance(at) < radius - 4.0 {
                    assert!((value - 1.0).abs() < 0.02, "{value} at {at} of {n}²");
                } else if distance(at) > radius + 4.0 {
                    assert!(value.abs() < 0.03, "{value} at {at} of {n}²");
                }
            }
            let crop = reconstructor.reconstruct(&sinogram, 5..20, 7..50);
            assert_eq!(crop[3 * 43 + 2].to_bits(), image[8 * n + 9].to_bits());
        }
    }
}
