//! A comparison of arms: what is run, what is said of it, and the page.

use super::compared::Compared;
use super::settings::Settings;
use super::{numbers, page, runs};
use crate::{Claim, Design, Experiment, Options, Progress, ReproduceError, Reproduction};

/// Seeds, each with a base model of its own.
const SEEDS: usize = 5;

/// An experiment that compares arms.
#[derive(Debug)]
pub(crate) struct Study {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// On two idle cores.
    pub(super) minutes: f64,
    pub(super) settings: fn(&Options) -> Settings,
    pub(super) title: &'static str,
    pub(super) source: &'static str,
    /// How learning rates are chosen, in words.
    pub(super) choice: fn(&Settings) -> String,
    /// What was tried before the settings were fixed.
    pub(super) tried: &'static str,
    pub(super) claims: fn(&Compared) -> Vec<Claim>,
}

impl Experiment for Study {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn minutes(&self) -> f64 {
        self.minutes
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        self.measure(&(self.settings)(options), options, progress)
    }
}

impl Study {
    /// Runs every arm from every base, and judges the claims.
    pub(super) fn measure(
        &self,
        settings: &Settings,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(SEEDS)?;
        let bases = runs::bases(settings, options, seeds, progress)?;
        let outcomes = runs::all(settings, options, &bases, progress)?;
        let before: Vec<_> = bases.into_iter().map(|base| base.solves.before).collect();
        let compared = Compared::of(settings, &before, &outcomes)?;
        Ok(Reproduction::new(
            self.name,
            options,
            self.title,
            self.source,
            self.design(options, seeds),
        )
        .claims((self.claims)(&compared))
        .numbers(numbers::numbers(&compared))
        .section(page::about(settings, (self.choice)(settings)))
        .section(page::tables(&compared))
        .section(page::gains(&compared, settings.against))
        .section(page::curves(&compared, &outcomes)))
    }

    fn design(&self, options: &Options, seeds: usize) -> Design {
        Design {
            seeds: format!("{seeds}, from {}", options.seed),
            varies: "the base model with its first weights and demonstrations, the training, validation and held-out \
                     puzzles, and every draw; all arms of a seed share base model, puzzles and order"
                .into(),
            correction: "the p-values of all gains claimed are corrected for each other by Holm's method at 2.5 % \
                         one-sided; a claim counts with the largest p-value of its effects. What is claimed besides gains \
                         goes by its 95 % interval alone, and says so"
                .into(),
            tried: self.tried.into(),
        }
    }
}
