//! Independent runs, as many at once as there are processors.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::ReproduceError;

/// Does every job, and tells of each as it ends; results are in the order of the jobs. After a
/// failure no further one begins.
///
/// Small models leave a processor idle between their small products, which is why their runs gain
/// from going side by side.
pub(crate) fn side_by_side<J: Sync, T: Send>(
    jobs: &[J],
    work: &(dyn Fn(&J) -> Result<T, ReproduceError> + Sync),
    ended: &mut dyn FnMut(&J, Duration),
) -> Result<Vec<T>, ReproduceError> {
    let next = AtomicUsize::new(0);
    let (heard, hearing) = mpsc::channel();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let mut done: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let mut failure = None;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (next, heard) = (&next, heard.clone());
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    let started = Instant::now();
                    let outcome = work(job);
                    if outcome.is_err() {
                        next.store(jobs.len(), Ordering::Relaxed);
                    }
                    if heard.send((at, outcome, started.elapsed())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(heard);
        for (at, outcome, took) in &hearing {
            match outcome {
                Ok(outcome) => {
                    done[at] = Some(outcome);
                    ended(&jobs[at], took);
                }
                Err(error) => failure = failure.take().or(Some(error)),
            }
        }
    });
    failure.map_or_else(|| Ok(done.into_iter().flatten().collect()), Err)
}

/// Removes what an earlier reproduction left of a folder.
pub(crate) fn fresh(dir: &Path) -> Result<(), ReproduceError> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(ReproduceError::io("cannot remove", dir))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_the_first_failure_ends_it() {
        let jobs: Vec<u64> = (0..7).collect();
        let mut heard = Vec::new();
        let slow_first = |job: &u64| {
            std::thread::sleep(Duration::from_millis(7 - job));
            Ok(job * job)
        };
        let done = side_by_side(&jobs, &slow_first, &mut |job, _| heard.push(*job)).unwrap();
        assert_eq!(done, [0, 1, 4, 9, 16, 25, 36]);
        heard.sort_unstable();
        assert_eq!(heard, jobs);
        let fails = |job: &u64| match job {
            3 => Err(ReproduceError::TooFewSeeds { found: 1, needed: 2 }),
            job => Ok(*job),
        };
        assert!(side_by_side(&jobs, &fails, &mut |_, _| {}).is_err());
    }
}
