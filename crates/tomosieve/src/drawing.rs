//! What pictures are drawn with: text, lines, discs and boxes, smoothed by drawing them larger first.

use std::path::Path;

use font8x8::UnicodeFonts;
use image::{Rgb, RgbImage};

use crate::run_dir::RunDir;
use crate::{Error, Result};

/// A colour.
pub(crate) type Colour = [u8; 3];

pub(crate) const BLACK: Colour = [0; 3];
pub(crate) const GREY: Colour = [150; 3];
pub(crate) const PALE: Colour = [225; 3];
pub(crate) const WHITE: Colour = [255; 3];
/// First colour of two (Okabe & Ito 2008).
pub(crate) const BLUE: Colour = [0, 114, 178];
/// Second colour of two.
pub(crate) const ORANGE: Colour = [213, 94, 0];

/// How much larger a canvas is while it is drawn on.
const FINE: u32 = 2;
/// Pixels of a dot of the 8×8 font on the larger canvas.
const DOT: u32 = 3;
/// Width and height of a letter on a finished canvas, pixels.
pub(crate) const LETTER: f64 = (8 * DOT) as f64 / FINE as f64;

/// Where text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// It begins there.
    Left,
    /// Its middle is there.
    Centre,
    /// It ends there.
    Right,
}

/// A white sheet; all coordinates are pixels of the finished picture, `(x, y)` from the upper left.
pub(crate) struct Canvas(RgbImage);

impl Canvas {
    /// An empty sheet.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        let pixels = |length: f64| (length.ceil() as u32).max(1) * FINE;
        Self(RgbImage::from_pixel(pixels(width), pixels(height), Rgb(WHITE)))
    }

    /// The finished picture.
    pub(crate) fn finish(self) -> RgbImage {
        let (width, height) = self.0.dimensions();
        image::imageops::thumbnail(&self.0, width / FINE, height / FINE)
    }

    /// A filled box.
    pub(crate) fn rectangle(&mut self, corner: (f64, f64), size: (f64, f64), colour: Colour) {
        let (x, y) = corner;
        self.fill((x, y), (x + size.0, y + size.1), colour, |_, _| true);
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: Colour) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let squared = (dx * dx + dy * dy).max(1e-9);
        let reach = width / 2.0;
        let low = (from.0.min(to.0) - reach, from.1.min(to.1) - reach);
        let high = (from.0.max(to.0) + reach, from.1.max(to.1) + reach);
        self.fill(low, high, colour, |x, y| {
            let along = (((x - from.0) * dx + (y - from.1) * dy) / squared).clamp(0.0, 1.0);
            (x - from.0 - along * dx).hypot(y - from.1 - along * dy) <= reach
        });
    }

    /// A filled disc.
    pub(crate) fn disc(&mut self, centre: (f64, f64), radius: f64, colour: Colour) {
        let low = (centre.0 - radius, centre.1 - radius);
        let high = (centre.0 + radius, centre.1 + radius);
        self.fill(low, high, colour, |x, y| (x - centre.0).hypot(y - centre.1) <= radius);
    }

    /// A white disc with a coloured rim.
    pub(crate) fn ring(&mut self, centre: (f64, f64), radius: f64, colour: Colour) {
        self.disc(centre, radius, colour);
        self.disc(centre, radius - 2.0, WHITE);
    }

    /// A line of text whose upper edge is at `at.1`.
    pub(crate) fn text(&mut self, at: (f64, f64), align: Align, colour: Colour, text: &str) {
        let width = text_width(text);
        let x = match align {
            Align::Left => at.0,
            Align::Centre => at.0 - width / 2.0,
            Align::Right => at.0 - width,
        };
        let fine = |v: f64| (v * f64::from(FINE)).round() as i64;
        write_text(&mut self.0, fine(x), fine(at.1), DOT, colour, text);
    }

    /// Colours the pixels between two corners whose middles satisfy `inside`.
    fn fill(&mut self, low: (f64, f64), high: (f64, f64), colour: Colour, inside: impl Fn(f64, f64) -> bool) {
        let fine = f64::from(FINE);
        let span = |low: f64, high: f64, size: u32| {
            let edge = |v: f64| (v * fine).round().clamp(0.0, f64::from(size)) as u32;
            edge(low)..edge(high)
        };
        for y in span(low.1, high.1, self.0.height()) {
            for x in span(low.0, high.0, self.0.width()) {
                if inside((f64::from(x) + 0.5) / fine, (f64::from(y) + 0.5) / fine) {
                    self.0.put_pixel(x, y, Rgb(colour));
                }
            }
        }
    }
}

/// Width of a line of text on a finished canvas, pixels.
pub(crate) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * LETTER
}

/// Draws text in a fixed 8×8 font whose dots are `dot` pixels a side; letters outside are cut off.
pub(crate) fn write_text(picture: &mut RgbImage, x: i64, y: i64, dot: u32, colour: Colour, text: &str) {
    for (i, letter) in text.chars().enumerate() {
        let glyph = font8x8::BASIC_FONTS
            .get(letter)
            .or_else(|| font8x8::LATIN_FONTS.get(letter))
            .or_else(|| font8x8::GREEK_FONTS.get(letter))
            .unwrap_or_default();
        for (row, bits) in glyph.into_iter().enumerate() {
            for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                let x = x + i64::from(dot) * (8 * i as i64 + column);
                let y = y + i64::from(dot) * row as i64;
                square(picture, x, y, dot, colour);
            }
        }
    }
}

/// Draws a filled square of `side` pixels; what is outside is cut off.
pub(crate) fn square(picture: &mut RgbImage, x: i64, y: i64, side: u32, colour: Colour) {
    for (dx, dy) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dx, dy))) {
        let (Ok(x), Ok(y)) = (u32::try_from(x + i64::from(dx)), u32::try_from(y + i64::from(dy))) else {
            continue;
        };
        if let Some(slot) = picture.get_pixel_mut_checked(x, y) {
            *slot = Rgb(colour);
        }
    }
}

/// A slice `[height, width]` as a picture of at most about `side` pixels a side: enlarged by a whole factor, or
/// thinned out by one. `paint` colours the pixel with a given place in the slice.
pub(crate) fn panel([height, width]: [usize; 2], side: usize, paint: impl Fn(usize) -> Rgb<u8>) -> RgbImage {
    let longest = height.max(width);
    let (up, down) = ((side / longest).max(1), longest.div_ceil(side).max(1));
    let size = [width, height].map(|pixels| (pixels.div_ceil(down) * up) as u32);
    RgbImage::from_fn(size[0], size[1], |x, y| {
        let (x, y) = (x as usize / up * down, y as usize / up * down);
        paint(y * width + x)
    })
}

/// Writes a picture as PNG.
///
/// # Errors
/// [`Error::RunFile`] when it cannot be written.
pub(crate) fn save(run: &RunDir, picture: &RgbImage, path: &Path) -> Result<()> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).map_err(|e| Error::file(path, e))?;
    run.write(path, bytes.get_ref())
}
