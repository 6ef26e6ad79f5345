//! Slabs: the runs of slices that are in memory at once.
//!
//! A slab's core is what is worked on; the halo is what the work needs to see on either side. The
//! cores of [`Slabs`] cover the volume once; halos are clipped to it, and [`reflect`] says which
//! slice stands in for one beyond the end.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::region::{Region, Shape};

/// A run of slices with its halo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slab {
    /// The slices worked on.
    pub z: Range<usize>,
    /// The slices needed for it, clipped to the volume.
    pub with_halo: Range<usize>,
}

impl Slab {
    /// The region to read: the core and its halo.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideVolume`] if the slab is of another, deeper volume.
    pub fn region(&self, shape: Shape) -> Result<Region> {
        Region::slab(shape, self.with_halo.clone())
    }

    /// The core, counted from the first slice of [`Slab::with_halo`].
    pub fn core_within_halo(&self) -> Range<usize> {
        self.z.start - self.with_halo.start..self.z.end - self.with_halo.start
    }
}

/// The slabs of a volume, in z order.
#[derive(Debug, Clone)]
pub struct Slabs {
    slices: usize,
    depth: usize,
    halo: usize,
    next: usize,
}

impl Slabs {
    /// Slabs of `depth` slices (the last may be thinner; 0 counts as 1) with `halo` slices on
    /// either side.
    pub fn new(shape: Shape, depth: usize, halo: usize) -> Self {
        Self { slices: shape.z, depth: depth.max(1), halo, next: 0 }
    }
}

impl Iterator for Slabs {
    type Item = Slab;

    fn next(&mut self) -> Option<Slab> {
        let start = self.next;
        if start >= self.slices {
            return None;
        }
        let end = start.saturating_add(self.depth).min(self.slices);
        self.next = end;
        Some(Slab {
            z: start..end,
            with_halo: start.saturating_sub(self.halo)..end.saturating_add(self.halo).min(self.slices),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.slices - self.next).div_ceil(self.depth);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Slabs {}

/// The greatest depth of a slab that keeps within `budget_bytes`, given what each slice in memory
/// takes (halo slices as well), what is needed besides, and the halo on either side.
///
/// # Errors
///
/// [`Error::Memory`] if not even one slice with its halo fits.
pub fn depth_for(budget_bytes: u64, bytes_per_slice: u64, fixed_bytes: u64, halo: usize) -> Result<usize> {
    let around = 2 * halo as u64;
    let slices = budget_bytes.saturating_sub(fixed_bytes) / bytes_per_slice.max(1);
    match slices.checked_sub(around) {
        Some(depth) if depth > 0 => Ok(usize::try_from(depth).unwrap_or(usize::MAX)),
        _ => Err(Error::Memory {
            budget: budget_bytes,
            needed: bytes_per_slice.max(1).saturating_mul(around + 1).saturating_add(fixed_bytes),
            halo,
        }),
    }
}

/// The largest depth up to `depth` that is a multiple of the `layer` slices that decode together; `depth` itself where it is
/// less than one layer.
///
/// ```
/// use tomosieve_volume::slab::whole_layers;
///
/// assert_eq!((whole_layers(28, 16), whole_layers(9, 16)), (16, 9));
/// ```
pub fn whole_layers(depth: usize, layer: usize) -> usize {
    if depth > layer { depth - depth % layer } else { depth }
}

/// The index within `0..len` that stands in for `index`, as in a mirror whose first and last
/// slice are not repeated: `… 2 1 0 1 2 … 2 1 0 …`. With `len` 0 or 1 it is 0.
///
/// ```
/// use tomosieve_volume::reflect;
/// assert_eq!(reflect(-2, 4), 2);
/// assert_eq!(reflect(4, 4), 2);
/// ```
pub fn reflect(index: isize, len: usize) -> usize {
    if len < 2 {
        return 0;
    }
    let period = 2 * (len - 1);
    let phase = index.rem_euclid(period as isize) as usize;
    phase.min(period - phase)
}
