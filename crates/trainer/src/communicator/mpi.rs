//! Ranks that are processes under MPI.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::{JoinHandle, sleep, yield_now};
use std::time::{Duration, Instant};

use mpi::Threading;
use mpi::datatype::{Equivalence, Partition, PartitionMut};
use mpi::request::{Request, Scope, scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives, Root};

use super::{Communicator, Launch, OnTheWay, Scattered, Traffic, in_order};
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
    ReduceScatter(Vec<f32>, Vec<usize>, Reply<Vec<f32>>),
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

    fn reduce_scatter(&self, values: Vec<f32>, cuts: &[usize]) -> Result<OnTheWay<'_>, TrainError> {
        self.count(values.len() - (cuts[self.rank + 1] - cuts[self.rank]), 4);
        let answer = self.ask(|reply| Call::ReduceScatter(values, cuts.to_vec(), reply))?;
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
    let size = world.size() as usize;
    let mut room = Vec::new();
    while let Ok(call) = asked.recv() {
        match call {
            Call::Gather(mine, reply) => {
                let mut lengths = vec![0_u64; size];
                let length = mine.len() as u64;
                scope(|scope| {
                    end_of(world.immediate_all_gather_into(scope, &length, &mut lengths[..]));
                });
                let lengths: Vec<usize> = lengths.into_iter().map(|n| n as usize).collect();
                let _ = reply.send(gathered(world, &mine, &lengths).map(|all| {
                    let starts = starts(&lengths);
                    let parts = starts.iter().zip(&lengths);
                    parts.map(|(start, length)| all[*start..start + length].to_vec()).collect()
                }));
            }
            Call::Broadcast(root, mut values, reply) => {
                let root = world.process_at_rank(root as i32);
                scope(|scope| end_of(root.immediate_broadcast_into(scope, &mut values[..])));
                let _ = reply.send(Ok(values));
            }
            Call::ReduceScatter(values, cuts, reply) => {
                let _ = reply.send(reduced(world, &values, &cuts, &mut room));
            }
            Call::Join(mine, cuts, reply) => {
                let lengths: Vec<usize> = cuts.windows(2).map(|cut| cut[1] - cut[0]).collect();
                let _ = reply.send(gathered(world, &mine, &lengths));
            }
        }
    }
}

/// Waits for the end of an exchange. The library's own waiting goes in circles, and takes the processor from the
/// products while another rank is behind.
fn end_of<'a, T: ?Sized, S: Scope<'a>>(mut request: Request<'a, T, S>) {
    const LONGEST: Duration = Duration::from_micros(500);
    let (mut glances, mut pause) = (0, Duration::from_micros(20));
    while let Err(unfinished) = request.test() {
        request = unfinished;
        glances += 1;
        if glances < 50 {
            yield_now();
        } else {
            sleep(pause);
            pause = (pause * 2).min(LONGEST);
        }
    }
}

/// The sums of all ranks' values that are this rank's; those of the others come into `room`, which is used again.
fn reduced(
    world: &SimpleCommunicator,
    values: &[f32],
    cuts: &[usize],
    room: &mut Vec<f32>,
) -> Result<Vec<f32>, TrainError> {
    let (rank, size) = (world.rank() as usize, cuts.len() - 1);
    let own = cuts[rank]..cuts[rank + 1];
    // This rank's own values stay where they are.
    let of_others = |count: &dyn Fn(usize) -> usize| -> Vec<usize> {
        (0..size).map(|r| if r == rank { 0 } else { count(r) }).collect()
    };
    let sent = of_others(&|r| cuts[r + 1] - cuts[r]);
    let counts = of_others(&|_| own.len());
    let all = counts.iter().sum();
    if room.len() < all {
        room.resize(all, 0.0);
    }
    let sending = Partition::new(values, narrow(&sent)?, narrow(&cuts[..size])?);
    let places = starts(&counts);
    let received = &mut room[..all];
    let mut receiving = PartitionMut::new(&mut *received, narrow(&counts)?, narrow(&places)?);
    scope(|scope| {
        end_of(world.immediate_all_to_all_varcount_into(scope, &sending, &mut receiving));
    });
    let part = |r: usize| match r {
        r if r == rank => &values[own.clone()],
        r => &received[places[r]..places[r] + own.len()],
    };
    Ok(in_order(&(0..size).map(part).collect::<Vec<_>>()))
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
    scope(|scope| end_of(world.immediate_all_gather_varcount_into(scope, mine, &mut receiving)));
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
