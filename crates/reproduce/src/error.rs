//! What can go wrong in a reproduction. That a claim does not hold is no error.

use std::path::PathBuf;

use bestof_estimators::EstimatorError;
use bestof_files::FileError;
use bestof_report::ReportError;
use bestof_sentiment::SentimentError;
use bestof_tasks::long_context::LongContextError;
use bestof_tasks::pairs::PairError;
use bestof_tasks::puzzles::PuzzleError;
use bestof_tasks::rows::RowsError;
use bestof_trainer::TrainError;
use thiserror::Error;

/// Why a reproduction came to no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReproduceError {
    /// No experiment has this name.
    #[error("no reproduction is called `{name}`; {hint}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The nearest name, or all of them.
        hint: String,
    },
    /// A group does not split into blocks as the estimator needs.
    #[error("{estimator} needs {needed}, found {n} samples for k = {k}")]
    Blocks {
        /// Name of the estimator.
        estimator: &'static str,
        /// What would fit.
        needed: &'static str,
        /// Samples found.
        n: usize,
        /// Samples in a block.
        k: usize,
    },
    /// The pretrained model that an experiment starts from is not there.
    #[error(
        "{} is no folder with a pretrained encoder; get it with `cargo xtask fetch {}`, or start from random weights with --no-pretrained", path.display(),
        path.file_name().map_or_else(|| "minilm-l6-v2".into(), |name| name.to_string_lossy())
    )]
    NoEncoder {
        /// The folder.
        path: PathBuf,
    },
    /// More or fewer repetitions than the experiment can use.
    #[error("{found} seeds are not enough; an interval needs at least {needed}")]
    TooFewSeeds {
        /// Seeds asked for.
        found: usize,
        /// Fewest that give an interval.
        needed: usize,
    },
    /// Too few base models learned what they were taught.
    #[error(
        "of {tried} small models {passed} passed their lessons within the steps they have, and an interval needs 2; try another --seed"
    )]
    NothingLearned {
        /// Models taught.
        tried: usize,
        /// Models that passed.
        passed: usize,
    },
    /// A reward transformation refused its rewards.
    #[error(transparent)]
    Estimate(#[from] EstimatorError),
    /// Preference pairs could not be built.
    #[error(transparent)]
    Pairs(#[from] PairError),
    /// A data file could not be written.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// A training run failed, or a model could not be read or run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Puzzles could not be made.
    #[error(transparent)]
    Puzzles(#[from] PuzzleError),
    /// Reviews could not be prepared, learned from or judged.
    #[error(transparent)]
    Sentiment(#[from] SentimentError),
    /// Questions about long prompts could not be made.
    #[error(transparent)]
    LongContext(#[from] LongContextError),
    /// The page could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file of the reproduction's folder could not be written whole.
    #[error(transparent)]
    Write(#[from] FileError),
    /// A file of the reproduction's folder could not be written.
    #[error("{action} {}: {source}", .path.display())]
    Io {
        /// What was tried, as `cannot write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl ReproduceError {
    /// A closure that wraps an I/O error with what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
