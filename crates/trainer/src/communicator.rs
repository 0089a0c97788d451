//! Ranks that train together: processes on one machine or several, each with its share of the rows.
//!
//! A [`Communicator`] is what an engine such as MPI has to offer; [`Ranks`] is what runs make of it. Sums are
//! [`in_order`], so that they do not depend on the engine.

mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod ranks;
mod threads;

use std::fmt::Debug;
use std::time::Duration;

pub use launch::Launch;
#[cfg(feature = "mpi")]
pub use mpi::MpiRank;
pub use ranks::Ranks;
pub use threads::{ThreadRank, threads};

use crate::error::TrainError;

/// Exchange between the ranks of a run.
///
/// Every rank calls the same methods in the same order.
///
/// # Errors
/// [`TrainError::Communication`] from every method, where the engine cannot go on.
pub trait Communicator: Debug + Sync {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// This rank among those of its machine, from 0: which of several devices it takes.
    fn local_rank(&self) -> usize {
        self.rank()
    }

    /// How many values are sent together; a larger parameter goes alone. By default 4 Mi, 16 MiB.
    fn bucket_values(&self) -> usize {
        4 << 20
    }

    /// The bytes of every rank, in the order of the ranks.
    fn all_gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError>;

    /// The values of rank `root`, on every rank; those of the others are only as many.
    fn broadcast(&self, root: usize, values: Vec<f32>) -> Result<Vec<f32>, TrainError>;

    /// Starts to add up the values of all ranks, [`in_order`], and returns at once: rank `r` gets the sums
    /// `cuts[r]..cuts[r + 1]`.
    fn reduce_scatter(&self, values: Vec<f32>, cuts: &[usize]) -> Result<OnTheWay<'_>, TrainError>;

    /// Of rank `r` the values `cuts[r]..cuts[r + 1]`, on every rank; each hands in its own.
    fn join(&self, mine: Vec<f32>, cuts: &[usize]) -> Result<Vec<f32>, TrainError>;

    /// What has been exchanged so far.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }

    /// Ends this process, and with it the job: another rank cannot be told of an error that it does not wait for.
    /// Launchers end all when one ends so, `srun` with `--kill-on-bad-exit=1`.
    fn abort(&self) -> ! {
        std::process::exit(1)
    }
}

/// Sums on their way between ranks.
pub type OnTheWay<'a> = Box<dyn Scattered + Send + 'a>;

/// Sums that can be waited for.
pub trait Scattered {
    /// Waits for the sums that are this rank's.
    ///
    /// # Errors
    /// [`TrainError::Communication`].
    fn wait(self: Box<Self>) -> Result<Vec<f32>, TrainError>;
}

/// What a rank has exchanged with others since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes that it sent to other ranks.
    pub bytes: u64,
    /// How long its computation stood still for them.
    pub waited: Duration,
}

/// The only rank there is: it is never called to exchange anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleRank;

impl Communicator for SingleRank {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError> {
        Ok(vec![mine])
    }

    fn broadcast(&self, _: usize, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        Ok(values)
    }

    fn reduce_scatter(&self, values: Vec<f32>, _: &[usize]) -> Result<OnTheWay<'_>, TrainError> {
        Ok(Box::new(Arrived(values)))
    }

    fn join(&self, mine: Vec<f32>, _: &[usize]) -> Result<Vec<f32>, TrainError> {
        Ok(mine)
    }
}

/// Sums of values of several ranks, as many of each: in f64 and in the order of the ranks.
pub fn in_order(of_ranks: &[&[f32]]) -> Vec<f32> {
    let len = of_ranks.first().map_or(0, |first| first.len());
    let mut sums = Vec::with_capacity(len);
    // A few values at a time, so that a rank's are read in one go.
    let mut total = [0.0_f64; 1024];
    for from in (0..len).step_by(total.len()) {
        let count = total.len().min(len - from);
        let total = &mut total[..count];
        total.fill(0.0);
        for values in of_ranks {
            let values = &values[from..from + count];
            total.iter_mut().zip(values).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        sums.extend(total.iter().map(|sum| *sum as f32));
    }
    sums
}

/// Sums that are there already.
struct Arrived(Vec<f32>);

impl Scattered for Arrived {
    fn wait(self: Box<Self>) -> Result<Vec<f32>, TrainError> {
        Ok(self.0)
    }
}
