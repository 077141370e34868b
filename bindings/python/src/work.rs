//! Work: done without Python's lock, on threads of our own, while the thread that asked for it looks out for Ctrl-C and tells of progress.

use crate::failure::{raised, wrong};
use cardiograd::progress::{Report, Step, stop, stoppable};
use pyo3::prelude::*;
use rayon::ThreadPool;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often Ctrl-C is looked for, and progress told.
const LOOK: Duration = Duration::from_millis(50);

/// The threads that compute, and the process that started them: a fork takes none of them along.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

fn pool(threads: Option<usize>) -> PyResult<Arc<ThreadPool>> {
    let process = std::process::id();
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    match &*pool {
        Some((of, ready)) if *of == process && threads.is_none() => return Ok(ready.clone()),
        _ => (),
    }
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
    let ready =
        Arc::new(builder.build().map_err(|error| crate::failure::Error::new_err(format!("threads could not be started: {error}")))?);
    if let Some((of, old)) = pool.replace((process, ready.clone()))
        && of != process
    {
        // Its threads are in the process that this one was forked from: there is nobody to wait for.
        std::mem::forget(old);
    }
    Ok(ready)
}

/// Sets how many threads compute from now on (one per core unless said). Results do not depend on it.
#[pyfunction]
pub fn set_threads(threads: usize) -> PyResult<()> {
    match threads {
        1..=1024 => pool(Some(threads)).map(|_| ()),
        _ => Err(wrong(format!("{threads} threads: 1 to 1024 can be asked for"))),
    }
}

/// Where the work is.
#[derive(Default)]
struct State<T> {
    told: Option<(String, u64, u64, String)>,
    done: Option<std::thread::Result<cardiograd::Result<T>>>,
}

/// Does `work` on the pool and gives its result. `progress`, if given, is called with (label, done, total, unit) now and then. An exception of it, or a
/// Ctrl-C, stops the work.
pub fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(Report<'_>) -> cardiograd::Result<T> + Send,
) -> PyResult<T> {
    let pool = pool(None)?;
    let (stopped, changed) = (AtomicBool::new(false), Condvar::new());
    let state: Mutex<State<T>> = Mutex::new(State { told: None, done: None });
    let wanted = progress.is_some();
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let report = |step: Step<'_>| {
        if stopped.load(Ordering::Relaxed) {
            stop();
        }
        if wanted {
            lock().told = Some((step.label.to_owned(), step.done, step.total, step.unit.to_owned()));
        }
    };
    let mut failure = None;
    let done = py.detach(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pool.install(|| stoppable(|| work(&report)))));
                lock().done = Some(found);
                changed.notify_all();
            });
            loop {
                let held = lock();
                let (mut held, _) =
                    changed.wait_timeout_while(held, LOOK, |state| state.done.is_none()).unwrap_or_else(PoisonError::into_inner);
                let (told, done) = (held.told.take(), held.done.take());
                drop(held);
                if failure.is_none() {
                    let outcome = Python::attach(|py| {
                        if done.is_none() {
                            py.check_signals()?;
                        }
                        progress.zip(told).map_or(Ok(()), |(progress, told)| progress.call1(py, told).map(|_| ()))
                    });
                    failure = outcome.err();
                    stopped.store(failure.is_some(), Ordering::Relaxed);
                }
                if let Some(done) = done {
                    return done;
                }
            }
        })
    });
    match (failure, done) {
        (Some(failure), _) => Err(failure),
        (None, Ok(done)) => done.map_err(raised),
        (None, Err(fault)) => std::panic::resume_unwind(fault),
    }
}
