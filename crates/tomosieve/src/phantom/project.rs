//! Parallel-beam forward projection: rotate and sum, with bilinear interpolation.
//!
//! At angle θ the ray of detector column `u` (pixels from the axis) runs through the points
//! `u (cos θ, sin θ) + s (−sin θ, cos θ)`, sampled at every pixel step `s`. Rays are cut to the circle
//! around the object, which leaves out air only.

use super::fixed::{Fixed, index, step, weight};

/// A square image made ready for bilinear interpolation.
#[derive(Debug)]
pub(super) struct Projector {
    n: usize,
    /// Radius in pixels of the circle around everything that is not air.
    radius: f64,
    /// Pixels of air added on each side, so that the circle fits.
    margin: usize,
    /// Side of the padded image.
    side: usize,
    /// For the cell between four pixels the coefficients `[c, cx, cy, cxy]` of
    /// `c + cx x + cy y + cxy x y`, `[y, x]`.
    cells: Vec<[f32; 4]>,
}

impl Projector {
    /// Prepares `image`, `[y, x]` of side `n`.
    pub(super) fn new(image: &[f32], n: usize) -> Self {
        let centre = (n as f64 - 1.0) / 2.0;
        let radius = image
            .iter()
            .enumerate()
            .filter(|(_, value)| **value != 0.0)
            .map(|(at, _)| ((at % n) as f64 - centre).hypot((at / n) as f64 - centre))
            .fold(0.0, f64::max)
            + 1.5;
        let margin = (radius - centre).ceil().max(0.0) as usize + 2;
        let side = n + 2 * margin;

        let mut padded = vec![0.0; side * side];
        for (row, target) in image.chunks_exact(n).zip(padded.chunks_exact_mut(side).skip(margin)) {
            target[margin..margin + n].copy_from_slice(row);
        }
        let mut cells = vec![[0.0; 4]; side * side];
        for y in 0..side - 1 {
            let (row, next) = (&padded[y * side..][..side], &padded[(y + 1) * side..][..side]);
            let corners = row.windows(2).zip(next.windows(2));
            for (cell, (a, b)) in cells[y * side..].iter_mut().zip(corners) {
                *cell = [a[0], a[1] - a[0], b[0] - a[0], b[1] - b[0] - a[1] + a[0]];
            }
        }
        Self { n, radius, margin, side, cells }
    }

    /// Writes the line integrals, in pixels, of every detector column at the angle of this cosine and
    /// sine.
    pub(super) fn project(&self, cos: f64, sin: f64, line: &mut [f32]) {
        let middle = (self.n as f64 - 1.0) / 2.0;
        let centre = middle + self.margin as f64;
        let (dx, dy) = (step(-sin), step(cos));
        for (column, sum) in line.iter_mut().enumerate() {
            let u = column as f64 - middle;
            let chord = self.radius * self.radius - u * u;
            if chord <= 0.0 {
                *sum = 0.0;
                continue;
            }
            // The samples lie on the lattice of the rotated image.
            let first = (middle - chord.sqrt()).ceil();
            let last = (middle + chord.sqrt()).floor();
            let s = first - middle;
            let mut x: Fixed = step(centre + u * cos - s * sin);
            let mut y: Fixed = step(centre + u * sin + s * cos);
            let mut total = 0.0;
            for _ in first as i64..=last as i64 {
                let [c, cx, cy, cxy] = self.cells[index(y) * self.side + index(x)];
                let (wx, wy) = (weight(x), weight(y));
                total += (c + wx * cx) + wy * (cy + wx * cxy);
                x += dx;
                y += dy;
            }
            *sum = total;
        }
    }
}
