//! What phantom to make.

use thiserror::Error;

use super::sample::Sample;

/// The smallest shape `[z, y, x]` in which the shapes of every sample can still be told apart.
pub const SMALLEST: [usize; 3] = [8, 32, 32];

/// Everything that determines a phantom, to the last bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PhantomSpec {
    /// The sample shown.
    pub sample: Sample,
    /// Voxels along `[z, y, x]`, at least [`SMALLEST`]. The sample fills a square of side
    /// `max(y, x)`, of which the middle is kept.
    pub shape: [usize; 3],
    /// Seed of the shapes and of every error of the image.
    pub seed: u64,
    /// How the image is made from the attenuation.
    pub acquisition: Acquisition,
    /// Standard deviation of the image's errors relative to the specification's; 1 is the specified
    /// level, 0 an image without errors.
    pub noise: f32,
}

impl PhantomSpec {
    /// The specification's phantom: 32 × 192 × 192 voxels, tomographic, at the specified noise.
    pub fn new(sample: Sample, seed: u64) -> Self {
        Self { sample, shape: [32, 192, 192], seed, acquisition: Acquisition::Ct, noise: 1.0 }
    }

    /// # Errors
    ///
    /// If the shape is smaller than [`SMALLEST`] or the noise is no finite number ≥ 0.
    pub(super) fn check(&self) -> Result<(), PhantomError> {
        if self.shape.iter().zip(SMALLEST).any(|(got, least)| *got < least) {
            return Err(PhantomError::TooSmall { got: self.shape });
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(PhantomError::BadNoise { got: self.noise });
        }
        Ok(())
    }
}

/// How the image is made from the attenuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Acquisition {
    /// A simulated scan and filtered back projection of every slice; work grows as the cube of the side.
    #[default]
    Ct,
    /// Blur and correlated noise like a scan's, but no rings and no noise that depends on the
    /// path; work grows as the square of the side. For huge volumes.
    Noise,
}

/// Why a phantom cannot be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PhantomError {
    /// The shape is below [`SMALLEST`].
    #[error(
        "phantom shape {got:?} [z, y, x] is too small, expected at least {SMALLEST:?}; \
         ask for a larger one"
    )]
    TooSmall {
        /// The shape asked for.
        got: [usize; 3],
    },
    /// The noise factor is negative or not finite.
    #[error("phantom noise {got} is not a level, expected a finite number of at least 0 (1 = as specified)")]
    BadNoise {
        /// The factor asked for.
        got: f32,
    },
    /// No sample of this name.
    #[error("no phantom is called {got:?}, expected one of {}", known.join(", "))]
    UnknownSample {
        /// The name asked for.
        got: String,
        /// The names there are.
        known: Vec<&'static str>,
    },
    /// No acquisition of this name.
    #[error("no acquisition is called {got:?}, expected ct or noise")]
    UnknownAcquisition {
        /// The name asked for.
        got: String,
    },
}

impl std::str::FromStr for Acquisition {
    type Err = PhantomError;

    fn from_str(name: &str) -> Result<Self, PhantomError> {
        match name {
            "ct" => Ok(Self::Ct),
            "noise" => Ok(Self::Noise),
            _ => Err(PhantomError::UnknownAcquisition { got: name.to_owned() }),
        }
    }
}
