//! The backward pass.
//!
//! With `g = m · ∂y · prelu′(γ x̂ + β)`, pixels and channels of a group counted by `N`:
//! `∂x = (γ g − Σ γ g / N − x̂ Σ γ g x̂ / N) / √(σ² + ε)`, `∂γ = Σ g x̂`, `∂β = Σ g` and
//! `∂slope = Σ m · ∂y · min(γ x̂ + β, 0)`. What `∂x` sums to over a channel follows from the same sums.

use super::{NormAct, NormStats, Part, Sums, affine, channels, each_part, mask_lanes, share_line, twice};
use crate::change::Change;
use crate::parallel::{Shared, Source, each};
use crate::shape::{BLOCK, Blocked};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Gradients of the parameters, one value a channel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NormGradients {
    /// Of `γ`.
    pub gamma: Vec<f32>,
    /// Of `β`.
    pub beta: Vec<f32>,
    /// Of the slope.
    pub slope: Vec<f32>,
    /// Of a bias that was added to the input: `Σ ∂x`.
    pub bias: Vec<f32>,
}

/// Of each channel of a plane: `Σ g`, `Σ g x̂`, `Σ m ∂y min(·, 0)`.
type Partial = [[f64; BLOCK]; 3];

/// The gradient of [`norm_act`](super::norm_act): that of its output becomes that of its input `x`, with the halo.
///
/// # Panics
/// If a length is not that of the shape, or the groups do not divide the channels.
pub fn norm_act_backward(
    isa: Isa,
    shape: Blocked,
    x: &[f32],
    params: NormAct<'_>,
    stats: &NormStats,
    gradient: Change<'_>,
) -> NormGradients {
    shape.check_len(gradient.len());
    let (dy, dx) = gradient.ends();
    params.check(shape);
    shape.check(x);
    let planes = shape.n * shape.blocks();
    let (mut partial, mut bias) = (vec![Partial::default(); planes], vec![[0.0; BLOCK]; planes]);
    let (found, biases) = (Shared::new(&mut partial), Shared::new(&mut bias));
    let job = Job { shape, x, params, stats, dy };
    each_part(shape, params.groups, |part| {
        let of_part = |i| part.planes.start + i;
        each(part.planes.len(), |i| isa.run(Reduce { job, plane: of_part(i), found }));
        // SAFETY: the planes are this task's alone, and nobody else writes to them now.
        let (partial, biases) = unsafe {
            let (first, count) = (part.planes.start, part.planes.len());
            (&*found.part(first, count), biases.part(first, count))
        };
        let centres = centres(shape, params, &part, partial);
        for (i, bias) in biases.iter_mut().enumerate() {
            *bias = job.sums(of_part(i), &partial[i][0], centres[i]);
        }
        each(part.planes.len(), |i| isa.run(Apply { job, plane: of_part(i), centres: centres[i], dx }));
    });
    let over_images = |of: &dyn Fn(usize, usize) -> f64| {
        let sum = |c: usize| {
            (0..shape.n).map(|n| of(n * shape.blocks() + c / BLOCK, c % BLOCK)).sum::<f64>() as f32
        };
        (0..shape.c).map(sum).collect()
    };
    NormGradients {
        beta: over_images(&|plane, lane| partial[plane][0][lane]),
        gamma: over_images(&|plane, lane| partial[plane][1][lane]),
        slope: over_images(&|plane, lane| partial[plane][2][lane]),
        bias: over_images(&|plane, lane| bias[plane][lane]),
    }
}

/// `Σ γ g / N` and `Σ γ g x̂ / N` of the channels of a part.
fn centres(shape: Blocked, params: NormAct<'_>, part: &Part, partial: &[Partial]) -> Vec<[[f32; BLOCK]; 2]> {
    let mut centres = vec![[[0.0; BLOCK]; 2]; partial.len()];
    let each = shape.c / params.groups;
    let count = (shape.h * shape.w * each) as f64;
    let first = part.groups.start * each;
    let gamma = &params.gamma[first..];
    for group in part.groups.clone() {
        for i in 0..2 {
            let members = group * each - first..(group + 1) * each - first;
            let of = |c: usize| f64::from(gamma[c]) * partial[c / BLOCK][i][c % BLOCK];
            let sum: f64 = members.clone().map(of).sum();
            for c in members {
                centres[c / BLOCK][i][c % BLOCK] = (sum / count) as f32;
            }
        }
    }
    centres
}

#[derive(Clone, Copy)]
struct Job<'a> {
    shape: Blocked,
    x: &'a [f32],
    params: NormAct<'a>,
    stats: &'a NormStats,
    dy: Source,
}

impl Job<'_> {
    /// `Σ ∂x` of the channels of a plane, from their `Σ g`.
    fn sums(&self, plane: usize, g: &[f64; BLOCK], centres: [[f32; BLOCK]; 2]) -> [f64; BLOCK] {
        let block = plane % self.shape.blocks();
        let pixels = (self.shape.h * self.shape.w) as f64;
        let gamma = channels(self.params.gamma, block);
        std::array::from_fn(|c| {
            let [_, inverse, shift] = self.stats.of(plane).map(|of| f64::from(of[c]));
            let [first, second] = centres.map(|of| f64::from(of[c]));
            let normed = shift * inverse; // the mean of x̂
            inverse * (f64::from(gamma[c]) * g[c] - pixels * (first + second * normed))
        })
    }
}

/// What the pixels of a plane share. Dropout's factors are left to what becomes of the pixels.
#[derive(Clone, Copy)]
struct Plane<S: Simd> {
    scale: S::V,
    offset: S::V,
    slope: S::V,
    one: S::V,
    zero: S::V,
}

impl<S: Simd> Plane<S> {
    #[inline(always)]
    fn new(s: S, job: Job<'_>, plane: usize) -> Self {
        let lanes = affine(job.shape, job.params, job.stats.of(plane), plane);
        let [scale, offset] = lanes.map(|lanes| s.lanes(&twice(&lanes)));
        let slope = s.lanes(&twice(&channels(job.params.slope, plane % job.shape.blocks())));
        Self { scale, offset, slope, one: s.splat(1.0), zero: s.zero() }
    }

    /// `g / m` and `γ x̂ + β` of two pixels.
    #[inline(always)]
    fn pixels(self, s: S, x: S::V, dy: S::V) -> [S::V; 2] {
        let before = s.fma(x, self.scale, self.offset);
        [s.mul(dy, s.select_lt(before, self.zero, self.slope, self.one)), before]
    }
}

/// The sums of a plane.
struct Reduce<'a> {
    job: Job<'a>,
    plane: usize,
    found: Shared<Partial>,
}

impl Kernel for Reduce<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.job.shape;
        let common = Plane::new(s, self.job, self.plane);
        let [mean, inverse, _] = self.job.stats.of(self.plane).map(|of| twice(&of));
        let offset: [f32; LANES] = std::array::from_fn(|i| -mean[i] * inverse[i]);
        let (inverse, offset) = (s.lanes(&inverse), s.lanes(&offset));
        let mut sums = Sums::<S, 3>::new(s);
        let nothing = [0.0; BLOCK];
        // SAFETY: the plane lies within the arrays, which were checked against the shape; each task has
        // a slot of its own.
        unsafe {
            let start = self.plane * shape.plane();
            let (x, dy) = (self.job.x.as_ptr().add(start), self.job.dy.at(start));
            for y in 1..=shape.h {
                let row = y * shape.row() + BLOCK;
                sums.make_room(s, shape.w.div_ceil(2));
                let mut take = |x: S::V, dy: S::V| {
                    let [g, before] = common.pixels(s, x, dy);
                    let normed = s.fma(x, inverse, offset);
                    let [a, b, c] = sums.lanes;
                    sums.lanes = [s.add(a, g), s.fma(g, normed, b), s.fma(dy, s.min(before, common.zero), c)];
                };
                for at in (row..row + shape.w / 2 * 2 * BLOCK).step_by(2 * BLOCK) {
                    take(s.load(x.add(at)), s.load(dy.add(at)));
                }
                if shape.w % 2 == 1 {
                    let at = row + (shape.w - 1) * BLOCK;
                    take(s.load2(x.add(at), x.add(at)), s.load2(dy.add(at), nothing.as_ptr()));
                }
            }
            let mask = mask_lanes(shape, self.job.params.mask, self.plane);
            let masked = |sums: [f64; BLOCK]| std::array::from_fn(|c| f64::from(mask[c]) * sums[c]);
            *self.found.at(self.plane) = sums.finish(s).map(masked);
        }
    }
}

/// The input's gradient of a plane.
struct Apply<'a> {
    job: Job<'a>,
    plane: usize,
    centres: [[f32; BLOCK]; 2],
    dx: Shared,
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let shape = self.job.shape;
        let common = Plane::new(s, self.job, self.plane);
        // `∂x` as a sum of `g / m` and `x`, each times a factor.
        let stats = self.job.stats.of(self.plane);
        let [mean, inverse, first, second] =
            [stats[0], stats[1], self.centres[0], self.centres[1]].map(|of| twice(&of).map(f64::from));
        let of_x: [f32; LANES] = std::array::from_fn(|i| (inverse[i] * inverse[i] * second[i]) as f32);
        let rest: [f32; LANES] =
            std::array::from_fn(|i| (inverse[i] * (mean[i] * inverse[i] * second[i] - first[i])) as f32);
        let (of_x, rest) = (s.lanes(&of_x), s.lanes(&rest));
        let of_g = s.mul(common.scale, s.lanes(&twice(&mask_lanes(shape, self.job.params.mask, self.plane))));
        let of = |x, dy| {
            let [g, _] = common.pixels(s, x, dy);
            s.fma(g, of_g, s.fnma(x, of_x, rest))
        };
        // SAFETY: as in `Reduce`; each task writes a plane of its own, and where that is `dy`'s, each value is read before it
        // is written.
        unsafe {
            let start = self.plane * shape.plane();
            let (x, dy, dx) = (self.job.x.as_ptr(), self.job.dy.at(0), self.dx.at(0));
            for y in 1..=shape.h {
                let mut at = start + y * shape.row() + BLOCK;
                let end = at + shape.w * BLOCK;
                while at < end {
                    if share_line(at, end) {
                        s.store(dx.add(at), of(s.load(x.add(at)), s.load(dy.add(at))));
                        at += LANES;
                    } else {
                        let [x, dy] = [x, dy].map(|values| s.load2(values.add(at), values.add(at)));
                        s.store_low(dx.add(at), of(x, dy));
                        at += BLOCK;
                    }
                }
            }
            shape.clear_plane_halo(self.dx.part(start, shape.plane()));
        }
    }
}
