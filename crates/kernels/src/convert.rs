//! Between `[n, c, h, w]` and the blocked layout.

use crate::parallel::{Shared, each};
use crate::shape::{BLOCK, Blocked};

/// `[n, c, h, w]` to the blocked layout, halo and missing channels zero.
///
/// # Panics
/// If the lengths are not those of the shape.
pub fn to_blocked(shape: Blocked, nchw: &[f32], blocked: &mut [f32]) {
    let Blocked { n, c, h, w } = shape;
    assert_eq!(nchw.len(), n * c * h * w, "values of [n, c, h, w]");
    shape.check(blocked);
    let out = Shared::new(blocked);
    each(n * shape.blocks(), |task| {
        let (image, block) = (task / shape.blocks(), task % shape.blocks());
        // SAFETY: each task has a plane of its own.
        let plane = unsafe { out.part(task * shape.plane(), shape.plane()) };
        shape.clear_plane_halo(plane);
        let channels = BLOCK.min(c - block * BLOCK);
        for y in 0..h {
            let start = (y + 1) * shape.row() + BLOCK;
            let row = &mut plane[start..start + w * BLOCK];
            if channels < BLOCK {
                row.fill(0.0);
            }
            for channel in 0..channels {
                let from = ((image * c + block * BLOCK + channel) * h + y) * w;
                for (pixel, &value) in row.chunks_exact_mut(BLOCK).zip(&nchw[from..from + w]) {
                    pixel[channel] = value;
                }
            }
        }
    });
}

/// The blocked layout to `[n, c, h, w]`.
///
/// # Panics
/// If the lengths are not those of the shape.
pub fn to_nchw(shape: Blocked, blocked: &[f32], nchw: &mut [f32]) {
    let Blocked { n, c, h, w } = shape;
    assert_eq!(nchw.len(), n * c * h * w, "values of [n, c, h, w]");
    shape.check(blocked);
    let out = Shared::new(nchw);
    each(n * shape.blocks(), |task| {
        let (image, block) = (task / shape.blocks(), task % shape.blocks());
        for y in 0..h {
            let start = shape.at(image, block, y, 0);
            let row = &blocked[start..start + w * BLOCK];
            for channel in 0..BLOCK.min(c - block * BLOCK) {
                let to = ((image * c + block * BLOCK + channel) * h + y) * w;
                // SAFETY: each task has channels of its own.
                let to = unsafe { out.part(to, w) };
                for (value, pixel) in to.iter_mut().zip(row.chunks_exact(BLOCK)) {
                    *value = pixel[channel];
                }
            }
        }
    });
}
