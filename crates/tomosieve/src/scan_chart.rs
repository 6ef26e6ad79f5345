//! Curves over the number of classes, as a picture: inertia, silhouette and BIC side by side.

use image::RgbImage;
use tomosieve_cluster::Scan;
use tomosieve_cluster::scan::Candidate;

use crate::chart::{BOTTOM, Frame, LEFT, TOP, range};
use crate::drawing::Canvas;

/// Width and height of a frame, pixels.
const SIZE: (f64, f64) = (340.0, 260.0);
/// Room between charts, pixels.
const GAP: f64 = 24.0;

/// A chart: its title, its value of a candidate, and the K that it suggests.
type Chart = (String, fn(&Candidate) -> f64, usize);

/// Draws the curves; what each of them suggests stands out.
pub(crate) fn draw(scan: &Scan) -> RgbImage {
    let charts: [Chart; 3] = [
        (format!("inertia, knee K={}", scan.knee), |c| c.inertia, scan.knee),
        (format!("silhouette, best K={}", scan.silhouette_best), |c| c.silhouette, scan.silhouette_best),
        (format!("BIC, least K={}", scan.bic_best), |c| c.bic, scan.bic_best),
    ];
    let step = LEFT + SIZE.0 + GAP;
    let mut canvas = Canvas::new(charts.len() as f64 * step, TOP + SIZE.1 + BOTTOM + GAP / 2.0);
    for (i, (title, value, best)) in charts.iter().enumerate() {
        let points: Vec<(f64, f64)> = scan.candidates.iter().map(|c| (c.classes as f64, value(c))).collect();
        let frame = Frame {
            corner: (i as f64 * step + LEFT, TOP),
            size: SIZE,
            x: range(points.iter().map(|point| point.0)),
            y: range(points.iter().map(|point| point.1)),
        };
        frame.draw(&mut canvas, title);
        frame.curve(&mut canvas, &points, |classes| classes == *best as f64);
    }
    canvas.finish()
}
