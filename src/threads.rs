//! The threads that work is spread over.

use crate::{Error, Result};

/// Starts rayon's global pool with this thread as one of its workers, for a program's `main` to call before anything else; `None` is as many threads as
/// there are processors (or `RAYON_NUM_THREADS`). Without it rayon starts a pool beside this thread, which hands work over and sleeps: where there are as
/// many workers as processors, the three of them can come to share one processor while another idles, for some milliseconds each time (measured).
/// Threads other than this one that use the library need a pool of more than one thread: a lone worker is this thread, and works when it is here.
///
/// # Errors
/// [`Error::Usage`] if there is a global pool already, or the system gives no more threads.
pub fn start_threads(threads: Option<usize>) -> Result<()> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).use_current_thread();
    pool.build_global().map_err(|error| Error::Usage(format!("threads could not be started: {error}")))
}
