//! The threads of a model: started with it, and gone before it is.

use crate::border::Failure;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Mutex;
use std::thread::{Builder, JoinHandle};

/// Threads that are waited for when they are no longer wanted: a program that unloads the library, or counts its memory, finds none.
pub struct Pool {
    pool: Option<ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// So many threads, 0 for one per core.
    pub fn new(threads: usize) -> Result<Self, Failure> {
        if threads > 1024 {
            return Err(Failure::usage(&format!("{threads} threads: 0 to 1024 can be asked for")));
        }
        let started = Mutex::new(Vec::new());
        let pool = ThreadPoolBuilder::new().num_threads(threads).spawn_handler(|thread| {
            let mut builder = Builder::new();
            if let Some(size) = thread.stack_size() {
                builder = builder.stack_size(size);
            }
            let handle = builder.spawn(|| thread.run())?;
            started.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(handle);
            Ok(())
        });
        let pool = pool.build().map_err(|error| cardiograd::Error::Usage(format!("threads could not be started: {error}")))?;
        Ok(Pool { pool: Some(pool), threads: started.into_inner().unwrap_or_default() })
    }

    /// Does work on them.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> cardiograd::Result<T> + Send) -> Result<T, Failure> {
        match &self.pool {
            Some(pool) => Ok(pool.install(work)?),
            None => Err(Failure::usage("the model was given back")),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        drop(self.pool.take());
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
