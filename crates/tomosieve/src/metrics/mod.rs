//! How good is a segmentation? (paper Sec. IV-C.)
//!
//! Predicted clusters carry no names, so everything starts from one mergeable [`ConfusionMatrix`] over all labelled
//! slices: [`matching`] gives each cluster a truth class, [`Scores`] are functions of matrix and mapping alone, never
//! means over batches or slices. [`Reliability`] tells whether confidence, on which the teacher's threshold acts
//! (Eq. 8), can be trusted.

pub mod calibration;
pub mod confusion;
pub mod error;
pub mod matching;
pub mod scores;
#[cfg(test)]
mod tests;

pub use calibration::{Reliability, ReliabilityBin, ReliabilityCurve};
pub use confusion::ConfusionMatrix;
pub use error::MetricsError;
pub use matching::match_clusters;
pub use scores::Scores;
