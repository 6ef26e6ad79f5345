//! The coordinates of a phantom: voxels to the unit square and back.
//!
//! A pixel centre of the `n × n` simulation square lies at `x, y = (i − (n−1)/2) / (n/2)` in
//! [−1, 1], a slice at `z = (k − (depth−1)/2) / (n/2)`; one unit is `half = n/2` pixels on all three
//! axes.
//!
//! # Growing a phantom
//!
//! A larger phantom is a larger field of view at the same voxel size. Bodies and containers fill the
//! field, whatever its size; features measured in pixels (lamella half widths, the 4 px shell, crack
//! width, grains) keep their pixels. The specification fixes everything at `n` = 192, depth 32; the
//! methods below say how numbers and tilts follow from there.

/// Side in pixels of the square for which the specification gives its numbers.
pub(super) const REFERENCE_SIDE: f64 = 192.0;

/// The simulation square and the number of slices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame {
    /// Side of the square in pixels, `max(ny, nx)`.
    pub(super) n: usize,
    /// Number of slices.
    pub(super) depth: usize,
}

impl Frame {
    /// Pixels per unit.
    pub(super) fn half(&self) -> f64 {
        self.n as f64 / 2.0
    }

    /// The coordinate of pixel `i` on either axis of the square.
    pub(super) fn xy(&self, i: usize) -> f64 {
        (i as f64 - (self.n as f64 - 1.0) / 2.0) / self.half()
    }

    /// The coordinate of slice `k`.
    pub(super) fn z(&self, k: usize) -> f64 {
        (k as f64 - (self.depth as f64 - 1.0) / 2.0) / self.half()
    }

    /// Half the height of the volume in units.
    pub(super) fn z_extent(&self) -> f64 {
        self.depth as f64 / (2.0 * self.half())
    }

    /// How many times wider than the specification's 192 pixels the field is.
    pub(super) fn magnification(&self) -> f64 {
        self.n as f64 / REFERENCE_SIDE
    }

    /// Factor on every drift along z (tilts, the advance of the crack), 1 up to a cube and
    /// `n / depth` beyond, lest a tall volume's body wander out of the field.
    pub(super) fn tilt(&self) -> f64 {
        (self.n as f64 / self.depth as f64).min(1.0)
    }

    /// The coordinates of all pixels along one axis.
    pub(super) fn axis(&self) -> Vec<f64> {
        (0..self.n).map(|i| self.xy(i)).collect()
    }
}

/// Antialiased coverage of a pixel by a body whose surface lies `s` pixels away, negative inside.
pub(super) fn coverage(s: f32) -> f32 {
    (0.5 - s).clamp(0.0, 1.0)
}
