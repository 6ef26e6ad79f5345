//! Stage 1: cluster the voxel values of a whole volume, without a model (paper Sec. III-B, IV-H; Eq. 1-2).
//!
//! Fold every slab into one [`Histogram`], fit a [`Clustering`] to it, label values by the resulting [`Clusters`].
//! Nothing here reads a file or knows a tensor; a volume of any size passes through the mergeable histogram.
//!
//! ```
//! use tomosieve_cluster::{Histogram, by_name};
//!
//! // Two slabs of a 16-bit volume, counted apart (by threads, by ranks) and merged.
//! let mut values = Histogram::integer(0, 65_535)?;
//! let mut more = values.clone();
//! values.add(&[10.0, 11.0, 12.0, 500.0]);
//! more.add(&[501.0, 502.0, 900.0, 901.0]);
//! values.merge(&more)?;
//!
//! let clusters = by_name("kmeans")?.fit(&values, 3)?;
//! assert_eq!(clusters.means, [11.0, 501.0, 900.5]);
//!
//! let mut labels = [0; 4];
//! clusters.assign_slice(&[9.0, 480.0, 1000.0, f32::NAN], &mut labels)?;
//! assert_eq!(labels, [0, 1, 2, 0]);
//! # Ok::<(), tomosieve_cluster::Error>(())
//! ```

pub mod clustering;
pub mod clusters;
mod counting;
pub mod error;
pub mod histogram;
mod labelling;
pub mod methods;
mod partition;
pub mod range_scan;
pub mod scan;
pub mod value;

pub use clustering::{Clustering, MAX_CLASSES};
pub use clusters::{Clusters, Tie};
pub use error::{Error, Result};
pub use histogram::Histogram;
pub use methods::gmm::Gmm;
pub use methods::kmeans::KMeans;
pub use methods::multi_otsu::MultiOtsu;
pub use methods::{by_name, names};
pub use range_scan::RangeScan;
pub use scan::{Candidate, Scan, scan};
pub use value::Value;
