//! The cheap image: the attenuation under a scan's blur and noise, without the scan.
//!
//! Both are fitted to the scan of [`ct`](super::ct) at 192 px. The blur of projection, Hann window and
//! interpolation is close to a Gaussian of 0.94 px. The noise of filtered back projection has
//! power in proportion to frequency times the squared window: correlated by 0.65 between neighbours, by
//! 0.13 at 2 px, weakly anticorrelated beyond. White noise under the difference of two Gaussians agrees
//! with that to 0.02 at every distance. Its standard deviation is that of the scan's error in the object, rings
//! included, everywhere; the rings themselves and the dependence on the path length are left out.

use std::ops::Range;

use rand::RngExt as _;
use rand_distr::StandardNormal;

use super::streams::Stream;
use crate::blur::Gaussian;

/// Standard deviation in pixels of the point spread.
const SPREAD: f64 = 0.94;
/// The noise is white noise under `G(NARROW) − WIDE_SHARE · G(WIDE)`.
const NARROW: f64 = 0.92;
const WIDE: f64 = 1.34;
const WIDE_SHARE: f64 = 0.54;

/// Blur and noise of one standard deviation.
#[derive(Debug)]
pub(super) struct Imitation {
    n: usize,
    spread: Gaussian,
    narrow: Gaussian,
    wide: Gaussian,
    /// Standard deviation of the white noise that ends up at the wanted one.
    white: f32,
}

impl Imitation {
    /// For squares of side `n` and noise of standard deviation `sigma`.
    pub(super) fn new(n: usize, sigma: f64) -> Self {
        let (narrow, wide) = (Gaussian::new(NARROW), Gaussian::new(WIDE));
        let power = narrow.product(&narrow).powi(2) - 2.0 * WIDE_SHARE * narrow.product(&wide).powi(2)
            + WIDE_SHARE.powi(2) * wide.product(&wide).powi(2);
        Self { n, spread: Gaussian::new(SPREAD), narrow, wide, white: (sigma / power.sqrt()) as f32 }
    }

    /// The image of `attenuation`, `[y, x]`, in its pixels `ys × xs`.
    pub(super) fn image(
        &self,
        mut attenuation: Vec<f32>,
        rng: &mut Stream,
        ys: &Range<usize>,
        xs: &Range<usize>,
    ) -> Vec<f32> {
        self.spread.apply(&mut attenuation, self.n);
        // A margin keeps the noise as strong at the border as inside.
        let margin = self.wide.reach();
        let width = xs.len() + 2 * margin;
        let mut narrow: Vec<f32> = (0..(ys.len() + 2 * margin) * width)
            .map(|_| self.white * rng.sample::<f32, _>(StandardNormal))
            .collect();
        let mut wide = narrow.clone();
        self.narrow.apply(&mut narrow, width);
        self.wide.apply(&mut wide, width);

        let mut image = Vec::with_capacity(ys.len() * xs.len());
        for (j, y) in ys.clone().enumerate() {
            let noise = (j + margin) * width + margin;
            let noise = narrow[noise..].iter().zip(&wide[noise..]);
            let row = &attenuation[y * self.n + xs.start..][..xs.len()];
            image.extend(row.iter().zip(noise).map(|(mu, (a, b))| mu + a - WIDE_SHARE as f32 * b));
        }
        image
    }
}
