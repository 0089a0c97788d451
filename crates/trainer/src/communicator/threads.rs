//! Ranks that are threads of one process.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::{Arrived, Communicator, OnTheWay, in_order};
use crate::error::TrainError;

/// How long a rank waits for the others, which may have ended.
const PATIENCE: Duration = Duration::from_mins(2);

/// Runs `work` on so many ranks, each a thread of this process, and gives their results in order.
///
/// This is for tests of runs and loops that are to work with any number of ranks; on several machines, and
/// for speed, ranks are processes.
///
/// ```
/// use bestof_trainer::communicator::{Ranks, threads};
///
/// let met = threads(3, |rank| {
///     let ranks = Ranks::new(&rank);
///     ranks.gather(10 * ranks.rank())
/// });
/// assert!(met.iter().all(|all| *all.as_ref().unwrap() == [0, 10, 20]));
/// ```
///
/// # Panics
/// If a rank does.
pub fn threads<T: Send>(size: usize, work: impl Fn(ThreadRank) -> T + Sync) -> Vec<T> {
    let meeting = Arc::new(Meeting::default());
    std::thread::scope(|scope| {
        let ranks: Vec<_> = (0..size)
            .map(|rank| {
                let (meeting, work) = (meeting.clone(), &work);
                scope.spawn(move || work(ThreadRank { rank, size, meeting }))
            })
            .collect();
        let join = |rank: std::thread::ScopedJoinHandle<'_, T>| match rank.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        ranks.into_iter().map(join).collect()
    })
}

/// One of the ranks of [`threads`].
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    size: usize,
    meeting: Arc<Meeting>,
}

/// Where ranks lay down what they send.
#[derive(Debug, Default)]
struct Meeting {
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    laid: Vec<Option<Arc<Sent>>>,
    /// All of the ranks' of the last round, until each has taken them.
    round: Vec<Arc<Sent>>,
    to_take: usize,
}

#[derive(Debug, Clone)]
enum Sent {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl ThreadRank {
    fn exchange(&self, mine: Sent) -> Result<Vec<Arc<Sent>>, TrainError> {
        let late = || TrainError::Communication { reason: "another rank did not come".to_owned() };
        let mut table = self.meeting.table.lock().map_err(|_| late())?;
        let wait = |table, until: fn(&mut Table) -> bool| {
            let waited = self.meeting.changed.wait_timeout_while(table, PATIENCE, |t| !until(t));
            match waited {
                Ok((table, timeout)) if !timeout.timed_out() => Ok(table),
                _ => Err(late()),
            }
        };
        table = wait(table, |table| table.to_take == 0)?;
        table.laid.resize(self.size, None);
        table.laid[self.rank] = Some(Arc::new(mine));
        if table.laid.iter().all(Option::is_some) {
            table.round = table.laid.drain(..).flatten().collect();
            table.to_take = self.size;
            self.meeting.changed.notify_all();
        }
        table = wait(table, |table| table.to_take > 0)?;
        let all = table.round.clone();
        table.to_take -= 1;
        if table.to_take == 0 {
            self.meeting.changed.notify_all();
        }
        Ok(all)
    }

    fn floats(&self, mine: Vec<f32>) -> Result<Vec<Vec<f32>>, TrainError> {
        let all = self.exchange(Sent::Floats(mine))?;
        all.iter()
            .map(|sent| match &**sent {
                Sent::Floats(values) => Ok(values.clone()),
                Sent::Bytes(_) => Err(out_of_step()),
            })
            .collect()
    }
}

fn out_of_step() -> TrainError {
    TrainError::Communication { reason: "the ranks do not exchange the same things".to_owned() }
}

impl Communicator for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    /// Few, so that small models have several buckets.
    fn bucket_values(&self) -> usize {
        64
    }

    fn all_gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError> {
        let all = self.exchange(Sent::Bytes(mine))?;
        all.iter()
            .map(|sent| match &**sent {
                Sent::Bytes(bytes) => Ok(bytes.clone()),
                Sent::Floats(_) => Err(out_of_step()),
            })
            .collect()
    }

    fn broadcast(&self, root: usize, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        Ok(self.floats(values)?.swap_remove(root))
    }

    fn reduce_scatter(&self, values: Vec<f32>, cuts: &[usize]) -> Result<OnTheWay<'_>, TrainError> {
        let own = cuts[self.rank]..cuts[self.rank + 1];
        let all = self.floats(values)?;
        let parts: Vec<&[f32]> = all.iter().map(|of_rank| &of_rank[own.clone()]).collect();
        Ok(Box::new(Arrived(in_order(&parts))))
    }

    fn join(&self, mine: Vec<f32>, cuts: &[usize]) -> Result<Vec<f32>, TrainError> {
        let all = self.floats(mine)?.concat();
        if cuts.last() == Some(&all.len()) { Ok(all) } else { Err(out_of_step()) }
    }
}
