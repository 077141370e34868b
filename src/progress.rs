//! How long work tells its caller where it is. The library never prints; the command line draws.

/// One report.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// What is being done, e.g. `training pr`.
    pub label: &'a str,
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// The unit, plural: `ECGs`, `steps`.
    pub unit: &'a str,
    /// A short remark, e.g. the current loss; may be empty.
    pub note: &'a str,
}

/// Where reports go. Called often and from any thread; must be cheap.
pub type Report<'a> = &'a (dyn Fn(Step<'_>) + Sync);

/// Reports to nobody.
pub fn silent(_: Step<'_>) {}
