//! How many classes, and what the methods make of them, on a synthetic volume read slab by slab.
//!
//! `cargo run --release -p tomosieve-cluster --example choose_classes`
#![allow(clippy::print_stdout)] // an example talks

use tomosieve_cluster::{Histogram, RangeScan, Result, by_name, names, scan};

/// One slab of three noisy materials with a hot pixel, in arbitrary units.
fn slab(z: u32) -> Vec<f32> {
    let mut state = z.wrapping_add(1);
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    };
    let mut voxels: Vec<f32> = (0..256 * 256)
        .map(|i| {
            let centre = [0.0010, 0.0035, 0.0070][(i / 97) % 3];
            centre + 0.0012 * (uniform() + uniform() + uniform() - 1.5)
        })
        .collect();
    voxels[7] = 5.0e4;
    voxels
}

fn main() -> Result<()> {
    let mut range = RangeScan::new();
    (0..8).for_each(|z| range.add(&slab(z)));
    let mut values = Histogram::for_floats(&range, 65_536)?;
    (0..8).for_each(|z| values.add(&slab(z)));
    println!(
        "{} voxels, {} clamped, from {:.4} to {:.4}",
        values.total(),
        values.clamped(),
        values.min(),
        values.max()
    );

    let curves = scan(&values, &values, 2..=6)?;
    for c in &curves.candidates {
        println!(
            "K = {}: inertia {:.4e}, silhouette {:.3}, BIC {:.4e}",
            c.classes, c.inertia, c.silhouette, c.bic
        );
    }
    println!("{}", curves.reason);
    for name in names() {
        let clusters = by_name(name)?.fit(&values, curves.suggested)?;
        println!("{name}: means {:.5?}, thresholds {:.5?}", clusters.means, clusters.thresholds);
    }
    Ok(())
}
