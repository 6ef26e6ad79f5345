//! Grey values with and without noise, as a picture.

use image::RgbImage;

use crate::chart::{BOTTOM, Frame, LEFT, TOP};
use crate::denoised::Denoised;
use crate::drawing::{BLUE, Canvas, GREY, LETTER, ORANGE};

/// Width and height of the frame, pixels.
const SIZE: (f64, f64) = (640.0, 260.0);
/// The least share of the voxels that is drawn, as a power of ten.
const LEAST: f64 = -5.0;

/// Draws both histograms on a logarithmic scale, and the peaks of the one without noise.
pub(crate) fn draw(denoised: &Denoised) -> RgbImage {
    let mut canvas = Canvas::new(LEFT + SIZE.0 + 2.0 * LETTER, TOP + SIZE.1 + BOTTOM + LETTER);
    let curve = |counts: &[u64]| -> Vec<(f64, f64)> {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let height = |count: u64| (count as f64 / all).log10().max(LEAST);
        counts.iter().enumerate().map(|(bin, &count)| (denoised.value(bin), height(count))).collect()
    };
    let (before, after) = (curve(&denoised.before), curve(&denoised.after));
    let frame = Frame {
        corner: (LEFT, TOP),
        size: SIZE,
        x: (f64::from(denoised.scale.low), f64::from(denoised.scale.high)),
        y: (LEAST, 0.0),
    };
    frame.draw(
        &mut canvas,
        "voxels by grey value, log10 of their share: scanned (grey), without noise (blue)",
    );
    frame.line(&mut canvas, &before, GREY);
    frame.line(&mut canvas, &after, BLUE);
    for peak in denoised.peaks() {
        let nearest =
            after.iter().min_by(|a, b| (a.0 - peak.value).abs().total_cmp(&(b.0 - peak.value).abs()));
        nearest.into_iter().for_each(|&(x, y)| canvas.disc(frame.at(x, y), 6.0, ORANGE));
    }
    canvas.finish()
}
