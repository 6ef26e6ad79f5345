//! What happens to weights between two steps: sums of gradients, Adam (Kingma & Ba 2015, arXiv 1412.6980) and the moving
//! average of a teacher (Tarvainen & Valpola 2017, arXiv 1703.01780), each in one pass over its arrays.

use crate::parallel::{Shared, each};
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
    /// `new = old − rate · m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn step(self, isa: Isa, old: &[f32], gradient: &[f32], moments: [&mut [f32]; 2], new: &mut [f32]) {
        let [first, second] = moments;
        let len = old.len();
        let others = [gradient.len(), first.len(), second.len(), new.len()];
        let (first, second, new) = (Shared::new(first), Shared::new(second), Shared::new(new));
        in_parts(len, &others, |start, count| {
            isa.run(AdamPart {
                of: self,
                old: &old[start..],
                gradient: &gradient[start..],
                start,
                count,
                first,
                second,
                new,
            });
        });
    }
}

/// A part of the values.
struct AdamPart<'a> {
    of: Adam,
    old: &'a [f32],
    gradient: &'a [f32],
    start: usize,
    count: usize,
    first: Shared,
    second: Shared,
    new: Shared,
}

impl Kernel for AdamPart<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { of, start, count, .. } = self;
        let [b1, b2] = of.betas;
        let root = (1.0 - b2.powi(of.time)).sqrt();
        // Both corrections as one factor, and ε as large beside the uncorrected root.
        let rate = (of.rate * root / (1.0 - b1.powi(of.time))) as f32;
        let epsilon = (of.epsilon * root) as f32;
        let [r1, r2] = [1.0 - b1, 1.0 - b2].map(|rest| rest as f32);
        let [b1, b2] = [b1, b2].map(|beta| beta as f32);
        // SAFETY: the lengths were compared, and each task has a part of its own.
        let (first, second, new) = unsafe {
            (self.first.part(start, count), self.second.part(start, count), self.new.part(start, count))
        };
        let (old, gradient) = (&self.old[..count], &self.gradient[..count]);
        let whole = count / LANES * LANES;
        let [rate_v, epsilon_v] = [rate, epsilon].map(|x| s.splat(x));
        let [b1_v, b2_v, r1_v, r2_v] = [b1, b2, r1, r2].map(|x| s.splat(x));
        for at in (0..whole).step_by(LANES) {
            // SAFETY: 16 values lie before `whole`.
            unsafe {
                let g = s.load(gradient.as_ptr().add(at));
                let m = s.fma(b1_v, s.load(first.as_ptr().add(at)), s.mul(r1_v, g));
                let v = s.fma(b2_v, s.load(second.as_ptr().add(at)), s.mul(r2_v, s.mul(g, g)));
                s.store(first.as_mut_ptr().add(at), m);
                s.store(second.as_mut_ptr().add(at), v);
                let by = s.div(s.mul(rate_v, m), s.add(s.sqrt(v), epsilon_v));
                s.store(new.as_mut_ptr().add(at), s.sub(s.load(old.as_ptr().add(at)), by));
            }
        }
        for at in whole..count {
            let g = gradient[at];
            first[at] = b1 * first[at] + r1 * g;
            second[at] = b2 * second[at] + r2 * (g * g);
            new[at] = old[at] - rate * first[at] / (second[at].sqrt() + epsilon);
        }
    }
}

/// `new = a + b`
///
/// # Panics
/// If the lengths differ.
pub fn add(isa: Isa, a: &[f32], b: &[f32], new: &mut [f32]) {
    combine(isa, [a, b], new, |a, b| a + b);
}

/// `new = α · average + (1 − α) · value`
///
/// # Panics
/// If the lengths differ.
pub fn blend(isa: Isa, alpha: f64, average: &[f32], value: &[f32], new: &mut [f32]) {
    let (alpha, rest) = (alpha as f32, (1.0 - alpha) as f32);
    combine(isa, [average, value], new, move |average, value| alpha * average + rest * value);
}

/// Each value from two others.
fn combine(
    isa: Isa,
    from: [&[f32]; 2],
    new: &mut [f32],
    with: impl Fn(f32, f32) -> f32 + Copy + Sync + Send,
) {
    let len = from[0].len();
    let others = [from[1].len(), new.len()];
    let new = Shared::new(new);
    in_parts(len, &others, |start, count| {
        let from = from.map(|values| &values[start..start + count]);
        isa.run(Combine { from, with, start, new });
    });
}

/// A part of the values.
struct Combine<'a, F> {
    from: [&'a [f32]; 2],
    with: F,
    start: usize,
    new: Shared,
}

impl<F: Fn(f32, f32) -> f32> Kernel for Combine<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [a, b] = self.from;
        // SAFETY: the lengths were compared, and each task has a part of its own.
        let new = unsafe { self.new.part(self.start, a.len()) };
        for ((new, &a), &b) in new.iter_mut().zip(a).zip(b) {
            *new = (self.with)(a, b);
        }
    }
}
