//! The ranks that this process is one of.

use std::sync::OnceLock;

use anyhow::Result;
#[cfg(feature = "reviews")]
use bestof_sentiment::SentimentError;
use bestof_trainer::TrainError;
use bestof_trainer::communicator::{Launch, Ranks};

use crate::console::{self, Usage};

/// How long a rank that fails lets rank 0 say what is wrong, which it may be about to find out as well.
const FIRST_WORD: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(feature = "mpi")]
static JOINED: OnceLock<bestof_trainer::communicator::MpiRank> = OnceLock::new();
#[cfg(not(feature = "mpi"))]
static JOINED: OnceLock<bestof_trainer::communicator::SingleRank> = OnceLock::new();

/// Joins the ranks that a launcher started together; alone where there is none.
///
/// # Errors
/// A program without MPI among several, or a verb that is made by one process.
pub(crate) fn join(verb: Option<&str>) -> Result<()> {
    let Some(launch) = Launch::found() else { return Ok(()) };
    if launch.size < 2 {
        return Ok(());
    }
    if let Some(verb) = verb {
        return Err(Usage(format!(
            "`{verb}` is done by one process; start it without `{}`",
            launch.by
        ))
        .into());
    }
    join_several(&launch)
}

#[cfg(feature = "mpi")]
fn join_several(launch: &Launch) -> Result<()> {
    use bestof_trainer::communicator::Communicator;

    share_processors(launch.local_size);
    let rank = bestof_trainer::communicator::MpiRank::start()?;
    if rank.size() != launch.size {
        let (found, by) = (rank.size(), launch.by);
        let reason = format!(
            "`{by}` started {} processes, of which MPI connects {found}: this program was built with another MPI \
             library; build it again with `cargo xtask mpi`",
            launch.size
        );
        return Err(TrainError::Communication { reason }.into());
    }
    if JOINED.set(rank).is_err() {
        unreachable!("ranks are joined once");
    }
    // The others could not go on without this one.
    console::when_unread(|| ranks().communicator().abort());
    Ok(())
}

#[cfg(not(feature = "mpi"))]
fn join_several(launch: &Launch) -> Result<()> {
    let text = format!(
        "`{}` started {} processes, and this program was built without MPI: build it with `cargo build --release -p \
         bestof --features mpi` (`cargo xtask mpi -n {} VERB` does so by itself)",
        launch.by, launch.size, launch.size
    );
    Err(Usage(text).into())
}

/// Gives this rank its share of the machine's processors, unless the user has said how many threads there are.
#[cfg(feature = "mpi")]
fn share_processors(ranks: usize) {
    if std::env::var_os("RAYON_NUM_THREADS").is_none() {
        // What the launcher binds this process to counts already.
        let bound = std::thread::available_parallelism().map_or(1, usize::from);
        let share = processors().map_or(bound, |all| all.div_ceil(ranks.max(1)));
        let threads = bound.min(share).max(1);
        // A pool that is there already keeps its threads.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    }
}

/// The processors of this machine, whatever this process is bound to.
#[cfg(feature = "mpi")]
fn processors() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().filter(|line| line.starts_with("processor")).count()).filter(|n| *n > 0)
}

/// The ranks; a single one unless others were joined.
pub(crate) fn ranks() -> Ranks<'static> {
    JOINED.get().map_or_else(Ranks::default, |rank| Ranks::new(rank))
}

/// Whether this process prints and writes.
pub(crate) fn is_first() -> bool {
    ranks().is_first()
}

/// On other ranks than the first, gives that one time to say what is wrong and to end the job.
pub(crate) fn wait_for_the_first() {
    if Launch::found().is_some_and(|launch| launch.size > 1 && launch.rank > 0) {
        std::thread::sleep(FIRST_WORD);
    }
}

/// Runs a verb. A rank that panics takes the others along, which would wait for it.
pub(crate) fn guarded(verb: impl FnOnce() -> Result<()>) -> Result<()> {
    if ranks().is_alone() {
        return verb();
    }
    let rank = ranks().rank();
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        console::error(&anyhow::anyhow!("rank {rank}: a defect of this program, please report it"));
        told(panic);
    }));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(verb))
        .unwrap_or_else(|_| ranks().communicator().abort())
}

/// Ends a verb on all ranks: has `say` print its error once, and takes the others along if they cannot know of it.
pub(crate) fn end(outcome: &Result<()>, say: fn(&anyhow::Error)) {
    let ranks = ranks();
    if ranks.is_alone() {
        if let Err(error) = outcome {
            wait_for_the_first();
            say(error);
        }
        return;
    }
    let Err(error) = outcome else { return leave() };
    if of_run(error).is_some_and(TrainError::is_of_all_ranks) {
        if ranks.is_first() {
            say(error);
        }
        return leave();
    }
    wait_for_the_first();
    if ranks.is_first() {
        console::error(error);
    } else {
        console::error(&anyhow::anyhow!("rank {}: {error:#}", ranks.rank()));
    }
    ranks.communicator().abort()
}

/// The error of a training run behind an error of a verb.
pub(crate) fn of_run(error: &anyhow::Error) -> Option<&TrainError> {
    // A transparent error stands in the chain in place of the one within.
    error.chain().find_map(|cause| {
        #[cfg(feature = "reviews")]
        if let Some(SentimentError::Train(within)) = cause.downcast_ref() {
            return Some(within);
        }
        cause.downcast_ref()
    })
}

fn leave() {
    #[cfg(feature = "mpi")]
    if let Some(rank) = JOINED.get() {
        rank.finish();
    }
}
