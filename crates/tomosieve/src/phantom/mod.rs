//! Synthetic CT volumes with known truth.
//!
//! Three samples, each with the trait that makes one of the paper's data sets hard: intensity drift
//! ([`Sample::Intergrowth`]), phase-contrast fringes and partial volumes ([`Sample::Sand`]), a rare thin
//! class ([`Sample::Ceramic`]). A [`Phantom`] draws the shapes once from its seed; slices are then made
//! one by one, each a pure function of the specification and its index, so that a volume of any size
//! can be made in parallel and streamed to disk, with the same bytes whatever the order.
//!
//! ```text
//! Geometry ─rasterise→ attenuation, truth ─scan (ct) or imitation (noise)→ image
//! ```
//!
//! A larger phantom is a larger field of view at the same voxel size: what is measured in pixels keeps
//! its pixels, numbers grow instead; each sample's module tells how.

mod ceramic;
mod ct;
mod fbp;
mod fixed;
mod frame;
mod grey;
mod intergrowth;
mod noise;
mod project;
mod sample;
mod sand;
mod smooth;
mod spec;
mod streams;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

pub use grey::{from_u16, to_u16};
pub use sample::{Sample, SampleInfo};
pub use spec::{Acquisition, PhantomError, PhantomSpec, SMALLEST};

use ct::{Exposure, Scanner};
use frame::Frame;
use noise::Imitation;
use sample::{Field, Geometry};
use streams::{Purpose, Stream, Streams};

impl Sample {
    /// Every sample, in the order of the roster.
    pub const ALL: [Self; 3] = [Self::Intergrowth, Self::Sand, Self::Ceramic];

    /// Name, truth classes and description.
    pub fn info(self) -> &'static SampleInfo {
        match self {
            Self::Intergrowth => &intergrowth::INFO,
            Self::Sand => &sand::INFO,
            Self::Ceramic => &ceramic::INFO,
        }
    }

    fn exposure(self) -> Exposure {
        match self {
            Self::Intergrowth => intergrowth::EXPOSURE,
            Self::Sand => sand::EXPOSURE,
            Self::Ceramic => ceramic::EXPOSURE,
        }
    }

    fn streams(self, seed: u64) -> Streams {
        let family = match self {
            Self::Intergrowth => intergrowth::FAMILY,
            Self::Sand => sand::FAMILY,
            Self::Ceramic => ceramic::FAMILY,
        };
        Streams { seed, family }
    }

    fn draw(self, frame: Frame, rng: &mut Stream) -> Box<dyn Geometry> {
        match self {
            Self::Intergrowth => Box::new(intergrowth::Intergrowth::draw(frame, rng)),
            Self::Sand => Box::new(sand::Sand::draw(frame, rng)),
            Self::Ceramic => Box::new(ceramic::Ceramic::draw(frame, rng)),
        }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

impl FromStr for Sample {
    type Err = PhantomError;

    fn from_str(name: &str) -> Result<Self, PhantomError> {
        Self::ALL.into_iter().find(|sample| sample.info().name == name).ok_or_else(|| {
            PhantomError::UnknownSample {
                got: name.to_owned(),
                known: Self::ALL.iter().map(|sample| sample.info().name).collect(),
            }
        })
    }
}

/// A phantom whose shapes are drawn and whose slices can be made in any order, on any thread.
#[derive(Debug)]
pub struct Phantom {
    spec: PhantomSpec,
    streams: Streams,
    geometry: Box<dyn Geometry>,
    imaging: Imaging,
    /// The part of the simulation square that is kept.
    ys: Range<usize>,
    xs: Range<usize>,
    n: usize,
}

#[derive(Debug)]
enum Imaging {
    Scan(Scanner),
    Imitation(Imitation),
}

/// One slice of a phantom; every field is `[y, x]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The true attenuation μ; the body of every sample has about 1.
    pub attenuation: Vec<f32>,
    /// The reconstructed attenuation, with blur, noise and rings.
    pub image: Vec<f32>,
    /// Truth labels, indices into [`SampleInfo::classes`].
    pub truth: Vec<u8>,
}

impl Phantom {
    /// Draws the shapes.
    ///
    /// # Errors
    ///
    /// If the shape is smaller than [`SMALLEST`] or the noise is no finite number ≥ 0.
    pub fn new(spec: PhantomSpec) -> Result<Self, PhantomError> {
        spec.check()?;
        let [depth, height, width] = spec.shape;
        let n = height.max(width);
        let frame = Frame { n, depth };
        let exposure = spec.sample.exposure();
        let noise = f64::from(spec.noise);
        let streams = spec.sample.streams(spec.seed);
        Ok(Self {
            spec,
            streams,
            geometry: spec.sample.draw(frame, &mut streams.common(Purpose::Geometry)),
            imaging: match spec.acquisition {
                Acquisition::Ct => Imaging::Scan(Scanner::new(frame, exposure, streams, noise)),
                Acquisition::Noise => Imaging::Imitation(Imitation::new(n, exposure.object_noise * noise)),
            },
            ys: middle(n, height),
            xs: middle(n, width),
            n,
        })
    }

    /// What the phantom was made from.
    pub fn spec(&self) -> &PhantomSpec {
        &self.spec
    }

    /// The names of the truth classes, in the order of their labels.
    pub fn classes(&self) -> &'static [&'static str] {
        self.spec.sample.info().classes
    }

    /// Slice `z`.
    ///
    /// # Panics
    ///
    /// If the phantom has no slice `z`.
    pub fn slice(&self, z: usize) -> Slice {
        let depth = self.spec.shape[0];
        assert!(z < depth, "slice {z} of a phantom of {depth} slices");
        let Field { attenuation, truth } = self.geometry.rasterise(z);
        let kept = self.crop(&attenuation);
        let rng = &mut self.streams.of_slice(Purpose::Row, z);
        let image = match &self.imaging {
            Imaging::Scan(scanner) => scanner.scan(&attenuation, rng, self.ys.clone(), self.xs.clone()),
            Imaging::Imitation(imitation) => imitation.image(attenuation, rng, &self.ys, &self.xs),
        };
        Slice { attenuation: kept, image, truth: self.crop(&truth) }
    }

    /// The kept part of the simulation square.
    fn crop<T: Copy>(&self, square: &[T]) -> Vec<T> {
        square
            .chunks_exact(self.n)
            .take(self.ys.end)
            .skip(self.ys.start)
            .flat_map(|row| &row[self.xs.clone()])
            .copied()
            .collect()
    }
}

/// The middle `length` of `n` pixels.
fn middle(n: usize, length: usize) -> Range<usize> {
    let start = (n - length) / 2;
    start..start + length
}
