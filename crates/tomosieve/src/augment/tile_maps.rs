//! Histograms of the tiles of a slice and the maps of grey values made from them: the first half of
//! CLAHE, see [`super::clahe`].

/// Grey values of 8 bits.
const LEVELS: usize = 256;

/// The new grey value of every grey value.
pub(super) type Map = [u8; LEVELS];

/// The maps of all tiles of a slice, row by row.
#[derive(Default)]
pub(super) struct TileMaps {
    tile: [usize; 2],
    maps: Vec<Map>,
    /// Which column of the slice stands at each column of the extended slice.
    columns: Vec<usize>,
}

impl TileMaps {
    /// Makes the maps of a slice of 8-bit grey values.
    ///
    /// # Shapes
    /// `grey`: `[h, w]`; `size`: `[h, w]`, both at least 1; `tiles`: `[y, x]`, both at least 1
    pub(super) fn build(&mut self, grey: &[u8], size: [usize; 2], tiles: [usize; 2], clip: f64) {
        let [height, width] = size;
        let [rows, columns] = tiles;
        let [tall, wide] = extended(size, tiles);
        self.tile = [tall / rows, wide / columns];
        let area = self.tile[0] * self.tile[1];
        let limit = ((clip * area as f64 / LEVELS as f64) as u32).max(1);

        self.columns.clear();
        self.columns.extend((width..wide).map(|x| reflect(x, width)));
        self.maps.resize(rows * columns, [0; LEVELS]);
        for (at, map) in self.maps.iter_mut().enumerate() {
            let (top, left) = (at / columns * self.tile[0], at % columns * self.tile[1]);
            let right = left + self.tile[1];
            // Two histograms, since neighbouring pixels are often alike and would wait for each other.
            let mut pair = [[0_u32; LEVELS]; 2];
            for y in top..top + self.tile[0] {
                let row = &grey[reflect(y, height) * width..][..width];
                let (twos, rest) = row[left.min(width)..right.min(width)].as_chunks::<2>();
                for &[even, odd] in twos {
                    pair[0][usize::from(even)] += 1;
                    pair[1][usize::from(odd)] += 1;
                }
                for &value in rest {
                    pair[0][usize::from(value)] += 1;
                }
                for &x in &self.columns[left.max(width) - width..right.max(width) - width] {
                    pair[1][usize::from(row[x])] += 1;
                }
            }
            let [mut counts, others] = pair;
            for (count, other) in counts.iter_mut().zip(others) {
                *count += other;
            }
            clip_counts(&mut counts, limit);
            *map = cumulate(&counts, area);
        }
    }

    /// Height and width of a tile, pixels.
    pub(super) fn tile(&self) -> [usize; 2] {
        self.tile
    }

    /// The map of tile `at`.
    pub(super) fn map(&self, at: usize) -> &Map {
        &self.maps[at]
    }
}

/// Size of the slice once it is extended to whole tiles. If one axis does not divide, `OpenCV` extends
/// both, a dividing one by a pixel per tile; so do we.
fn extended(size: [usize; 2], tiles: [usize; 2]) -> [usize; 2] {
    let [height, width] = size;
    let [rows, columns] = tiles;
    if height.is_multiple_of(rows) && width.is_multiple_of(columns) {
        size
    } else {
        [height + rows - height % rows, width + columns - width % columns]
    }
}

/// The pixel that stands at `at` when a line of `length` pixels is mirrored at its last and first
/// pixel again and again.
fn reflect(at: usize, length: usize) -> usize {
    if at < length {
        return at;
    }
    let period = 2 * (length - 1);
    if period == 0 {
        return 0;
    }
    let phase = at % period;
    phase.min(period - phase)
}

/// Cuts counts at `limit` and spreads what was cut: an equal part to every grey value, the remainder
/// one by one in even steps from the darkest.
fn clip_counts(counts: &mut [u32; LEVELS], limit: u32) {
    let mut excess = 0;
    for count in counts.iter_mut() {
        excess += count.saturating_sub(limit);
        *count = (*count).min(limit);
    }
    let share = excess / LEVELS as u32;
    for count in counts.iter_mut() {
        *count += share;
    }
    let remainder = excess as usize % LEVELS;
    let step = LEVELS / remainder.max(1);
    for count in counts.iter_mut().step_by(step).take(remainder) {
        *count += 1;
    }
}

/// The cumulative distribution, scaled to grey values.
fn cumulate(counts: &[u32; LEVELS], area: usize) -> Map {
    let scale = (LEVELS - 1) as f32 / area as f32;
    let mut sum = 0;
    counts.map(|count| {
        sum += count;
        (sum as f32 * scale).round_ties_even() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::{LEVELS, clip_counts, extended, reflect};

    #[test]
    fn reflection_repeats_no_edge() {
        let line: Vec<usize> = (0..9).map(|at| reflect(at, 3)).collect();
        assert_eq!(line, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflect(5, 1), 0);
    }

    #[test]
    fn whole_tiles() {
        assert_eq!(extended([48, 64], [2, 4]), [48, 64]);
        assert_eq!(extended([47, 61], [8, 8]), [48, 64]);
        assert_eq!(extended([48, 61], [2, 4]), [50, 64]);
    }

    #[test]
    fn clipping_keeps_the_total() {
        for (peak, limit) in [(256, 1), (1000, 3), (301, 100), (5, 9)] {
            let mut counts = [1_u32; LEVELS];
            counts[7] = peak;
            let total: u32 = counts.iter().sum();
            clip_counts(&mut counts, limit);
            assert_eq!(counts.iter().sum::<u32>(), total);
        }
    }
}
