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
        self.measure(&Settings::of(options), options, progress)
    }
}

impl Pkpo {
    fn measure(
        self,
        settings: &Settings,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let start = starting_point::prepare(settings, options, progress)?;
        let before = runs::measure(settings, options, &start, &start.model)?;
        let outcomes = runs::all(settings, options, &start, seeds, progress)?;
        Ok(Reproduction::new(
            self.name(),
            options,
            "PKPO on a small language model",
            "Walder and Karkhanis 2025, arXiv:2505.15201v4, section 5.2",
        )
        .claims(claims::claims(&outcomes)?)
        .numbers(page::numbers(&before, &outcomes)?)
        .section(page::about(settings))
        .section(page::tables(&before, &outcomes)?)
        .section(page::curves(&outcomes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    #[test]
    fn a_study_of_a_few_steps_runs_to_its_end_and_repeats() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { seeds: Some(2), ..Options::new(dir.path()) };
        let settings = Settings {
            demonstrations: 64,
            epochs: 1.0,
            train: 6,
            held_out: 4,
            samples: 16,
            steps: 4,
            prompts: 3,
            ..Settings::of(&options)
        };
        let study = || Pkpo.measure(&settings, &options, &mut Silent).unwrap();
        let first = study();
        assert_eq!(first.all_claims().len(), 8);
        let numbers = first.to_json();
        assert_eq!(numbers["numbers"]["runs"].as_array().unwrap().len(), 10);
        first.write(dir.path()).unwrap();
        // Over what the first one left, with runs that end in another order.
        assert_eq!(study().to_json(), numbers);
    }

    #[test]
    fn a_disk_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        std::fs::write(&taken, "").unwrap();
        let error = Pkpo.run(&Options::new(&taken), &mut Silent).unwrap_err().to_string();
        assert!(error.contains("cannot create") && error.contains("taken"), "{error}");
    }
}
