//! Ranks that are processes under MPI.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use mpi::Threading;
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives, Root};

use super::{Communicator, Launch, OnTheWay, Scattered, Traffic};
use crate::error::TrainError;

/// This process among those that `mpirun`, `mpiexec` or `srun` started together.
///
/// All calls of MPI are made by a thread of its own, in the order in which the computation asks for them. So
/// values travel while the computation goes on, whether or not the library moves them by itself.
pub struct MpiRank {
    rank: usize,
    size: usize,
    calls: Mutex<Option<Sender<Call>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    traffic: Mutex<Traffic>,
}

type Reply<T> = Sender<Result<T, TrainError>>;

type Answer<T> = Receiver<Result<T, TrainError>>;

/// A call of MPI, and where its result goes.
enum Call {
    Gather(Vec<u8>, Reply<Vec<Vec<u8>>>),
    Broadcast(usize, Vec<f32>, Reply<Vec<f32>>),
    Scatter(Vec<f32>, Vec<usize>, Reply<Vec<f32>>),
    Join(Vec<f32>, Vec<usize>, Reply<Vec<f32>>),
}

fn failed(reason: &str) -> TrainError {
    TrainError::Communication { reason: reason.to_owned() }
}

impl MpiRank {
    /// Joins the ranks that were started together.
    ///
    /// # Errors
    /// [`TrainError::Communication`] if MPI cannot be started, or has been before.
    pub fn start() -> Result<Self, TrainError> {
        let (calls, asked) = channel();
        let (told, place) = channel();
        let thread = std::thread::Builder::new()
            .name("ranks".to_owned())
            .spawn(move || {
                let Some((universe, _)) = mpi::initialize_with_threading(Threading::Funneled)
                else {
                    return;
                };
                let world = universe.world();
                let _ = told.send((world.rank() as usize, world.size() as usize));
                serve(&world, &asked);
                // The end of the universe waits for all ranks.
            })
            .map_err(|error| failed(&error.to_string()))?;
        let (rank, size) =
            place.recv().map_err(|_| failed("MPI could not be started, or was started before"))?;
        Ok(Self {
            rank,
            size,
            calls: Mutex::new(Some(calls)),
            thread: Mutex::new(Some(thread)),
            traffic: Mutex::default(),
        })
    }

    /// Leaves, when all ranks do. Later exchanges fail. A process that ends without it takes all others with it.
    pub fn finish(&self) {
        drop(locked(&self.calls).take());
        if let Some(thread) = locked(&self.thread).take() {
            let _ = thread.join();
        }
    }

    fn ask<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<Answer<T>, TrainError> {
        let (reply, answer) = channel();
        let calls = locked(&self.calls);
        let calls = calls.as_ref().ok_or_else(|| failed("this rank has left"))?;
        calls.send(call(reply)).map_err(|_| failed("the thread that calls MPI has ended"))?;
        Ok(answer)
    }

    fn wait<T>(&self, answer: &Answer<T>) -> Result<T, TrainError> {
        let started = Instant::now();
        let answer = answer.recv().map_err(|_| failed("the thread that calls MPI has ended"));
        locked(&self.traffic).waited += started.elapsed();
        answer?
    }

    fn count(&self, values: usize, bytes: usize) {
        locked(&self.traffic).bytes += (values * bytes) as u64;
    }
}

/// What a mutex holds; a panic beside it left whole values.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl fmt::Debug for MpiRank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {} under MPI", self.rank, self.size)
    }
}

impl Communicator for MpiRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local_rank(&self) -> usize {
        Launch::found().map_or(self.rank, |launch| launch.local_rank)
    }

    fn all_gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError> {
        self.count(mine.len() * (self.size - 1), 1);
        self.wait(&self.ask(|reply| Call::Gather(mine, reply))?)
    }

    fn broadcast(&self, root: usize, values: Vec<f32>) -> Result<Vec<f32>, TrainError> {
        if self.rank == root {
            self.count(values.len() * (self.size - 1), 4);
        }
        self.wait(&self.ask(|reply| Call::Broadcast(root, values, reply))?)
    }

    fn scatter(&self, values: Vec<f32>, cuts: &[usize]) -> Result<OnTheWay<'_>, TrainError> {
        self.count(values.len() - (cuts[self.rank + 1] - cuts[self.rank]), 4);
        let answer = self.ask(|reply| Call::Scatter(values, cuts.to_vec(), reply))?;
        Ok(Box::new(Pending { rank: self, answer }))
    }

    fn join(&self, mine: Vec<f32>, cuts: &[usize]) -> Result<Vec<f32>, TrainError> {
        self.count(mine.len() * (self.size - 1), 4);
        self.wait(&self.ask(|reply| Call::Join(mine, cuts.to_vec(), reply))?)
    }

    fn traffic(&self) -> Traffic {
        *locked(&self.traffic)
    }
}

struct Pending<'a> {
    rank: &'a MpiRank,
    answer: Answer<Vec<f32>>,
}

impl Scattered for Pending<'_> {
    fn wait(self: Box<Self>) -> Result<Vec<f32>, TrainError> {
        self.rank.wait(&self.answer)
    }
}

/// Makes the calls that are asked for until no more can come. Who asked may have gone since.
fn serve(world: &SimpleCommunicator, asked: &Receiver<Call>) {
    let (rank, size) = (world.rank() as usize, world.size() as usize);
    while let Ok(call) = asked.recv() {
        match call {
            Call::Gather(mine, reply) => {
                let mut lengths = vec![0_u64; size];
                world.all_gather_into(&(mine.len() as u64), &mut lengths[..]);
                let lengths: Vec<usize> = lengths.into_iter().map(|n| n as usize).collect();
                let _ = reply.send(gathered(world, &mine, &lengths).map(|all| {
                    let starts = starts(&lengths);
                    let parts = starts.iter().zip(&lengths);
                    parts.map(|(start, length)| all[*start..start + length].to_vec()).collect()
                }));
            }
            Call::Broadcast(root, mut values, reply) => {
                world.process_at_rank(root as i32).broadcast_into(&mut values[..]);
                let _ = reply.send(Ok(values));
            }
            Call::Scatter(values, cuts, reply) => {
                let _ = reply.send(scattered(world, &values, &cuts, cuts[rank + 1] - cuts[rank]));
            }
            Call::Join(mine, cuts, reply) => {
                let lengths: Vec<usize> = cuts.windows(2).map(|cut| cut[1] - cut[0]).collect();
                let _ = reply.send(gathered(world, &mine, &lengths));
            }
        }
    }
}

/// Of each rank the `own` values that are this rank's, one rank's behind the other's.
fn scattered(
    world: &SimpleCommunicator,
    values: &[f32],
    cuts: &[usize],
    own: usize,
) -> Result<Vec<f32>, TrainError> {
    let size = cuts.len() - 1;
    let sent: Vec<usize> = cuts.windows(2).map(|cut| cut[1] - cut[0]).collect();
    let counts = vec![own; size];
    let mut received = vec![0.0; own * size];
    let sending = Partition::new(values, narrow(&sent)?, narrow(&cuts[..size])?);
    let (counts, places) = (narrow(&counts)?, narrow(&starts(&counts))?);
    let mut receiving = PartitionMut::new(&mut received[..], counts, places);
    world.all_to_all_varcount_into(&sending, &mut receiving);
    Ok(received)
}

/// The values of all ranks, of these lengths, one rank's behind the other's.
fn gathered<T: Equivalence + Copy + Default>(
    world: &SimpleCommunicator,
    mine: &[T],
    lengths: &[usize],
) -> Result<Vec<T>, TrainError> {
    let mut all = vec![T::default(); lengths.iter().sum()];
    let (counts, places) = (narrow(lengths)?, narrow(&starts(lengths))?);
    let mut receiving = PartitionMut::new(&mut all[..], counts, places);
    world.all_gather_varcount_into(mine, &mut receiving);
    Ok(all)
}

/// Where each of some parts begins that lie one behind the other.
fn starts(lengths: &[usize]) -> Vec<usize> {
    let next = |next: &mut usize, length: &usize| Some(std::mem::replace(next, *next + length));
    lengths.iter().scan(0, next).collect()
}

/// Counts as MPI has them, in 32 bits. All ranks have the same, and so the same error.
fn narrow(numbers: &[usize]) -> Result<Vec<i32>, TrainError> {
    let narrow = |n: &usize| {
        i32::try_from(*n)
            .map_err(|_| failed(&format!("{n} values in one exchange; MPI counts them in 32 bits")))
    };
    numbers.iter().map(narrow).collect()
}
