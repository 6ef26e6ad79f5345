//! What happens to weights between two steps: sums of gradients, Adam (Kingma & Ba 2015, arXiv 1412.6980) and the moving
//! average of a teacher (Tarvainen & Valpola 2017, arXiv 1703.01780), each in one pass over its arrays.

use crate::change::Change;
use crate::parallel::{Shared, Source, each};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Values that a task takes.
const PART: usize = 1 << 14;

/// Runs `part(start, count)` for every part of `len` values, which the `others` must have as well.
fn in_parts(len: usize, others: &[usize], part: impl Fn(usize, usize) + Sync + Send) {
    assert!(others.iter().all(|&other| other == len), "lengths {others:?}, expected {len}");
    each(len.div_ceil(PART), |task| part(task * PART, PART.min(len - task * PART)));
}

/// A step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub rate: f64,
    /// β₁ and β₂.
    pub betas: [f64; 2],
    /// ε, added to the root of the corrected second moment.
    pub epsilon: f64,
    /// Steps taken, this one included.
    pub time: i32,
}

impl Adam {
    /// `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²` and
    /// `w ← w − rate · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(self, isa: Isa, weights: Change<'_>, gradient: &[f32], moments: [&mut [f32]; 2]) {
        let [first, second] = moments;
        let (len, others) = (weights.len(), [gradient.len(), first.len(), second.len()]);
        let (old, new) = weights.ends();
        let (first, second) = (Shared::new(first), Shared::new(second));
        in_parts(len, &others, |start, count| {
            let gradient = &gradient[start..start + count];
            isa.run(AdamPart { of: self, old, gradient, start, first, second, new });
        });
    }
}

/// A part of the values.
struct AdamPart<'a> {
    of: Adam,
    old: Source,
    gradient: &'a [f32],
    start: usize,
    first: Shared,
    second: Shared,
    new: Shared,
}

impl Kernel for AdamPart<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { of, gradient, start, .. } = self;
        let [b1, b2] = of.betas;
        let root = (1.0 - b2.powi(of.time)).sqrt();
        // Both corrections as one factor, and ε as large beside the uncorrected root.
        let rate = (of.rate * root / (1.0 - b1.powi(of.time))) as f32;
        let epsilon = (of.epsilon * root) as f32;
        let [r1, r2] = [1.0 - b1, 1.0 - b2].map(|rest| rest as f32);
        let [b1, b2] = [b1, b2].map(|beta| beta as f32);
        let count = gradient.len();
        let whole = count / LANES * LANES;
        let [rate_v, epsilon_v] = [rate, epsilon].map(|x| s.splat(x));
        let [b1_v, b2_v, r1_v, r2_v] = [b1, b2, r1, r2].map(|x| s.splat(x));
        // SAFETY: the lengths were compared, and each task has a part of its own.
        unsafe {
            let (first, second) = (self.first.part(start, count), self.second.part(start, count));
            let (old, new) = (self.old.at(start), self.new.at(start));
            for at in (0..whole).step_by(LANES) {
                let g = s.load(gradient.as_ptr().add(at));
                let m = s.fma(b1_v, s.load(first.as_ptr().add(at)), s.mul(r1_v, g));
                let v = s.fma(b2_v, s.load(second.as_ptr().add(at)), s.mul(r2_v, s.mul(g, g)));
                s.store(first.as_mut_ptr().add(at), m);
                s.store(second.as_mut_ptr().add(at), v);
                let by = s.div(s.mul(rate_v, m), s.add(s.sqrt(v), epsilon_v));
                s.store(new.add(at), s.sub(s.load(old.add(at)), by));
            }
            for at in whole..count {
                let g = gradient[at];
                first[at] = b1 * first[at] + r1 * g;
                second[at] = b2 * second[at] + r2 * (g * g);
                *new.add(at) = *old.add(at) - rate * first[at] / (second[at].sqrt() + epsilon);
            }
        }
    }
}

/// `values ← values + others`
///
/// # Panics
/// If the lengths differ.
pub fn add(isa: Isa, values: Change<'_>, others: &[f32]) {
    weighted(isa, values, others, [1.0, 1.0]);
}

/// `average ← α · average + (1 − α) · value`
///
/// # Panics
/// If the lengths differ.
pub fn blend(isa: Isa, alpha: f64, average: Change<'_>, value: &[f32]) {
    weighted(isa, average, value, [alpha as f32, (1.0 - alpha) as f32]);
}

/// `values ← a · values + b · others`
fn weighted(isa: Isa, values: Change<'_>, others: &[f32], weights: [f32; 2]) {
    let len = values.len();
    let (from, to) = values.ends();
    in_parts(len, &[others.len()], |start, count| {
        isa.run(Weighted { from, others: &others[start..start + count], weights, start, to });
    });
}

/// A part of the values.
struct Weighted<'a> {
    from: Source,
    others: &'a [f32],
    weights: [f32; 2],
    start: usize,
    to: Shared,
}

impl Kernel for Weighted<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ([a, b], count) = (self.weights, self.others.len());
        let (whole, others) = (count / LANES * LANES, self.others.as_ptr());
        let [a_v, b_v] = [a, b].map(|weight| s.splat(weight));
        // SAFETY: the lengths were compared, and each task has a part of its own.
        unsafe {
            let (from, to) = (self.from.at(self.start), self.to.at(self.start));
            for at in (0..whole).step_by(LANES) {
                let (value, other) = (s.load(from.add(at)), s.load(others.add(at)));
                s.store(to.add(at), s.add(s.mul(a_v, value), s.mul(b_v, other)));
            }
            for at in whole..count {
                *to.add(at) = a * *from.add(at) + b * *others.add(at);
            }
        }
    }
}
