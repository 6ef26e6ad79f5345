//! How much of the labels of each class stage 2 found again while it learned, as a picture.

use image::RgbImage;

use crate::chart::{BOTTOM, Frame, LEFT, TOP, range};
use crate::drawing::{Canvas, GREY, LETTER};
use crate::palette::colour;
use crate::settling::Check;
use crate::stages::train::Learning;

/// Width and height of the frame, pixels.
const SIZE: (f64, f64) = (640.0, 260.0);

/// Draws a curve for each class, in its colour, and a line where the full learning rate was over.
pub(crate) fn draw(learning: &Learning) -> RgbImage {
    let mut canvas = Canvas::new(LEFT + SIZE.0 + 2.0 * LETTER, TOP + SIZE.1 + BOTTOM + LETTER);
    let classes = learning.checks.iter().map(|check| check.found.of.len()).max().unwrap_or(0);
    let curves: Vec<Vec<(f64, f64)>> = (0..classes)
        .map(|class| {
            let recall = |check: &Check| check.found.recalls().nth(class).flatten();
            let points =
                learning.checks.iter().map(|check| Some((check.steps as f64, 100.0 * recall(check)?)));
            points.flatten().collect()
        })
        .collect();
    let points = || curves.iter().flatten();
    let frame = Frame {
        corner: (LEFT, TOP),
        size: SIZE,
        x: range(points().map(|point| point.0)),
        y: range(points().map(|point| point.1)),
    };
    frame.draw(&mut canvas, "labels of each class found again, %, by steps");
    if learning.full > 0 {
        let full = learning.full as f64;
        frame.line(&mut canvas, &[(full, frame.y.0), (full, frame.y.1)], GREY);
    }
    for (class, points) in (0..).zip(&curves) {
        frame.line(&mut canvas, points, colour(class));
    }
    canvas.finish()
}
