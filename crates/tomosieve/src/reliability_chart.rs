//! How often a result is right where it is so sure: a reliability curve as a picture (Guo et al. 2017).

use image::RgbImage;

use crate::chart::{BOTTOM, Frame, LEFT, TOP};
use crate::drawing::{Align, BLACK, Canvas, LETTER};
use crate::metrics::ReliabilityCurve;

/// Height and width of the frame, pixels.
const SIDE: f64 = 340.0;

/// Draws the share of right pixels over confidence; on the diagonal, confidence is worth its name.
pub(crate) fn draw(curve: &ReliabilityCurve) -> RgbImage {
    let mut canvas = Canvas::new(LEFT + SIDE + 2.0 * LETTER, TOP + SIDE + BOTTOM + 1.5 * LETTER);
    let unit = (0.0, 1.0);
    let frame = Frame { corner: (LEFT, TOP), size: (SIDE, SIDE), x: unit, y: unit };
    let error = curve.ece.map_or(String::new(), |ece| format!(" (ECE {ece:.3})"));
    frame.draw(&mut canvas, &format!("share right{error}"));
    frame.diagonal(&mut canvas);
    let points: Vec<(f64, f64)> =
        curve.bins.iter().filter_map(|bin| Some((bin.confidence?, bin.accuracy?))).collect();
    frame.curve(&mut canvas, &points, |_| false);
    let middle = (LEFT + SIDE / 2.0, TOP + SIDE + BOTTOM);
    canvas.text(middle, Align::Centre, BLACK, "confidence");
    canvas.finish()
}
