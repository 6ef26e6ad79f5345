//! Where pseudo labels went (Fig. 9b and 10b of the paper), as a picture.

use image::RgbImage;

use crate::drawing::{Align, BLACK, BLUE, Canvas, Colour, LETTER, PALE, WHITE};

/// Height and width of a cell, pixels.
const CELL: f64 = 56.0;
/// Room for the names of rows and columns, pixels.
const MARGIN: f64 = 5.0 * LETTER;

/// Draws the share of each pseudo label's voxels that came out as each class: rows and columns as in `flow`.
pub(crate) fn draw(flow: &[Vec<u64>]) -> RgbImage {
    let (rows, columns) = (flow.len() as f64, flow.first().map_or(0, Vec::len) as f64);
    let title = ["% of a pseudo label K", "that became class C"];
    let width = (MARGIN + CELL * columns + LETTER).max(22.0 * LETTER);
    let top = 4.0 * LETTER + MARGIN / 2.0;
    let mut canvas = Canvas::new(width, top + CELL * rows + LETTER);
    for (line, words) in title.into_iter().enumerate() {
        canvas.text((LETTER / 2.0, LETTER * (0.5 + 1.4 * line as f64)), Align::Left, BLACK, words);
    }
    for column in 0..columns as usize {
        let x = MARGIN + CELL * (column as f64 + 0.5);
        canvas.text((x, top - 1.5 * LETTER), Align::Centre, BLACK, &format!("C{column}"));
    }
    for (row, counts) in flow.iter().enumerate() {
        let y = top + CELL * row as f64;
        let middle = y + (CELL - LETTER) / 2.0;
        canvas.text((MARGIN - LETTER, middle), Align::Right, BLACK, &format!("K{row}"));
        let total = counts.iter().sum::<u64>().max(1) as f64;
        for (column, &count) in counts.iter().enumerate() {
            let share = count as f64 / total;
            let x = MARGIN + CELL * column as f64;
            canvas.rectangle((x, y), (CELL, CELL), PALE);
            canvas.rectangle((x + 1.0, y + 1.0), (CELL - 2.0, CELL - 2.0), shade(share));
            if count > 0 {
                let ink = if share > 0.6 { WHITE } else { BLACK };
                canvas.text((x + CELL / 2.0, middle), Align::Centre, ink, &percent(share));
            }
        }
    }
    canvas.finish()
}

/// White for none, blue for all.
fn shade(share: f64) -> Colour {
    std::array::from_fn(|i| (f64::from(WHITE[i]) + share * (f64::from(BLUE[i]) - f64::from(WHITE[i]))) as u8)
}

/// A share in at most three letters.
fn percent(share: f64) -> String {
    match 100.0 * share {
        p if p < 0.1 => "<.1".to_owned(),
        p if p < 9.95 => format!("{p:.1}"),
        p => format!("{p:.0}"),
    }
}
