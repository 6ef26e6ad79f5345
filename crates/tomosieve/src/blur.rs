//! Separable Gaussian smoothing of an image.

/// A normalised Gaussian kernel.
#[derive(Debug, Clone)]
pub(crate) struct Gaussian {
    /// Weights at distances 0, 1, 2, … pixels.
    weights: Vec<f32>,
}

impl Gaussian {
    /// The kernel of standard deviation `sigma` pixels, cut off at four of them.
    pub(crate) fn new(sigma: f64) -> Self {
        let reach = (4.0 * sigma).ceil() as usize;
        let raw: Vec<f64> = (0..=reach).map(|d| (-0.5 * (d as f64 / sigma).powi(2)).exp()).collect();
        let sum = 2.0 * raw.iter().sum::<f64>() - raw[0];
        Self { weights: raw.iter().map(|w| (w / sum) as f32).collect() }
    }

    /// Pixels the kernel reaches to either side.
    pub(crate) fn reach(&self) -> usize {
        self.weights.len() - 1
    }

    /// The sum over all pixels of the product of two one-dimensional kernels.
    pub(crate) fn product(&self, other: &Self) -> f64 {
        let terms = self.weights.iter().zip(&other.weights).map(|(a, b)| f64::from(a * b));
        let centre = f64::from(self.weights[0] * other.weights[0]);
        2.0 * terms.sum::<f64>() - centre
    }

    /// Smooths `image`, `[y, x]` with rows of `n`; pixels beyond the border repeat the border's.
    pub(crate) fn apply(&self, image: &mut [f32], n: usize) {
        let reach = self.reach();
        let rows = image.len() / n;
        let mut padded = vec![0.0; n + 2 * reach];
        for row in image.chunks_exact_mut(n) {
            padded[..reach].fill(row[0]);
            padded[reach..reach + n].copy_from_slice(row);
            padded[reach + n..].fill(row[n - 1]);
            self.sum_shifted(row, |offset| &padded[(reach as isize + offset) as usize..]);
        }
        let across = image.to_vec();
        for (j, row) in image.chunks_exact_mut(n).enumerate() {
            self.sum_shifted(row, |offset| {
                let from = (j as isize + offset).clamp(0, rows as isize - 1) as usize;
                &across[from * n..]
            });
        }
    }

    /// `out = Σ weight(|offset|) · line(offset)`.
    fn sum_shifted<'a>(&self, out: &mut [f32], line: impl Fn(isize) -> &'a [f32]) {
        let centre = self.weights[0];
        for (out, value) in out.iter_mut().zip(line(0)) {
            *out = centre * value;
        }
        for (distance, weight) in self.weights.iter().enumerate().skip(1) {
            let (before, after) = (line(-(distance as isize)), line(distance as isize));
            for ((out, before), after) in out.iter_mut().zip(before).zip(after) {
                *out += weight * (before + after);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_sum_and_widens_by_the_variance() {
        let n = 41;
        let mut image = vec![0.0; n * n];
        image[20 * n + 20] = 1.0;
        Gaussian::new(1.5).apply(&mut image, n);
        let variance: f32 =
            image.iter().enumerate().map(|(at, v)| v * ((at % n) as f32 - 20.0).powi(2)).sum();
        assert!((image.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((variance - 2.25).abs() < 0.03, "variance {variance}");
    }

    #[test]
    fn edges_repeat_whatever_the_shape() {
        let mut even = vec![0.5; 3 * 17];
        Gaussian::new(1.0).apply(&mut even, 17);
        assert!(even.iter().all(|value| (value - 0.5).abs() < 1e-6), "{even:?}");
    }
}
