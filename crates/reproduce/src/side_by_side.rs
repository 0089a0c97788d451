//! Independent jobs on all processors, their results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Does `work` for each job, as many at once as there are processors, and calls `ended` after each
/// with its number, how many have ended, and how long it took. The order of the results is that of
/// the jobs, whatever ends first; after a failure no further one begins.
///
/// Small models leave a processor idle between their small products, so that several runs at a time
/// take less than one after the other.
pub(crate) fn side_by_side<J: Sync, T: Send, E: Send>(
    jobs: &[J],
    work: impl Fn(&J) -> Result<T, E> + Sync,
    mut ended: impl FnMut(usize, usize, Duration),
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let (heard, hearing) = mpsc::channel();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    let mut done: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let mut failure = None;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (next, heard, work) = (&next, heard.clone(), &work);
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
        for (count, (at, outcome, took)) in hearing.iter().enumerate() {
            match outcome {
                Ok(outcome) => {
                    done[at] = Some(outcome);
                    ended(at, count + 1, took);
                }
                Err(error) => failure = failure.take().or(Some(error)),
            }
        }
    });
    failure.map_or_else(|| Ok(done.into_iter().flatten().collect()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs: Vec<u64> = (0..20).collect();
        let mut count = 0;
        let squares = side_by_side(
            &jobs,
            |job| {
                std::thread::sleep(Duration::from_millis(20 - job));
                Ok::<_, ()>(job * job)
            },
            |_, _, _| count += 1,
        );
        assert_eq!(squares.unwrap(), jobs.iter().map(|job| job * job).collect::<Vec<_>>());
        assert_eq!(count, 20);
    }

    #[test]
    fn after_a_failure_no_job_begins() {
        let jobs: Vec<usize> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let outcome = side_by_side(
            &jobs,
            |job| {
                begun.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
                if *job == 3 { Err("no") } else { Ok(*job) }
            },
            |_, _, _| {},
        );
        assert_eq!(outcome, Err("no"));
        assert!(begun.load(Ordering::Relaxed) < 1000);
    }
}
