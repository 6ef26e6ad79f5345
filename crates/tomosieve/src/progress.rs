//! What a run tells whoever watches it, and how it learns that it should stop.

/// The watcher of a run. The library never prints; it calls this.
pub trait Progress: Send + Sync {
    /// A stretch of work begins: `total` units of `unit`, of which `done` are already there.
    fn begin(&self, stage: &str, total: u64, done: u64, unit: &str);
    /// That many more units are done; `detail` is a word on how it goes, such as the loss.
    fn advance(&self, by: u64, detail: &str);
    /// The stretch of work turned out to be shorter: `total` units, not as many as were told.
    fn shorten(&self, _total: u64) {}
    /// The stretch of work is over.
    fn end(&self);
    /// Something the user should know.
    fn note(&self, message: &str);
    /// Whether to stop at the next safe point.
    fn stopped(&self) -> bool;
}

/// A watcher that says nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: u64, _: &str) {}
    fn advance(&self, _: u64, _: &str) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn stopped(&self) -> bool {
        false
    }
}
