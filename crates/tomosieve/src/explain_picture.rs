//! Heat maps of one slice as a picture, laid out as Fig. 11 of the paper: the slice and what the networks make
//! of it, then one row of maps for each network.

use image::{Rgb, RgbImage, imageops};
use tomosieve_volume::Shape;

use crate::drawing::{self, Align, BLACK, Canvas, Colour, LETTER};
use crate::palette::colour;

/// Panels are at most about this many pixels a side.
const SIDE: usize = 400;
/// Space between panels, pixels.
const GAP: f64 = 10.0;
/// Height of a line of text and its space, pixels.
const LINE: f64 = 1.75 * LETTER;
/// Panels side by side, at most.
const COLUMNS: usize = 5;
/// How much of a heat map's colour covers the slice.
const COVER: f32 = 0.6;
/// Width of the colour bar, pixels.
const BAR: f64 = 160.0;

/// What one network makes of the slice.
pub(crate) struct Row<'a> {
    /// What it is called.
    pub(crate) name: &'a str,
    /// The class of each pixel, `[y, x]`.
    pub(crate) labels: &'a [u8],
    /// Classes and their maps `[y, x]`, in `[0, 1]`.
    pub(crate) heats: Vec<(usize, &'a [f32])>,
}

/// Draws a slice with grey values in `[0, 1]`.
pub(crate) fn draw(grey: &[f32], shape: Shape, z: usize, layer: &str, rows: &[Row<'_>]) -> RgbImage {
    let panel = |paint: &dyn Fn(usize) -> Colour| drawing::panel([shape.y, shape.x], SIDE, |i| Rgb(paint(i)));
    let mut top = vec![Some((format!("slice {z}"), panel(&|i| shade(grey[i]))))];
    top.extend(rows.iter().map(|row| Some((row.name.to_owned(), panel(&|i| colour(row.labels[i]))))));
    let mut lines = vec![top];
    let heats = rows.iter().map(|row| {
        let heat = |&(class, map): &(usize, &[f32])| {
            Some((format!("{}, class {class}", row.name), panel(&|i| mixed(map[i], grey[i]))))
        };
        row.heats.iter().map(heat).collect::<Vec<_>>()
    });
    if rows.iter().all(|row| row.heats.len() == 1) {
        // Each network's map below what it makes of the slice.
        lines.push(std::iter::once(None).chain(heats.flatten()).collect());
    } else {
        heats.for_each(|heats| lines.extend(heats.chunks(COLUMNS).map(<[_]>::to_vec)));
    }
    assemble(&lines, layer, rows)
}

/// A titled panel, or an empty place.
type Place = Option<(String, RgbImage)>;

/// Lines of panels below each other, and a legend; the very first place is not empty.
fn assemble(lines: &[Vec<Place>], layer: &str, rows: &[Row<'_>]) -> RgbImage {
    let [wide, high] =
        lines[0][0].as_ref().map_or([1.0; 2], |(_, first)| [first.width(), first.height()].map(f64::from));
    let columns = lines.iter().map(Vec::len).max().unwrap_or(1).max(3);
    let width = columns as f64 * (wide + GAP) + GAP;
    let height = lines.len() as f64 * (LINE + high + GAP) + 2.0 * LINE + GAP;
    let mut canvas = Canvas::new(width, height);
    let place = |line: usize, column: usize| {
        (GAP + column as f64 * (wide + GAP), GAP / 2.0 + line as f64 * (LINE + high + GAP))
    };
    let panels = || {
        lines.iter().enumerate().flat_map(|(line, places)| {
            let taken = places.iter().enumerate();
            taken.filter_map(move |(column, panel)| Some((place(line, column), panel.as_ref()?)))
        })
    };
    for (at, (title, _)) in panels() {
        canvas.text(at, Align::Left, BLACK, title);
    }
    let (left, low) = place(lines.len(), 0);
    legend(&mut canvas, (left, low + GAP / 2.0), width, layer, rows);
    let mut picture = canvas.finish();
    for ((x, y), (_, panel)) in panels() {
        imageops::replace(&mut picture, panel, x as i64, (y + LINE) as i64);
    }
    picture
}

/// What the colours of heat and of classes stand for.
fn legend(canvas: &mut Canvas, (left, y): (f64, f64), width: f64, layer: &str, rows: &[Row<'_>]) {
    for x in 0..BAR as u32 {
        let heat = mixed(f64::from(x) as f32 / BAR as f32, 0.5);
        canvas.rectangle((left + f64::from(x), y), (1.0, LETTER), heat);
    }
    let words = format!("Grad-CAM at {layer}: none to most");
    canvas.text((left + BAR + LETTER, y), Align::Left, BLACK, &words);
    let labels = rows.iter().flat_map(|row| row.labels);
    let classes = labels.max().map_or(0, |last| usize::from(*last) + 1);
    let entry = 10.0 * LETTER;
    let fit = ((width - left) / entry) as usize;
    for class in 0..classes.min(fit) {
        let x = left + class as f64 * entry;
        canvas.rectangle((x, y + LINE), (LETTER, LETTER), colour(class as u8));
        canvas.text((x + 1.5 * LETTER, y + LINE), Align::Left, BLACK, &format!("class {class}"));
    }
}

/// A grey value's colour.
fn shade(grey: f32) -> Colour {
    [(grey * 255.0) as u8; 3]
}

/// Heat over a grey value.
fn mixed(heat: f32, grey: f32) -> Colour {
    let hot = colorous::INFERNO.eval_continuous(f64::from(heat.clamp(0.0, 1.0))).as_array();
    let below = f32::from(shade(grey)[0]);
    hot.map(|channel| (COVER * f32::from(channel) + (1.0 - COVER) * below) as u8)
}
