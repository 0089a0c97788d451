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

/// Most values that a rank sends in one call; counts are 32 bits wide in MPI.
const CHUNK: usize = 1 << 28;

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

type Reply<T> = Sender<T>;

/// A call of MPI, and where its result goes.
enum Call {
    Gather(Vec<u8>, Reply<Vec<Vec<u8>>>),
    Broadcast(usize, Vec<f32>, Reply<Vec<f32>>),
    Scatter(Vec<f32>, Vec<usize>, Reply<Vec<Vec<f32>>>),
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

    fn ask<T>(&self, call: impl FnOnce(Reply<T>) -> Call) -> Result<Receiver<T>, TrainError> {
        let (reply, answer) = channel();
        let calls = locked(&self.calls);
        let calls = calls.as_ref().ok_or_else(|| failed("this rank has left"))?;
        calls.send(call(reply)).map_err(|_| failed("the thread that calls MPI has ended"))?;
        Ok(answer)
    }

    fn wait<T>(&self, answer: &Receiver<T>) -> Result<T, TrainError> {
        let started = Instant::now();
        let answer = answer.recv().map_err(|_| failed("the thread that calls MPI has ended"));
        locked(&self.traffic).waited += started.elapsed();
        answer
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
    answer: Receiver<Vec<Vec<f32>>>,
}

impl Scattered for Pending<'_> {
    fn wait(self: Box<Self>) -> Result<Vec<Vec<f32>>, TrainError> {
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
                let _ = reply.send(gathered(world, &mine, &lengths));
            }
            Call::Broadcast(root, mut values, reply) => {
                for part in values.chunks_mut(CHUNK) {
                    world.process_at_rank(root as i32).broadcast_into(part);
                }
                let _ = reply.send(values);
            }
            Call::Scatter(values, cuts, reply) => {
                let lengths: Vec<usize> = cuts.windows(2).map(|cut| cut[1] - cut[0]).collect();
                let own = lengths[rank];
                let mut parts: Vec<Vec<f32>> = vec![Vec::with_capacity(own); size];
                let step = CHUNK / size;
                let longest = lengths.iter().copied().max().unwrap_or(0);
                for from in (0..longest).step_by(step) {
                    let sent: Vec<usize> = lengths.iter().map(|n| part(*n, from, step)).collect();
                    let at: Vec<usize> = cuts[..size].iter().map(|cut| cut + from).collect();
                    let here = part(own, from, step);
                    let mut received = vec![0.0_f32; here * size];
                    let (counts, places) = even(here, size);
                    let sending = Partition::new(
                        &values[..],
                        narrow(&sent),
                        clamped(&at, &sent, values.len()),
                    );
                    let mut receiving = PartitionMut::new(&mut received[..], counts, places);
                    world.all_to_all_varcount_into(&sending, &mut receiving);
                    if here > 0 {
                        for (part, new) in parts.iter_mut().zip(received.chunks(here)) {
                            part.extend_from_slice(new);
                        }
                    }
                }
                let _ = reply.send(parts);
            }
            Call::Join(mine, cuts, reply) => {
                let lengths: Vec<usize> = cuts.windows(2).map(|cut| cut[1] - cut[0]).collect();
                let _ = reply.send(gathered(world, &mine, &lengths).concat());
            }
        }
    }
}

/// The values of every rank, of these lengths.
fn gathered<T: Equivalence + Copy + Default>(
    world: &SimpleCommunicator,
    mine: &[T],
    lengths: &[usize],
) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = lengths.iter().map(|length| Vec::with_capacity(*length)).collect();
    let step = CHUNK / lengths.len();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    for from in (0..longest).step_by(step) {
        let counts: Vec<usize> = lengths.iter().map(|n| part(*n, from, step)).collect();
        let places: Vec<usize> = counts
            .iter()
            .scan(0, |next, count| Some(std::mem::replace(next, *next + count)))
            .collect();
        let mut received = vec![T::default(); counts.iter().sum()];
        let end = mine.len().min(from + step);
        let sent = &mine[from.min(end)..end];
        let mut receiving = PartitionMut::new(&mut received[..], narrow(&counts), narrow(&places));
        world.all_gather_varcount_into(sent, &mut receiving);
        for ((of_rank, place), count) in all.iter_mut().zip(places).zip(counts) {
            of_rank.extend_from_slice(&received[place..place + count]);
        }
    }
    all
}

/// How many of `length` values are in the part of `step` that begins at `from`.
fn part(length: usize, from: usize, step: usize) -> usize {
    length.saturating_sub(from).min(step)
}

fn narrow(numbers: &[usize]) -> Vec<i32> {
    numbers.iter().map(|n| i32::try_from(*n).expect("parts are below 2^31")).collect()
}

/// Places of parts, those of empty ones within the values.
fn clamped(places: &[usize], counts: &[usize], len: usize) -> Vec<i32> {
    let place = |(place, count): (&usize, &usize)| if *count == 0 { 0 } else { *place.min(&len) };
    narrow(&places.iter().zip(counts).map(place).collect::<Vec<_>>())
}

/// Counts and places of `parts` parts of one length.
fn even(length: usize, parts: usize) -> (Vec<i32>, Vec<i32>) {
    let places: Vec<usize> = (0..parts).map(|part| part * length).collect();
    (narrow(&vec![length; parts]), narrow(&places))
}
