//! Fixed-point positions for walking along a line at a constant step.
//!
//! A position is an `i64` with 32 fractional bits: the walk is one integer addition, the pixel index
//! a shift, the interpolation weight the low bits; no rounding error gathers along the line.

/// A position or step, in units of 2⁻³² pixels.
pub(super) type Fixed = i64;

const ONE: f64 = 4_294_967_296.0;

/// The position or step nearest to `pixels`.
pub(super) fn step(pixels: f64) -> Fixed {
    (pixels * ONE).round() as Fixed
}

/// The pixel at or below a position that is not negative.
pub(super) fn index(at: Fixed) -> usize {
    (at >> 32) as usize
}

/// How far beyond [`index`] the position lies, in [0, 1].
pub(super) fn weight(at: Fixed) -> f32 {
    const SCALE: f32 = 1.0 / 16_777_216.0;
    // 24 bits are exact in f32, and a signed 32-bit conversion is the cheapest there is.
    ((at as u32) >> 8) as i32 as f32 * SCALE
}
