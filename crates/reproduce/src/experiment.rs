//! What can be reproduced, by name.

use std::fmt::Debug;
use std::path::PathBuf;

use crate::dpop::Dpop;
use crate::giraffe::Giraffe;
use crate::pkpo::Pkpo;
use crate::pkpo_toy::PkpoToy;
use crate::yelp::Yelp;
use crate::{Progress, ReproduceError, Reproduction};

/// What a user may choose of any experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder for the files that an experiment needs while it runs, such as models, data and
    /// runs; the report goes there too.
    pub out: PathBuf,
    /// The experiment at full size, where it has one: real models, hours instead of minutes.
    pub full: bool,
    /// Everything random follows from it.
    pub seed: u64,
    /// Repetitions with seeds of their own; `None` leaves the number to the experiment.
    pub seeds: Option<usize>,
    /// Data of the user's own in place of made-up ones, for experiments that
    /// [read it](Experiment::reads_data).
    pub data: Option<PathBuf>,
    /// The device of the models, as `cpu` or `cuda:0`.
    pub device: String,
}

impl Options {
    /// The small experiment on the CPU with seed 0.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            full: false,
            seed: 0,
            seeds: None,
            data: None,
            device: "cpu".into(),
        }
    }

    /// How many seeds to run, given the experiment's own choice.
    ///
    /// # Errors
    /// `TooFewSeeds` for fewer than two, of which no interval can be had.
    pub fn seeds_or(&self, usual: usize) -> Result<usize, ReproduceError> {
        match self.seeds.unwrap_or(usual) {
            found @ (0 | 1) => Err(ReproduceError::TooFewSeeds { found, needed: 2 }),
            found => Ok(found),
        }
    }
}

/// One experiment of a paper. To add one: a module with a type of this trait, and its line in
/// [`EXPERIMENTS`].
pub trait Experiment: Debug + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// What it does, in a line.
    fn about(&self) -> &'static str;

    /// Whether it takes [`Options::data`].
    fn reads_data(&self) -> bool {
        false
    }

    /// Measures, and judges the claims. Equal options give equal results on one device.
    ///
    /// # Errors
    /// Whatever keeps it from measuring; not that a claim fails.
    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError>;
}

/// Every experiment, in the order of `reproduce all`.
pub static EXPERIMENTS: &[&dyn Experiment] = &[&PkpoToy, &Pkpo, &Dpop, &Giraffe, &Yelp];

/// The experiment with this name.
///
/// # Errors
/// `Unknown`, with the nearest name.
///
/// ```
/// use bestof_reproduce::{Options, Silent, experiment};
///
/// assert_eq!(experiment("pkpo-toy")?.name(), "pkpo-toy");
/// let error = experiment("pkpo_toy").unwrap_err().to_string();
/// assert!(error.contains("did you mean `pkpo-toy`?"));
/// # Ok::<(), bestof_reproduce::ReproduceError>(())
/// ```
pub fn experiment(name: &str) -> Result<&'static dyn Experiment, ReproduceError> {
    if let Some(found) = EXPERIMENTS.iter().find(|experiment| experiment.name() == name) {
        return Ok(*found);
    }
    let names = || EXPERIMENTS.iter().map(|experiment| experiment.name());
    let hint = match bestof_suggest::nearest(name, names()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(ReproduceError::Unknown { name: name.to_owned(), hint })
}
