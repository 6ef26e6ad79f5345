//! Unsupervised segmentation of synchrotron CT volumes with self-correcting pseudo labels: the method of
//! [arXiv 2603.00372](https://arxiv.org/abs/2603.00372) as a library.
//!
//! Voxel values are clustered into pseudo labels ([`stages::cluster`]), a small 2.5D network learns them
//! ([`stages::train`]) and corrects itself as student and teacher ([`stages::correct`]), then segments
//! the whole volume out of core ([`stages::predict`]). Stages meet only in the run folder
//! ([`run_dir::RunDir`]); [`pipeline::Job`] runs them in order and skips what is done.
//!
//! Volumes are `[z, y, x]`, tensors `[n, c, h, w]`.

pub mod augment;
pub mod batches;
pub mod beside;
mod blur;
mod chart;
pub mod checkpoints;
pub mod classes;
pub mod confidence;
pub mod config;
pub mod denoised;
mod denoised_chart;
mod drawing;
mod error;
mod explain_picture;
mod flow_chart;
pub mod guard;
pub mod inference;
pub mod input;
pub mod journal;
pub mod jury;
pub mod lanes;
mod learning_chart;
pub mod ledger;
pub mod metrics;
pub mod model;
pub mod palette;
pub mod partial_volume;
pub mod parts;
pub mod patch;
pub mod phantom;
pub mod phantom_files;
pub mod pipeline;
pub mod plan;
pub mod pool;
pub mod predictor;
pub mod previews;
pub mod progress;
pub mod provenance;
mod reliability_chart;
pub mod report;
pub mod run_dir;
pub mod scale;
mod scan_chart;
pub mod settling;
pub mod shading;
mod shares;
pub mod spread;
pub mod stages;
pub mod starts;
pub mod structure;
pub mod student;
pub mod study;
pub mod summary;
mod summits;

pub use config::Config;
pub use error::{Error, Result};
