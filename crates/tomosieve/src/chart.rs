//! Charts: a frame with ticks, and curves in it.

use crate::drawing::{Align, BLACK, BLUE, Canvas, Colour, GREY, LETTER, ORANGE, PALE};

/// Space left of a frame for the numbers of its vertical axis, pixels.
pub(crate) const LEFT: f64 = 9.0 * LETTER;
/// Space above a frame for its title, pixels.
pub(crate) const TOP: f64 = 2.0 * LETTER;
/// Space below a frame for the numbers of its horizontal axis, pixels.
pub(crate) const BOTTOM: f64 = 2.0 * LETTER;

/// A frame on a canvas and the ranges its sides stand for.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Upper left corner, pixels.
    pub(crate) corner: (f64, f64),
    /// Width and height, pixels.
    pub(crate) size: (f64, f64),
    /// What the left and the right side stand for.
    pub(crate) x: (f64, f64),
    /// What the lower and the upper side stand for.
    pub(crate) y: (f64, f64),
}

impl Frame {
    /// Where a point of the chart lies on the canvas.
    pub(crate) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let part = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low);
        (self.corner.0 + self.size.0 * part(x, self.x), self.corner.1 + self.size.1 * (1.0 - part(y, self.y)))
    }

    /// Draws the title and both axes.
    pub(crate) fn draw(&self, canvas: &mut Canvas, title: &str) {
        let (left, top) = self.corner;
        canvas.text((left, top - 1.75 * LETTER), Align::Left, BLACK, title);
        for (value, label) in ticks(self.y, self.size.1 / 60.0) {
            let (_, y) = self.at(self.x.0, value);
            canvas.line((left, y), (left + self.size.0, y), 1.0, PALE);
            canvas.text((left - LETTER / 2.0, y - LETTER / 2.0), Align::Right, BLACK, &label);
        }
        self.draw_x(canvas);
        canvas.line((left, top), (left, top + self.size.1), 1.0, BLACK);
    }

    /// Draws the horizontal axis alone.
    pub(crate) fn draw_x(&self, canvas: &mut Canvas) {
        let (left, low) = (self.corner.0, self.corner.1 + self.size.1);
        for (value, label) in ticks(self.x, self.size.0 / 70.0) {
            let (x, _) = self.at(value, self.y.0);
            canvas.line((x, self.corner.1), (x, low), 1.0, PALE);
            canvas.text((x, low + LETTER / 2.0), Align::Centre, BLACK, &label);
        }
        canvas.line((left, low), (left + self.size.0, low), 1.0, BLACK);
    }

    /// Draws a curve; the points for which `special` holds stand out.
    pub(crate) fn curve(&self, canvas: &mut Canvas, points: &[(f64, f64)], special: impl Fn(f64) -> bool) {
        self.line(canvas, points, BLUE);
        for &(x, y) in points {
            let (radius, colour) = if special(x) { (6.0, ORANGE) } else { (4.0, BLUE) };
            canvas.disc(self.at(x, y), radius, colour);
        }
    }

    /// Draws the line through some points.
    pub(crate) fn line(&self, canvas: &mut Canvas, points: &[(f64, f64)], colour: Colour) {
        for pair in points.windows(2) {
            canvas.line(self.at(pair[0].0, pair[0].1), self.at(pair[1].0, pair[1].1), 2.0, colour);
        }
    }

    /// Draws the line on which both axes are equal.
    pub(crate) fn diagonal(&self, canvas: &mut Canvas) {
        let (low, high) = (self.x.0.max(self.y.0), self.x.1.min(self.y.1));
        canvas.line(self.at(low, low), self.at(high, high), 1.0, GREY);
    }
}

/// The range of some values with a little room on both sides; `(0, 1)` without any finite value.
pub(crate) fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = if high > low { 0.06 * (high - low) } else { low.abs().max(1.0) * 0.1 };
    (low - room, high + room)
}

/// About `wanted` round numbers within a range, and how they are written.
fn ticks((low, high): (f64, f64), wanted: f64) -> Vec<(f64, String)> {
    let rough = (high - low) / wanted.max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let largest = low.abs().max(high.abs());
    let power_of = |v: f64| v.log10().floor();
    let plain = (1e-3..1e5).contains(&largest);
    let decimals =
        (if plain { -power_of(step) } else { power_of(largest) - power_of(step) }).max(0.0) as usize;
    let write = |v: f64| if plain { format!("{v:.decimals$}") } else { format!("{v:.decimals$e}") };
    let (first, last) = ((low / step).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|i| i as f64 * step).map(|v| (v, write(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::{range, ticks};

    #[test]
    fn round_numbers() {
        let words = |low, high, wanted| -> Vec<String> {
            ticks((low, high), wanted).into_iter().map(|(_, word)| word).collect()
        };
        assert_eq!(words(1.9, 8.2, 6.0), ["2", "4", "6", "8"]);
        assert_eq!(words(0.0, 1.0, 5.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(words(-3.0e6, 3.0e6, 3.0), ["-2e6", "0e0", "2e6"]);
    }

    #[test]
    fn ranges_have_room() {
        assert_eq!(range([]), (0.0, 1.0));
        assert_eq!(range([f64::NAN, 5.0]), (4.5, 5.5));
        assert_eq!(range([0.0, 100.0]), (-6.0, 106.0));
    }
}
