//! Grey values with and without noise, as a picture.

use image::RgbImage;

use crate::chart::{BOTTOM, Frame, LEFT, TOP};
use crate::denoised::{Denoised, Peak};
use crate::drawing::{BLUE, Canvas, GREY, LETTER, ORANGE};

/// Width and height of the frame, pixels.
const SIZE: (f64, f64) = (640.0, 260.0);
/// The least share of the voxels that is drawn, as a power of ten.
const LEAST: f64 = -5.0;

/// Draws both histograms on a logarithmic scale, that without noise so that its peaks lie where their voxels were scanned.
pub(crate) fn draw(denoised: &Denoised) -> RgbImage {
    let mut canvas = Canvas::new(LEFT + SIZE.0 + 2.0 * LETTER, TOP + SIZE.1 + BOTTOM + LETTER);
    let curve = |counts: &[u64], place: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        let all = counts.iter().sum::<u64>().max(1) as f64;
        let height = |count: u64| (count as f64 / all).log10().max(LEAST);
        counts.iter().enumerate().map(|(bin, &count)| (place(bin), height(count))).collect()
    };
    let peaks = denoised.peaks();
    let after = curve(&denoised.after, &|bin| place(denoised, &peaks, bin));
    let frame = Frame {
        corner: (LEFT, TOP),
        size: SIZE,
        x: (f64::from(denoised.scale.low), f64::from(denoised.scale.high)),
        y: (LEAST, 0.0),
    };
    frame.draw(&mut canvas, "voxels by grey value (log10): scanned, without noise");
    // Few grey values, as of 8 bits, leave bins between them empty.
    let scanned = curve(&denoised.before, &|bin| denoised.value(bin)).into_iter().zip(&denoised.before);
    let scanned: Vec<_> = scanned.filter(|(_, count)| **count > 0).map(|(point, _)| point).collect();
    frame.line(&mut canvas, &scanned, GREY);
    let inside = |point: &&(f64, f64)| (frame.x.0..=frame.x.1).contains(&point.0);
    frame.line(&mut canvas, &after.iter().filter(inside).copied().collect::<Vec<_>>(), BLUE);
    for peak in peaks {
        canvas.disc(frame.at(peak.value, after[peak.bin].1), 6.0, ORANGE);
    }
    canvas.finish()
}

/// Where a bin of the values without noise lies among those as scanned: a peak where its voxels do, what is between two peaks in
/// between.
fn place(denoised: &Denoised, peaks: &[Peak], bin: usize) -> f64 {
    let above = peaks.partition_point(|peak| peak.bin <= bin);
    match (above.checked_sub(1).map(|below| peaks[below]), peaks.get(above)) {
        (Some(below), Some(above)) => {
            let part = (bin - below.bin) as f64 / (above.bin - below.bin) as f64;
            below.value + part * (above.value - below.value)
        }
        (Some(near), None) => near.value + denoised.value(bin) - denoised.value(near.bin),
        (None, Some(near)) => near.value + denoised.value(bin) - denoised.value(near.bin),
        (None, None) => denoised.value(bin),
    }
}
