//! The sand sample: rough grains, some with voids, in a cylindrical container, with the bright and
//! dark fringes of propagation phase contrast.
//!
//! Grains are superellipsoids of exponent 2.6 laid down by random sequential addition: a candidate is
//! kept if its centre is at least 0.93 (R₁ + R₂) from all earlier ones. The first candidates are large
//! (0.08–0.15 units), the rest fill the gaps (0.05–0.09). The fringe is `μ − 1.6 ∇²(G₁ₚₓ ∗ μ)`,
//! slice by slice. Truth: air, pore and void 0, grain 1, wall 2.
//!
//! # Growing
//!
//! Grains keep their size in pixels (radii 4.8–14.4 px) on fields wider than the reference 192 px, so a
//! larger phantom holds more grains; the specification's 420 grains and 20 000 tries become a number
//! per volume. Below 192 px the grains shrink with the field, since they would not fit otherwise. The
//! container always spans 0.83–0.90 of the field's half width.

use std::f64::consts::TAU;

use rand::RngExt as _;
use rand_distr::{Distribution as _, Normal, StandardNormal, UnitSphere};

use super::ct::Exposure;
use super::frame::{Frame, REFERENCE_SIDE, coverage};
use super::sample::{Field, Geometry, SampleInfo};
use super::smooth::Smooth;
use super::streams::Stream;
use crate::blur::Gaussian;

pub(super) const INFO: SampleInfo = SampleInfo {
    name: "sand",
    classes: &["air", "grain", "wall"],
    description: "packed rough grains with voids in a container, with phase-contrast fringes",
};

/// Not chosen: k-means reaches 88–89 % accuracy and 71–73 % mIoU on any seed.
pub(super) const FAMILY: u64 = 1;

pub(super) const EXPOSURE: Exposure =
    Exposure { photons: 7e2, optical_depth: 2.0, ring: 0.02, object_noise: 0.083 };

const GRAIN: u8 = 1;
const WALL: u8 = 2;

const EXPONENT: f32 = 2.6;
/// The largest ratio of the Euclidean norm to the norm of [`EXPONENT`] in three dimensions,
/// 3^(1/2 − 1/2.6).
const NORM_RATIO: f32 = 1.136;
const GRAIN_ROUGHNESS: f64 = 0.07;
/// No grain reaches further than this many radii.
const GRAIN_REACH: f64 = 1.5;
const MAX_RADIUS: f64 = 0.15;
const SPACING: f64 = 0.93;
const FRINGE: f32 = 1.6;
const CYLINDER: f64 = 0.80;
const WALL_INNER: f32 = 0.83;
const WALL_OUTER: f32 = 0.90;

/// Grains, tries with large grains and tries in all, for a cylinder of the reference field's radius
/// and [`REFERENCE_HEIGHT`].
const GRAINS: f64 = 420.0;
const LARGE_TRIES: f64 = 6_000.0;
const TRIES: f64 = 20_000.0;
/// Height of the specification's filled volume: 32 slices at 192 px and a margin on either side.
const REFERENCE_HEIGHT: f64 = 2.0 * (32.0 / REFERENCE_SIDE + MARGIN);
/// Grains' centres lie up to this far, in reference units, beyond the first and last slice.
const MARGIN: f64 = 0.2;

#[derive(Debug)]
pub(super) struct Sand {
    frame: Frame,
    /// Sorted by z.
    grains: Vec<Grain>,
    /// Half the thickness in z a grain can have, units.
    reach: f64,
    wall_texture: Smooth,
}

/// Lengths in units of the frame.
#[derive(Debug)]
struct Grain {
    centre: [f64; 3],
    radius: f64,
    /// Rows of the rotation, each divided by the half axis along it.
    to_sphere: [[f64; 3]; 3],
    roughness: Smooth,
    voids: Vec<Void>,
    attenuation: f32,
}

#[derive(Debug, Clone, Copy)]
struct Void {
    centre: [f64; 3],
    radius: f64,
}

impl Sand {
    pub(super) fn draw(frame: Frame, rng: &mut Stream) -> Self {
        // One reference unit, the length in which the specification gives the grains.
        let unit = 1.0 / frame.magnification().max(1.0);
        let cylinder = CYLINDER / unit;
        let height = frame.z_extent() / unit + MARGIN;
        let volume = (cylinder / CYLINDER).powi(2) * 2.0 * height / REFERENCE_HEIGHT;

        let mut grains: Vec<Grain> = Vec::new();
        let mut cells = Cells::new(cylinder, height);
        let mut tries = 0.0;
        while (grains.len() as f64) < GRAINS * volume && tries < TRIES * volume {
            tries += 1.0;
            let radius = if tries < LARGE_TRIES * volume {
                rng.random_range(0.08..MAX_RADIUS)
            } else {
                rng.random_range(0.05..0.09)
            };
            let angle = rng.random_range(0.0..TAU);
            let from_axis = rng.random::<f64>().sqrt() * (cylinder - 0.85 * radius);
            let (sin, cos) = angle.sin_cos();
            let centre = [from_axis * cos, from_axis * sin, rng.random_range(-height..height)];
            if cells.insert(centre, radius) {
                grains.push(Grain::draw(centre, radius, unit, rng));
            }
        }
        grains.sort_by(|a, b| a.centre[2].total_cmp(&b.centre[2]));
        Self {
            frame,
            grains,
            reach: GRAIN_REACH * MAX_RADIUS * unit,
            wall_texture: Smooth::draw(rng, 6.0, 12),
        }
    }

    /// The grains that may touch height `z`.
    fn near(&self, z: f64) -> &[Grain] {
        let first = self.grains.partition_point(|g| g.centre[2] < z - self.reach);
        let last = self.grains.partition_point(|g| g.centre[2] <= z + self.reach);
        &self.grains[first..last]
    }
}

impl Grain {
    /// Draws a grain at `centre`, both in reference units, and converts it to frame units.
    fn draw(centre: [f64; 3], radius: f64, unit: f64, rng: &mut Stream) -> Self {
        let rotation = rotation(rng);
        let voids = if rng.random::<f64>() < 0.45 {
            (0..rng.random_range(1..4))
                .map(|_| {
                    let direction: [f64; 3] = UnitSphere.sample(rng);
                    let distance = radius * rng.random_range(0.0..0.55);
                    Void {
                        centre: std::array::from_fn(|i| unit * (centre[i] + distance * direction[i])),
                        radius: unit * radius * rng.random_range(0.12..0.28),
                    }
                })
                .collect()
        } else {
            Vec::new()
        };
        let axes: [f64; 3] = std::array::from_fn(|_| unit * radius * rng.random_range(0.85..1.15));
        Self {
            centre: centre.map(|c| unit * c),
            radius: unit * radius,
            to_sphere: std::array::from_fn(|i| rotation[i].map(|m| m / axes[i])),
            roughness: Smooth::draw(rng, 0.45 / (unit * radius), 5),
            voids,
            attenuation: Normal::new(1.0, 0.03).expect("a positive standard deviation").sample(rng),
        }
    }

    /// Coverage of the pixel at `(x, y)` in the slice at `z`, `half` pixels per unit.
    fn coverage(&self, x: f64, y: f64, z: f64, half: f64) -> f32 {
        let d = [x - self.centre[0], y - self.centre[1], z - self.centre[2]];
        let p = self.to_sphere.map(|row| (row[0] * d[0] + row[1] * d[1] + row[2] * d[2]) as f32);
        let norm = (p[0] * p[0] + p[1] * p[1] + p[2] * p[2]).sqrt();

        // The norm of the exponent lies between these two; most pixels are decided by them alone.
        let softness = GRAIN_ROUGHNESS * self.roughness.bound() + 0.5 / (self.radius * half);
        if norm / NORM_RATIO > 1.0 + softness as f32 {
            return 0.0;
        }
        let mut covered = 1.0;
        if norm > 1.0 - softness as f32 {
            let norm = p.map(|v| v.abs().powf(EXPONENT)).iter().sum::<f32>().powf(1.0 / EXPONENT);
            let rough = GRAIN_ROUGHNESS * self.roughness.at(x, y, z);
            covered = coverage(((f64::from(norm) - 1.0 - rough) * self.radius * half) as f32);
        }
        for void in &self.voids {
            let [cx, cy, cz] = void.centre;
            let distance = ((x - cx).powi(2) + (y - cy).powi(2) + (z - cz).powi(2)).sqrt();
            covered *= 1.0 - coverage(((distance - void.radius) * half) as f32);
        }
        covered
    }
}

/// A uniformly random rotation, from a random unit quaternion.
fn rotation(rng: &mut Stream) -> [[f64; 3]; 3] {
    let q: [f64; 4] = std::array::from_fn(|_| StandardNormal.sample(rng));
    let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
    let [w, i, j, k] = q.map(|v| v / norm);
    [
        [1.0 - 2.0 * (j * j + k * k), 2.0 * (i * j - k * w), 2.0 * (i * k + j * w)],
        [2.0 * (i * j + k * w), 1.0 - 2.0 * (i * i + k * k), 2.0 * (j * k - i * w)],
        [2.0 * (i * k - j * w), 2.0 * (j * k + i * w), 1.0 - 2.0 * (i * i + j * j)],
    ]
}

/// Accepted grains, binned so that a candidate meets only its neighbours: a cell is as wide as the
/// largest distance two grains must keep.
#[derive(Debug)]
struct Cells {
    /// Centre and radius of every grain in the cell, `[z, y, x]`.
    kept: Vec<Vec<([f64; 3], f64)>>,
    /// Cells along x, y, z.
    shape: [usize; 3],
    /// The lower corner in x, y, z.
    origin: [f64; 3],
}

impl Cells {
    const SIDE: f64 = SPACING * 2.0 * MAX_RADIUS;

    /// Cells for centres up to `radius` from the axis and `height` from the middle.
    fn new(radius: f64, height: f64) -> Self {
        let along = |extent: f64| (2.0 * extent / Self::SIDE) as usize + 1;
        let shape = [along(radius), along(radius), along(height)];
        Self { kept: vec![Vec::new(); shape.iter().product()], shape, origin: [-radius, -radius, -height] }
    }

    /// Adds the grain unless it lies too close to an earlier one.
    fn insert(&mut self, centre: [f64; 3], radius: f64) -> bool {
        let at: [usize; 3] = std::array::from_fn(|i| {
            (((centre[i] - self.origin[i]) / Self::SIDE) as usize).min(self.shape[i] - 1)
        });
        let neighbours = |i: usize| at[i].saturating_sub(1)..=(at[i] + 1).min(self.shape[i] - 1);
        let index = |x, y, z| (z * self.shape[1] + y) * self.shape[0] + x;
        for z in neighbours(2) {
            for y in neighbours(1) {
                for x in neighbours(0) {
                    for (other, other_radius) in &self.kept[index(x, y, z)] {
                        let distance: f64 = centre.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum();
                        if distance <= (SPACING * (radius + other_radius)).powi(2) {
                            return false;
                        }
                    }
                }
            }
        }
        let here = index(at[0], at[1], at[2]);
        self.kept[here].push((centre, radius));
        true
    }
}

impl Geometry for Sand {
    fn rasterise(&self, k: usize) -> Field {
        let n = self.frame.n;
        let (z, half) = (self.frame.z(k), self.frame.half());
        let xs = self.frame.axis();
        let mut field = Field::air(n);

        for grain in self.near(z) {
            let reach = GRAIN_REACH * grain.radius;
            let chord = reach * reach - (z - grain.centre[2]).powi(2);
            if chord <= 0.0 {
                continue;
            }
            let chord = chord.sqrt();
            let pixels = |centre: f64| {
                let first = xs.partition_point(|x| *x < centre - chord);
                first..xs.partition_point(|x| *x <= centre + chord).max(first)
            };
            for j in pixels(grain.centre[1]) {
                for i in pixels(grain.centre[0]) {
                    let covered = grain.coverage(xs[i], xs[j], z, half) * grain.attenuation;
                    let pixel = &mut field.attenuation[j * n + i];
                    *pixel = pixel.max(covered);
                }
            }
        }

        let half = half as f32;
        let texture = self.wall_texture.columns(&xs);
        let mut uneven = vec![0.0; n];
        let rows = field.attenuation.chunks_exact_mut(n).zip(field.truth.chunks_exact_mut(n));
        for (y, (attenuation, truth)) in xs.iter().zip(rows) {
            texture.row(*y, z, &mut uneven);
            for (((x, uneven), pixel), label) in xs.iter().zip(&uneven).zip(attenuation).zip(truth) {
                let rho = x.hypot(*y) as f32;
                let wall = coverage((rho - WALL_OUTER) * half) * coverage((WALL_INNER - rho) * half);
                if wall > 0.5 {
                    *label = WALL;
                } else if *pixel > 0.5 {
                    *label = GRAIN;
                }
                if wall > 0.0 {
                    *pixel = (*pixel * (1.0 - wall)).max(wall * (0.5 + 0.05 * uneven));
                }
            }
        }
        add_fringe(&mut field.attenuation, n);
        field
    }
}

/// `μ ← μ − 1.6 ∇²(G₁ₚₓ ∗ μ)`, with the five-point Laplacian and replicated borders.
fn add_fringe(attenuation: &mut [f32], n: usize) {
    let mut smooth = attenuation.to_vec();
    Gaussian::new(1.0).apply(&mut smooth, n);
    for j in 0..n {
        let (above, below) = (j.saturating_sub(1), (j + 1).min(n - 1));
        for i in 0..n {
            let (left, right) = (i.saturating_sub(1), (i + 1).min(n - 1));
            let laplacian =
                smooth[above * n + i] + smooth[below * n + i] + smooth[j * n + left] + smooth[j * n + right]
                    - 4.0 * smooth[j * n + i];
            attenuation[j * n + i] -= FRINGE * laplacian;
        }
    }
}
