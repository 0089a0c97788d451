//! What a user may choose of any experiment.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::ReproduceError;

/// What a user may choose of any experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder for the files that an experiment needs while it runs, such as models, data and
    /// runs; the report goes there too.
    pub out: PathBuf,
    /// The experiment at full size, where it has one: real models, hours instead of minutes.
    pub full: bool,
    /// Seed of everything random.
    pub seed: u64,
    /// Number of repetitions, each with its own seed; `None` leaves it to the experiment.
    pub seeds: Option<usize>,
    /// The user's own data in place of generated data, for experiments that
    /// [read it](crate::Experiment::reads_data).
    pub data: Option<PathBuf>,
    /// Whether experiments that [start from a pretrained model](crate::Experiment::has_pretrained) do; without, they make
    /// a small one of random weights.
    pub pretrained: bool,
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
            pretrained: true,
            device: "cpu".into(),
        }
    }

    /// Version and options, all that decides what an experiment measures:
    /// `{"version", "seed", "seeds", "full", "pretrained", "device", "data"}`.
    pub(crate) fn made_with(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"), "seed": self.seed, "seeds": self.seeds,
            "full": self.full, "pretrained": self.pretrained, "device": self.device,
            "data": self.data,
        })
    }

    /// How many seeds to run, given the experiment's default.
    ///
    /// # Errors
    /// `TooFewSeeds` for fewer than two, which give no interval.
    pub fn seeds_or(&self, default: usize) -> Result<usize, ReproduceError> {
        match self.seeds.unwrap_or(default) {
            found @ (0 | 1) => Err(ReproduceError::TooFewSeeds { found, needed: 2 }),
            found => Ok(found),
        }
    }
}
