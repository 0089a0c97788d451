//! `yelp`: the table of models of reviews, from a decision tree on meta features to a multi-task
//! BERT on text and meta features.
//!
//! Guda, Srivastava and Karkhanis 2022 (arXiv:2201.07999), table 1 and figure 7b. The paper's own
//! 36,692 reviews cannot be had; here they are made up, or the user's own.

mod claims;
mod fold;
mod models;
mod page;
mod rules;
mod score;
mod settings;
mod study;
mod table;

use self::settings::Settings;
use crate::{Experiment, Options, Progress, ReproduceError, Reproduction};

/// The experiment `yelp`.
#[derive(Debug, Clone, Copy)]
pub struct Yelp;

impl Experiment for Yelp {
    fn name(&self) -> &'static str {
        "yelp"
    }

    fn about(&self) -> &'static str {
        "stars of reviews from meta features, text and both: classical models, CNN, HAN, BERT"
    }

    fn reads_data(&self) -> bool {
        true
    }

    fn has_pretrained(&self) -> bool {
        true
    }

    fn ready(&self, options: &Options) -> Result<(), ReproduceError> {
        Settings::of(options).encoder.check()
    }

    fn minutes(&self) -> f64 {
        40.0
    }

    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        self.at_size(&Settings::of(options), options, progress)
    }
}

impl Yelp {
    fn at_size(
        self,
        settings: &Settings,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError> {
        let seeds = options.seeds_or(settings.seeds)?;
        let study = study::run(settings, options, seeds, progress)?;
        let sections = [
            page::about(settings, options, &study),
            page::grid(&study),
            page::learning(&study),
            page::balance(&study),
            page::strengths(&study),
        ];
        let outcome = Reproduction::new(
            self.name(),
            options,
            "Stars of reviews from text and meta features",
            "Guda, Srivastava and Karkhanis 2022, arXiv:2201.07999, table 1 and figure 7b",
            page::design(settings, options, seeds),
        )
        .claims(claims::claims(&study))
        .numbers(page::numbers(&study));
        let sections = sections.into_iter().chain(page::likeness(&study));
        Ok(sections.fold(outcome, Reproduction::section))
    }
}

#[cfg(test)]
mod tests;
