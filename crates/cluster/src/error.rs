//! What can go wrong between a histogram and its clusters.

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of this crate: what was got, what was expected, what to do.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A range whose ends are not finite or not ascending.
    #[error("invalid histogram range: got {lo} to {hi}, expected finite ends with the lower one first")]
    InvalidRange {
        /// Lower end as given.
        lo: f64,
        /// Upper end as given.
        hi: f64,
    },
    /// A number of bins outside what the crate allocates.
    #[error("invalid number of bins: got {got}, expected {least} to {most}")]
    InvalidBins {
        /// Bins asked for.
        got: u64,
        /// Fewest bins allowed.
        least: u64,
        /// Most bins allowed.
        most: u64,
    },
    /// Two statistics that do not share their bins cannot be merged.
    #[error(
        "cannot merge histograms: got {got}, expected {expected}; build every part with the same range and bins"
    )]
    Incompatible {
        /// Bins of the histogram to merge.
        got: String,
        /// Bins of the histogram merged into.
        expected: String,
    },
    /// No finite value was counted.
    #[error(
        "the histogram is empty: got 0 finite values ({non_finite} non-finite), expected at least 2 distinct ones; check that the volume was read and is not masked with NaN throughout"
    )]
    Empty {
        /// Values that were NaN or infinite.
        non_finite: u64,
    },
    /// A number of classes outside what a method can fit.
    #[error("invalid number of classes: got {got}, expected 2 to {most}")]
    InvalidClasses {
        /// Classes asked for.
        got: usize,
        /// Most classes the method fits.
        most: usize,
    },
    /// Fewer distinct values than classes.
    #[error("the volume holds only {distinct} distinct value{}; got {classes} classes, expected at most as many classes as values{remedy}", plural(*distinct))]
    TooFewValues {
        /// Distinct values (occupied bins).
        distinct: usize,
        /// Classes asked for.
        classes: usize,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A method name that is not in the roster.
    #[error("unknown clustering method: got {got:?}, expected one of {}", known.join(", "))]
    UnknownMethod {
        /// Name as given.
        got: String,
        /// Names of the roster.
        known: Vec<&'static str>,
    },
    /// Two slices that must be equally long are not.
    #[error("labels and values differ in length: got {got} labels, expected {expected}, one for each value")]
    Length {
        /// Length of the labels.
        got: usize,
        /// Length of the values.
        expected: usize,
    },
    /// Stored clusters or reduced sums that contradict themselves.
    #[error("inconsistent {what}: got {got}, expected {expected}")]
    Inconsistent {
        /// What was read or handed in.
        what: &'static str,
        /// What it held.
        got: String,
        /// What it must hold.
        expected: String,
    },
}

/// The plural ending for `n` things.
const fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
