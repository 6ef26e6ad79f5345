//! The contract of stage 1: a histogram in, `K` classes sorted by mean intensity out (paper Sec. III-B, Eq. 1-2).
//!
//! Classes are sorted by mean, so labels agree between slices, seeds and ranks.

use crate::clusters::Clusters;
use crate::error::{Error, Result};
use crate::histogram::Histogram;

/// Most classes a label volume can hold: labels are `u8` and 255 means "ignore".
pub const MAX_CLASSES: usize = 255;

/// A method that groups voxel values without any label or model.
pub trait Clustering: std::fmt::Debug + Send + Sync {
    /// Its name in the roster.
    fn name(&self) -> &'static str;

    /// Fits `classes` classes to the values of a whole volume.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::InvalidClasses`] or [`Error::TooFewValues`] if the histogram cannot be split so.
    fn fit(&self, values: &Histogram, classes: usize) -> Result<Clusters>;

    /// Whether values may be clipped to percentiles beforehand, which keeps outliers from getting a class of their
    /// own but heaps voxels up at the two clip values.
    fn tolerates_clipping(&self) -> bool {
        true
    }
}

/// Checks what every method needs: at least one value, an allowed number of classes, and enough distinct values.
pub(crate) fn check(values: &Histogram, classes: usize, most: usize) -> Result<()> {
    let distinct = values.distinct();
    if distinct == 0 {
        return Err(Error::Empty { non_finite: values.non_finite() });
    }
    if !(2..=most).contains(&classes) {
        return Err(Error::InvalidClasses { got: classes, most });
    }
    if distinct < classes {
        let remedy = if values.is_exact() { "; ask for fewer" } else { "; ask for fewer or use more bins" };
        return Err(Error::TooFewValues { distinct, classes, remedy });
    }
    Ok(())
}
