//! Losses with their gradients by hand, for CPUs.
//!
//! Of what a loss takes there, little is arithmetic: composed of tensors it writes and reads every intermediate of
//! `[n, k, h, w]` and keeps them all for the gradient, a tenth of a training step. By hand it goes over a run of pixels at
//! a time, from the logits to the gradient, and nothing is kept. The tests hold it to the composed form and to PyTorch.

use tomosieve_kernels::{Buffer, Isa, softmax};

/// Pixels of a run.
pub const RUN: usize = 64;

/// A value for each pixel of a run.
pub type Lanes = [f32; RUN];

/// What a loss sees of a run of pixels.
#[derive(Debug)]
pub struct Pixels<'a> {
    /// `log p` of each class.
    pub log_p: &'a [Lanes],
    /// `p` of each class.
    pub p: &'a [Lanes],
    /// The label of each pixel, a class.
    pub labels: &'a [u8; RUN],
}

/// A loss with its gradient by hand.
pub trait ByHand {
    /// Adds the loss of each pixel to `losses`, and `∂ loss / ∂ log p` of each class, as if these could change one by one,
    /// to `slopes`.
    fn judge(&self, pixels: &Pixels<'_>, losses: &mut Lanes, slopes: &mut [Lanes]);
}

/// What is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Patch<'a> {
    /// `[n, k, h·w]`
    pub logits: &'a [f32],
    /// `[n, h·w]`, each in `0..k`, or anything where the weight is 0.
    pub labels: &'a [u8],
    /// What a pixel of each label counts, by label; 0 beyond its end.
    pub weights: &'a [f32],
    /// k.
    pub classes: usize,
    /// Height times width.
    pub plane: usize,
}

/// [`masked_mean`](super::masked_mean) of a loss, `count` pixels being not masked, and its gradient along the logits,
/// `[n, k, h·w]`.
///
/// # Panics
/// If logits and labels are not of the shape, or a label that counts is no class.
pub fn judged(loss: &dyn ByHand, patch: Patch<'_>, count: usize) -> (f64, Buffer) {
    let Patch { logits, labels, weights, classes, plane } = patch;
    assert!(weights.len() <= classes && classes > 0, "{} weights of {classes} classes", weights.len());
    assert_eq!(logits.len(), labels.len() * classes, "logits of {} pixels", labels.len());
    let share = 1.0 / count.max(1) as f32;
    // The probabilities, and from the run on that was gone through, the gradient.
    let mut gradient = Buffer::dirty(logits.len());
    softmax(Isa::best(), logits, classes, plane, &mut gradient);
    let mut scratch = Scratch::new(classes);
    let mut total = 0.0;
    for (image, labels) in labels.chunks_exact(plane).enumerate() {
        for start in (0..plane).step_by(RUN) {
            let at = |class: usize| (image * classes + class) * plane + start;
            let of = &labels[start..plane.min(start + RUN)];
            scratch.load(|class| (&logits[at(class)..][..of.len()], &gradient[at(class)..][..of.len()]), of);
            let factor = |label: &u8| weights.get(usize::from(*label)).copied().unwrap_or(0.0);
            let mut factors = [0.0; RUN];
            factors.iter_mut().zip(of).for_each(|(to, label)| *to = factor(label));
            total += scratch.judge(loss, &factors);
            for class in 0..classes {
                let to = &mut gradient[at(class)..][..of.len()];
                to.iter_mut().zip(&scratch.slopes[class]).for_each(|(to, slope)| *to = share * slope);
            }
        }
    }
    (total * f64::from(share), gradient)
}

/// Room for a run.
struct Scratch {
    log_p: Vec<Lanes>,
    p: Vec<Lanes>,
    slopes: Vec<Lanes>,
    labels: [u8; RUN],
}

impl Scratch {
    fn new(classes: usize) -> Self {
        let lanes = || vec![[0.0; RUN]; classes];
        Self { log_p: lanes(), p: lanes(), slopes: lanes(), labels: [0; RUN] }
    }

    /// Takes in logits and probabilities by class. What is missing at the end of a run is as it was: it counts nothing.
    fn load<'a>(&mut self, of: impl Fn(usize) -> (&'a [f32], &'a [f32]), labels: &[u8]) {
        let classes = self.p.len();
        let (mut most, mut likely) = ([f32::NEG_INFINITY; RUN], [0.0_f32; RUN]);
        for class in 0..classes {
            let (logits, p) = of(class);
            self.log_p[class][..logits.len()].copy_from_slice(logits);
            self.p[class][..p.len()].copy_from_slice(p);
            for (most, logit) in most.iter_mut().zip(logits) {
                *most = most.max(*logit);
            }
            for (likely, p) in likely.iter_mut().zip(p) {
                *likely = likely.max(*p);
            }
        }
        // log p = z − log Σ exp z, and the class of the largest logit, whose p is at least 1/k, tells the sum.
        let mut shift = [0.0; RUN];
        for ((shift, most), likely) in shift.iter_mut().zip(most).zip(likely).take(labels.len()) {
            *shift = likely.ln() - most;
        }
        for log_p in &mut self.log_p {
            log_p.iter_mut().zip(shift).for_each(|(log_p, shift)| *log_p += shift);
        }
        for (to, &label) in self.labels.iter_mut().zip(labels) {
            *to = if usize::from(label) < classes { label } else { 0 };
        }
    }

    /// The loss of the run; `slopes` become those along the logits.
    fn judge(&mut self, loss: &dyn ByHand, factors: &Lanes) -> f64 {
        let mut losses = [0.0; RUN];
        self.slopes.fill([0.0; RUN]);
        loss.judge(
            &Pixels { log_p: &self.log_p, p: &self.p, labels: &self.labels },
            &mut losses,
            &mut self.slopes,
        );
        // ∂ log p_j / ∂ z_k = [j = k] − p_k
        let mut sum = [0.0; RUN];
        for slopes in &self.slopes {
            sum.iter_mut().zip(slopes).for_each(|(sum, slope)| *sum += slope);
        }
        for (slopes, p) in self.slopes.iter_mut().zip(&self.p) {
            for (((slope, p), sum), factor) in slopes.iter_mut().zip(p).zip(&sum).zip(factors) {
                *slope = factor * (*slope - p * sum);
            }
        }
        let counted = losses.iter().zip(factors).filter(|(_, factor)| **factor != 0.0);
        counted.map(|(loss, factor)| f64::from(loss * factor)).sum()
    }
}

/// Judges by a function of `log p` and `p` of the label alone, which gives a loss and its slope along that `log p`.
pub fn by_label(
    pixels: &Pixels<'_>,
    losses: &mut Lanes,
    slopes: &mut [Lanes],
    of: impl Fn(f32, f32) -> (f32, f32),
) {
    for (pixel, &label) in pixels.labels.iter().enumerate() {
        let label = usize::from(label);
        let (loss, slope) = of(pixels.log_p[label][pixel], pixels.p[label][pixel]);
        losses[pixel] += loss;
        slopes[label][pixel] += slope;
    }
}
