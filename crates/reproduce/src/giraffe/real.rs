//! `giraffe --full`: a real model on other bases, asked for lines beyond the length it was trained
//! for, before and after a short training, in some hours of one processor.

mod arm;
mod claims;
mod page;
mod reading;
mod records;
mod settings;
mod shares;
#[cfg(test)]
mod small;
mod study;
#[cfg(test)]
mod tests;
mod training;

use self::settings::{RECORDS, Settings};
use crate::{Options, Progress, ReproduceError, Reproduction};

/// Makes the study, or what an interrupted one left to do.
pub(super) fn run(
    name: &'static str,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Reproduction, ReproduceError> {
    of(name, &Settings::smollm2(), options, progress)
}

fn of(
    name: &'static str,
    settings: &Settings,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Reproduction, ReproduceError> {
    let records = options.seeds_or(RECORDS)?;
    let study = study::run(settings, records, options, progress)?;
    Ok(Reproduction::new(
        name,
        options,
        "Longer context by changing the basis of a real model",
        "Pal et al. 2023, arXiv:2308.10882",
        page::design(settings, options, records),
    )
    .claims(claims::claims(&study, settings))
    .numbers(page::numbers(settings, records, &study))
    .section(page::about(settings, records, &study))
    .section(page::accuracies(settings, &study))
    .section(page::comparisons(settings, &study))
    .section(page::maps(settings, &study))
    .section(page::cost(&study)))
}
