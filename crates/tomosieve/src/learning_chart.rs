//! How much of its labels stage 2 found again while it learned, as a picture.

use image::RgbImage;

use crate::chart::{BOTTOM, Frame, LEFT, TOP, range};
use crate::drawing::{Canvas, LETTER};
use crate::stages::train::Learning;

/// Width and height of the frame, pixels.
const SIZE: (f64, f64) = (640.0, 260.0);

/// Draws the curve; where the full learning rate was over stands out.
pub(crate) fn draw(learning: &Learning) -> RgbImage {
    let mut canvas = Canvas::new(LEFT + SIZE.0 + 2.0 * LETTER, TOP + SIZE.1 + BOTTOM + LETTER);
    let points: Vec<(f64, f64)> =
        learning.recalls.iter().map(|&(steps, recall)| (steps as f64, 100.0 * recall)).collect();
    let frame = Frame {
        corner: (LEFT, TOP),
        size: SIZE,
        x: range(points.iter().map(|point| point.0)),
        y: range(points.iter().map(|point| point.1)),
    };
    frame.draw(&mut canvas, "labels found again (mean of the classes), %, by steps");
    frame.curve(&mut canvas, &points, |steps| steps == learning.full as f64);
    canvas.finish()
}
