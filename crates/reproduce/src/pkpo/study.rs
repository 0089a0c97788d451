//! A comparison of arms: what is run, what is said of it, and the page.

use super::compared::Compared;
use super::settings::Settings;
use super::{numbers, page, runs};
use crate::{Claim, Experiment, Options, Progress, ReproduceError, Reproduction};

/// Seeds, each with a base model of its own.
const SEEDS: usize = 5;

/// An experiment that compares arms.
#[derive(Debug)]
pub(crate) struct Study {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) settings: fn(&Options) -> Settings,
    pub(super) title: &'static str,
    pub(super) source: &'static str,
    /// How learning rates are chosen, in words.
    pub(super) choice: fn(&Settings) -> String,
    pub(super) claims: fn(&Compared) -> Vec<Claim>,
}

impl Experiment for Study {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
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
        Ok(Reproduction::new(self.name, options, self.title, self.source)
            .claims((self.claims)(&compared))
            .numbers(numbers::numbers(&compared))
            .section(page::about(settings, (self.choice)(settings)))
            .section(page::tables(&compared))
            .section(page::gains(&compared, settings.against))
            .section(page::curves(&compared, &outcomes)))
    }
}
