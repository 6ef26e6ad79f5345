//! Class probabilities from logits (Eq. 4 of the paper).

use crate::parallel::{Shared, Source, each};
use crate::simd::{Isa, Kernel, LANES, Simd};

/// Pixels that a task takes.
const PART: usize = 1 << 12;

/// Softmax over the classes of `[n, classes, plane]` logits; `probabilities` are off by 5·10⁻⁷ at most.
///
/// # Panics
/// If the logits are not as many as whole images have, or the probabilities not as many as they.
pub fn softmax(isa: Isa, logits: &[f32], classes: usize, plane: usize, probabilities: &mut [f32]) {
    let image = classes * plane;
    assert!(
        image > 0 && logits.len().is_multiple_of(image),
        "{} logits of {classes} × {plane}",
        logits.len()
    );
    assert_eq!(logits.len(), probabilities.len(), "a probability for each logit");
    let (images, parts) = (logits.len() / image, plane.div_ceil(PART));
    let (logits, values) = (Source::new(logits.as_ptr()), Shared::new(probabilities));
    each(images * parts, |task| {
        let start = task % parts * PART;
        let count = PART.min(plane - start);
        isa.run(SoftmaxPart { logits, values, first: task / parts * image + start, count, classes, plane });
    });
}

/// Some pixels of one image.
struct SoftmaxPart {
    logits: Source,
    values: Shared,
    /// Where the first class of the first pixel is.
    first: usize,
    count: usize,
    classes: usize,
    plane: usize,
}

impl Kernel for SoftmaxPart {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { logits, values, first, count, classes, plane } = self;
        let whole = count / LANES * LANES;
        for pixel in (0..whole).step_by(LANES) {
            let place = |class: usize| first + class * plane + pixel;
            // SAFETY: 16 pixels of each class lie before the end of this part, which is this task's alone.
            let logit = |class: usize| unsafe { s.load(logits.at(place(class))) };
            // SAFETY: as above.
            let at = |class: usize| unsafe { values.at(place(class)) };
            let most = (1..classes).fold(logit(0), |most, class| s.max(most, logit(class)));
            let mut sum = s.zero();
            for class in 0..classes {
                let power = exp(s, s.sub(logit(class), most));
                sum = s.add(sum, power);
                // SAFETY: as above.
                unsafe { s.store(at(class), power) };
            }
            let share = s.div(s.splat(1.0), sum);
            for class in 0..classes {
                // SAFETY: as above.
                unsafe { s.store(at(class), s.mul(s.load(at(class)), share)) };
            }
        }
        for pixel in whole..count {
            let place = |class: usize| first + class * plane + pixel;
            // SAFETY: the pixel lies in this part, which is this task's alone.
            let logit = |class: usize| unsafe { *logits.at(place(class)) };
            let most = (1..classes).fold(logit(0), |most, class| most.max(logit(class)));
            let sum: f32 = (0..classes).map(|class| (logit(class) - most).exp()).sum();
            for class in 0..classes {
                // SAFETY: as above.
                unsafe { *values.at(place(class)) = (logit(class) - most).exp() / sum };
            }
        }
    }
}

/// eˣ of numbers up to 0: 2ⁿ · eʳ with |r| ≤ ln 2 / 2, by Taylor's series; 0 below −87.
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    /// Adding and subtracting it rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, of which the first has few digits.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = s.max(s.splat(-88.0), x); // in this order NaN stays NaN
    let round = s.splat(ROUND);
    let n = s.sub(s.fma(x, s.splat(std::f32::consts::LOG2_E), round), round);
    let r = s.fnma(n, s.splat(LN_2[1]), s.fnma(n, s.splat(LN_2[0]), x));
    let terms = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let series = terms[1..].iter().fold(s.splat(terms[0]), |sum, term| s.fma(sum, r, s.splat(*term)));
    s.mul(series, s.pow2(n))
}
