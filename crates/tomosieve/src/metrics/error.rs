//! What can go wrong when labels are compared.

/// An error of the metrics: what was got, what was expected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Two streams that must be equally long are not.
    #[error("{what} differ in length: got {got}, expected {expected}")]
    Length {
        /// Which streams.
        what: &'static str,
        /// Length of the second.
        got: usize,
        /// Length of the first.
        expected: usize,
    },
    /// A label that names no row or column of the matrix.
    #[error(
        "{what} label out of range: got {got}, expected below {classes}; count the classes over all slices first"
    )]
    Label {
        /// `truth` or `predicted`.
        what: &'static str,
        /// The label.
        got: u8,
        /// Number of classes on that side.
        classes: usize,
    },
    /// A matrix without rows or columns, or beyond what `u8` labels can name.
    #[error("invalid number of {what} classes: got {got}, expected 1 to 256")]
    Classes {
        /// `truth` or `predicted`.
        what: &'static str,
        /// Number asked for.
        got: usize,
    },
    /// Two matrices, or a matrix and reduced sums, of different shape.
    #[error("cannot merge {what}: got {got}, expected {expected}")]
    Shape {
        /// What was to be merged.
        what: &'static str,
        /// Shape of the part.
        got: String,
        /// Shape of the whole.
        expected: String,
    },
    /// A mapping that does not fit the matrix.
    #[error("mapping does not fit the matrix: got {got}, expected {expected}")]
    Mapping {
        /// What the mapping holds.
        got: String,
        /// What it must hold.
        expected: String,
    },
    /// A confidence that is no probability.
    #[error("invalid confidence: got {got}, expected a probability in [0, 1]")]
    Confidence {
        /// The value.
        got: f32,
    },
    /// A curve without bins or with too many.
    #[error("invalid number of reliability bins: got {got}, expected 1 to 65536")]
    Bins {
        /// Number asked for.
        got: usize,
    },
}
