//! How long work tells its caller where it is, and how the caller ends it. The library never prints; the command line draws.

#[cfg(feature = "std")]
use crate::{Error, Result};

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

/// What unwinds work that its caller has stopped.
#[cfg(feature = "std")]
struct Stopped;

/// Ends the work that is calling a [`Report`], from within that report: it unwinds to [`stoppable`], and files that it was writing are left as a
/// kill leaves them. Reports come from any thread of the work; each that comes after must stop it too.
#[cfg(feature = "std")]
pub fn stop() -> ! {
    std::panic::resume_unwind(Box::new(Stopped))
}

/// Does work that its report may [`stop`].
///
/// # Errors
/// [`Error::Stopped`] if it was; else the work's own.
#[cfg(feature = "std")]
pub fn stoppable<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // What the work had in its hands is gone with it: caches that it shares with others are whole, their locks forgive a panic.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)) {
        Ok(done) => done,
        Err(reason) if reason.is::<Stopped>() => Err(Error::Stopped),
        Err(reason) => std::panic::resume_unwind(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn a_report_stops_work_of_many_threads_and_nothing_else_is_taken_for_it() {
        let report = |step: Step<'_>| {
            if step.done >= 5 {
                stop()
            }
        };
        let work = || {
            (0..100u64).into_par_iter().for_each(|done| report(Step { label: "counting", done, total: 100, unit: "numbers", note: "" }));
            Ok(())
        };
        assert!(matches!(stoppable(work), Err(Error::Stopped)));
        assert_eq!(stoppable(|| Ok(3)).unwrap(), 3);
        let fault = std::panic::catch_unwind(|| stoppable::<()>(|| std::panic::resume_unwind(Box::new("a fault"))));
        assert_eq!(fault.unwrap_err().downcast_ref(), Some(&"a fault"));
    }
}
