//! The thread on which files of others are at work: templates, and tokenizers with regular expressions of their own.
//!
//! The template engine walks sources and values by recursion, and frees them by recursion. Its step limit bounds how
//! deeply a template can nest either; this stack is large enough for that. Only what is touched of it becomes memory.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bestof_files::guarded;

/// Bytes of stack: 500 for each of the steps a template has, which is more than any level takes
/// (480, for a dict that is printed).
const STACK: usize = 1 << 30;
/// How long a piece of work may take, counted in slices so that a process that sleeps is not blamed for it.
const SLICES: u32 = 200;
const SLICE: Duration = Duration::from_millis(100);

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library panicked.
    Panicked(String),
    /// Nothing came back in this many seconds.
    TooSlow(u64),
    /// The thread does not start.
    NoThread(io::Error),
}

type Job = Box<dyn FnOnce() + Send>;

/// One for all: a second one would only need a second stack.
static WORKER: Mutex<Option<SyncSender<Job>>> = Mutex::new(None);

/// Does `work` on the thread and waits for it.
pub(crate) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let mut worker = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
    let jobs = match &*worker {
        Some(jobs) => jobs.clone(),
        None => worker.insert(start().map_err(Failure::NoThread)?).clone(),
    };
    let (answer, heard) = mpsc::sync_channel(1);
    let sent = jobs.send(Box::new(move || {
        // Nobody listens once the time is over.
        let _ = answer.send(guarded(work));
    }));
    if sent.is_ok() {
        for _ in 0..SLICES {
            match heard.recv_timeout(SLICE) {
                Ok(outcome) => return outcome.map_err(Failure::Panicked),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
    }
    // It is left to itself: it ends with its steps, or with the process.
    *worker = None;
    Err(Failure::TooSlow(u64::from(SLICES) * SLICE.as_millis() as u64 / 1000))
}

fn start() -> io::Result<SyncSender<Job>> {
    let (jobs, queue) = mpsc::sync_channel::<Job>(1);
    std::thread::Builder::new().name("guarded".to_owned()).stack_size(STACK).spawn(move || {
        for job in queue {
            job();
        }
    })?;
    Ok(jobs)
}
