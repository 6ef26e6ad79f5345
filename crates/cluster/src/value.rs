//! The types of values that are counted and labelled.
//!
//! Integers of 8 or 16 bits are so few that a table has a cell for each: they are counted without computing a bin for
//! every voxel, and labelled without a float. What comes out is what comes of them as `f32`.

use crate::clusters::Clusters;
use crate::counting::{Bins, Partial};
use crate::labelling;

/// A type of voxel values: `f32`, or `u8` or `u16`, which are worked on as they are.
pub trait Value: sealed::Value {}

impl Value for u8 {}
impl Value for u16 {}
impl Value for f32 {}

pub(crate) mod sealed {
    use super::{Bins, Clusters, Partial};

    /// What counting and labelling ask of a type.
    pub trait Value: Sized + Sync {
        /// Counts one thread's share, fewer than 2³² values.
        fn count(bins: &Bins, values: &[Self]) -> Partial;

        /// Labels as many values as there are labels, shared among the threads of the current rayon pool.
        fn label(clusters: &Clusters, values: &[Self], labels: &mut [u8]);
    }
}

impl sealed::Value for u8 {
    fn count(bins: &Bins, values: &[Self]) -> Partial {
        bins.count_bytes(values)
    }

    fn label(clusters: &Clusters, values: &[Self], labels: &mut [u8]) {
        labelling::cells::<Self, 0x100>(clusters, values, labels);
    }
}

impl sealed::Value for u16 {
    fn count(bins: &Bins, values: &[Self]) -> Partial {
        bins.count_words(values)
    }

    fn label(clusters: &Clusters, values: &[Self], labels: &mut [u8]) {
        labelling::cells::<Self, 0x1_0000>(clusters, values, labels);
    }
}

impl sealed::Value for f32 {
    fn count(bins: &Bins, values: &[Self]) -> Partial {
        bins.count(values)
    }

    fn label(clusters: &Clusters, values: &[Self], labels: &mut [u8]) {
        labelling::floats(clusters, values, labels);
    }
}
