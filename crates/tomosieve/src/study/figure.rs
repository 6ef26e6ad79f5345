//! A study's figure: one line a case, with what stages 2 and 3 reached and what the paper reports.

use image::RgbImage;

use super::table::{Results, Row};
use crate::chart::{Frame, TOP, range};
use crate::drawing::{Align, BLACK, BLUE, Canvas, Colour, GREY, LETTER, ORANGE, PALE, text_width};

/// Height of a case's line, pixels.
const LINE: f64 = 36.0;
/// Width of a chart, pixels.
const WIDTH: f64 = 380.0;
/// Room around and between charts, pixels.
const GAP: f64 = 28.0;

/// A chart: its title, and a row's values after clustering, stage 2 and stage 3, and the paper's after 2 and 3.
type Chart = (&'static str, fn(&Row) -> [Option<f64>; 5]);

/// Charts of a study with a truth.
const SCORES: [Chart; 2] = [
    ("accuracy, %", |row| scores(row).map(|s| Some(s?[0]))),
    ("mIoU, %", |row| scores(row).map(|s| Some(s?[1]))),
];

/// Charts of a study without one.
const SHARES: [Chart; 2] = [
    ("mean confidence, %", |row| [None, None, Some(100.0 * row.confidence), None, None]),
    ("voxels that changed class, %", |row| [None, None, Some(100.0 * row.changed), None, None]),
];

/// Accuracy and mIoU in the order of a [`Chart`].
fn scores(row: &Row) -> [Option<[f64; 2]>; 5] {
    let paper = row.paper.unwrap_or_default();
    let ours = ["pseudo_labels", "train", "correct"].map(|stage| row.score(stage));
    [ours[0], ours[1], ours[2], paper.train, paper.correct]
}

/// Draws the figure.
pub(super) fn draw(results: &Results) -> RgbImage {
    let rows = &results.rows;
    let has_truth = rows.iter().any(|row| row.score("correct").is_some());
    let has_paper = has_truth && rows.iter().any(|row| row.paper.is_some());
    let charts = if has_truth { SCORES } else { SHARES };
    let names = rows.iter().map(|row| text_width(&row.name)).fold(0.0, f64::max) + GAP;
    let height = LINE * rows.len() as f64;
    let entries = legend(has_truth, has_paper);
    let width = names + 2.0 * (WIDTH + GAP);
    let mut canvas = Canvas::new(width, TOP + height + GAP + LINE * entries.len().div_ceil(3) as f64);
    for (i, row) in rows.iter().enumerate() {
        let y = TOP + LINE * (i as f64 + 0.5);
        canvas.text((names - GAP / 2.0, y - LETTER / 2.0), Align::Right, BLACK, &row.name);
    }
    for (i, (title, values)) in charts.iter().enumerate() {
        let corner = (names + i as f64 * (WIDTH + GAP), TOP);
        let all = rows.iter().flat_map(values).flatten();
        let frame = Frame { corner, size: (WIDTH, height), x: range(all), y: (height, 0.0) };
        canvas.text((corner.0, LETTER / 2.0), Align::Left, BLACK, title);
        frame.draw_x(&mut canvas);
        for (i, row) in rows.iter().enumerate() {
            let middle = LINE * (i as f64 + 0.5);
            canvas.line(frame.at(frame.x.0, middle), frame.at(frame.x.1, middle), 1.0, PALE);
            marks(&mut canvas, &frame, middle, values(row), if has_paper { 7.0 } else { 0.0 });
        }
    }
    for (i, (mark, words)) in entries.into_iter().enumerate() {
        let place =
            (GAP + (i % 3) as f64 * (width - GAP) / 3.0, TOP + height + GAP + LINE * ((i / 3) as f64 + 0.5));
        mark(&mut canvas, place);
        canvas.text((place.0 + LETTER, place.1 - LETTER / 2.0), Align::Left, BLACK, words);
    }
    canvas.finish()
}

/// One mark of the legend and of the charts.
type Mark = fn(&mut Canvas, (f64, f64));

const PSEUDO: Mark = |canvas, (x, y)| canvas.line((x, y - 9.0), (x, y + 9.0), 3.0, GREY);
const STAGE_2: Mark = |canvas, at| canvas.ring(at, 6.0, BLUE);
const STAGE_3: Mark = |canvas, at| canvas.disc(at, 6.0, BLUE);
const PAPER_2: Mark = |canvas, at| canvas.ring(at, 6.0, ORANGE);
const PAPER_3: Mark = |canvas, at| canvas.disc(at, 6.0, ORANGE);

/// What the marks mean.
fn legend(has_truth: bool, has_paper: bool) -> Vec<(Mark, &'static str)> {
    let mut entries: Vec<(Mark, &str)> = Vec::new();
    if has_truth {
        entries.extend([(PSEUDO, "pseudo labels"), (STAGE_2, "stage 2")]);
    }
    entries.push((STAGE_3, "stage 3"));
    if has_paper {
        entries.extend([(PAPER_2, "paper's sample, stage 2"), (PAPER_3, "paper's sample, stage 3")]);
    }
    entries
}

/// The marks of a row: ours so many pixels above its middle, the paper's below.
fn marks(canvas: &mut Canvas, frame: &Frame, middle: f64, values: [Option<f64>; 5], apart: f64) {
    let place = |value: f64, shift: f64| {
        let (x, y) = frame.at(value, middle);
        (x, y + shift)
    };
    let finite = |value: Option<f64>| value.filter(|v| v.is_finite());
    let mut couple = |two: usize, shift: f64, marks: [Mark; 2], colour: Colour| {
        let ends = [finite(values[two]), finite(values[two + 1])];
        if let [Some(from), Some(to)] = ends {
            canvas.line(place(from, shift), place(to, shift), 2.0, colour);
        }
        for (mark, value) in marks.into_iter().zip(ends) {
            if let Some(value) = value {
                mark(canvas, place(value, shift));
            }
        }
    };
    couple(1, -apart, [STAGE_2, STAGE_3], BLUE);
    couple(3, apart, [PAPER_2, PAPER_3], ORANGE);
    if let Some(value) = finite(values[0]) {
        PSEUDO(canvas, place(value, -apart));
    }
}
