//! `pkpo`: a small LLaMA that is seldom right learns from its own samples, for `k = 1`, for a
//! fixed `k`, and for a `k` that is annealed to 1.

mod arm;
mod claims;
mod page;
mod puzzles;
mod runs;
mod settings;
mod starting_point;

use self::settings::Settings;
use crate::{Experiment, Options, Progress, ReproduceError, Reproduction};

/// Runs of each arm.
const SEEDS: usize = 5;

/// The experiment `pkpo`.
#[derive(Debug, Clone, Copy)]
pub struct Pkpo;

impl Experiment for Pkpo {
    fn name(&self) -> &'static str {
        "pkpo"
    }

    fn about(&self) -> &'static str {
        "a small LLaMA learns countdown from its own samples: k = 1, fixed k, annealed k"
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let settings = Settings::of(options);
        let base = starting_point::prepare(&settings, options, progress)?;
        let before = runs::measure(&settings, options, &base, &base.model)?;
        let outcomes = runs::all(&settings, options, &base, seeds, progress)?;
        Ok(Reproduction::new(
            self,
            options,
            "PKPO on a small language model",
            "Walder and Karkhanis 2025, arXiv:2505.15201v4, section 5.2",
        )
        .claims(claims::claims(&outcomes)?)
        .numbers(page::numbers(&before, &outcomes)?)
        .section(page::about(&settings))
        .section(page::tables(&before, &outcomes)?)
        .section(page::curves(&outcomes)))
    }
}
