//! Tiles cover a slice, and their weights sum to one.

use proptest::prelude::*;
use tomosieve_volume::{Error, Tiles};

#[test]
fn the_last_tile_is_shifted_inwards() {
    let tiles = Tiles::new([100, 30], 64, 16).unwrap();
    assert_eq!(tiles.size(), [64, 30]);
    let rows: Vec<_> = tiles.iter().map(|tile| tile.y).collect();
    assert_eq!(rows, [0..64, 36..100]);
    assert_eq!(tiles.iter().next().unwrap().x, 0..30);
}

#[test]
fn an_overlap_as_large_as_the_tile_is_refused() {
    let error = Tiles::new([10, 10], 8, 8).unwrap_err();
    assert!(matches!(error, Error::TileOverlap { tile: 8, overlap: 8 }));
    assert!(Tiles::new([10, 10], 0, 0).is_err());
    assert!(Tiles::new([0, 10], 8, 2).unwrap().is_empty());
}

proptest! {
    #[test]
    fn tiles_cover_everything_and_weights_sum_to_one(
        slice in [1usize..90, 1..90], tile in 1usize..40, overlap in 0.0f64..1.0,
    ) {
        let overlap = (overlap * tile as f64) as usize;
        let tiles = Tiles::new(slice, tile, overlap).unwrap();
        prop_assert_eq!(tiles.iter().count(), tiles.len());
        let mut sums = vec![0.0f64; slice[0] * slice[1]];
        for window in tiles.iter() {
            prop_assert_eq!([window.y.len(), window.x.len()], tiles.size());
            prop_assert!(window.y.end <= slice[0] && window.x.end <= slice[1]);
            for (y, weight_y) in window.y.zip(window.weights_y) {
                for (x, weight_x) in window.x.clone().zip(window.weights_x) {
                    let weight = weight_y * weight_x;
                    prop_assert!(weight > 0.0 && weight <= 1.00001);
                    sums[y * slice[1] + x] += f64::from(weight);
                }
            }
        }
        for (at, sum) in sums.iter().enumerate() {
            prop_assert!((sum - 1.0).abs() < 1e-5, "{sum} at {at}");
        }
    }

    #[test]
    fn neighbours_overlap_at_least_as_told(len in 1usize..500, tile in 2usize..60, overlap in 0usize..30) {
        prop_assume!(overlap < tile);
        let tiles = Tiles::new([1, len], tile, overlap).unwrap();
        let windows: Vec<_> = tiles.iter().map(|tile| tile.x).collect();
        for pair in windows.windows(2) {
            prop_assert!(pair[1].start > pair[0].start);
            prop_assert!(pair[0].end >= pair[1].start + overlap);
        }
        prop_assert_eq!(windows.last().unwrap().end, len);
    }
}
