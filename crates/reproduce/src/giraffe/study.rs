//! The runs: every repetition's base model is extended by every basis, measured, trained, and
//! measured again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bestof_checkpoints::ModelFolder;
use bestof_models::ModelError;
use bestof_trainer::TrainError;
use bestof_trainer::config::RunConfig;
use bestof_trainer::launch::{extension, supervised};
use bestof_trainer::progress::{Progress, Silent};
use bestof_trainer::run::TrainOptions;

use super::basis::{ALL, Basis, PLAIN};
use super::groundwork::{Base, prepare, run_text};
use super::measure::{AtLength, measure, open, with_room};
use super::size::Size;
use crate::jobs::side_by_side;
use crate::{Options, ReproduceError};

/// What became of one model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) basis: Basis,
    /// Whether it was trained after the extension.
    pub(super) trained: bool,
    /// Another factor than that of the basis, in evaluation alone.
    pub(super) eval_factor: Option<f64>,
    /// The repetition, from 0.
    pub(super) repetition: usize,
    /// One for each length.
    pub(super) at: Vec<AtLength>,
}

/// Everything, repetition by repetition in the order of the bases.
pub(super) fn run(
    options: &Options,
    size: &Size,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Found>, ReproduceError> {
    let numbers: Vec<usize> = (0..seeds).collect();
    let small = size.model.is_none();
    let bases = many(&numbers, small, progress, "base models", |number, progress| {
        prepare(options, size, *number, progress)
    })?;
    let jobs: Vec<(usize, Basis)> =
        numbers.iter().flat_map(|number| ALL.map(|basis| (*number, basis))).collect();
    if !small {
        announce(options, size, &bases[0], jobs.len(), progress)?;
    }
    let found = many(&jobs, small, progress, "extended models", |(number, basis), progress| {
        let work = Work { options, size, base: &bases[*number], repetition: *number };
        work.extend(*basis, progress)
    })?;
    Ok(found.into_iter().flatten().collect())
}

/// All jobs in their order: small models side by side, a real one at a time, since it uses all
/// processors by itself.
fn many<J: Sync, T: Send>(
    jobs: &[J],
    small: bool,
    progress: &mut dyn Progress,
    what: &str,
    work: impl Fn(&J, &mut dyn Progress) -> Result<T, ReproduceError> + Sync,
) -> Result<Vec<T>, ReproduceError> {
    if small {
        progress.rows(what, 0, jobs.len());
        let mut done = 0;
        return side_by_side(jobs, &|job| work(job, &mut Silent), &mut |_, _| {
            done += 1;
            progress.rows(what, done, jobs.len());
        });
    }
    let started = Instant::now();
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs {
        done.push(work(job, progress)?);
        let left = started.elapsed() / done.len() as u32 * (jobs.len() - done.len()) as u32;
        progress.notice(&format!(
            "{what}: {} of {}, about {} left",
            done.len(),
            jobs.len(),
            hours(left)
        ));
    }
    Ok(done)
}

fn hours(time: Duration) -> String {
    format!("{:.1} hours", time.as_secs_f64() / 3600.0)
}

/// Says how long a real model takes, from one answer at the shortest length.
fn announce(
    options: &Options,
    size: &Size,
    base: &Base,
    jobs: usize,
    progress: &mut dyn Progress,
) -> Result<(), ReproduceError> {
    let shortest = size.lengths()[0];
    let mut questions = base.questions.clone();
    questions.cases.retain(|case| case.length_target == Some(shortest));
    questions.cases.truncate(1);
    questions.texts.truncate(1);
    progress.notice(&format!(
        "first one question and one text of {shortest} tokens, to tell how long all will take; without a GPU that alone is minutes"
    ));
    let started = Instant::now();
    measure(&open(&base.model)?, None, size, &[shortest], &questions, &options.device)?;
    let tokens = 2 * shortest;
    let token = started.elapsed().as_secs_f64() / tokens as f64;
    let asked: usize = base.questions.cases.iter().filter_map(|case| case.length_target).sum();
    let read: usize = size.lengths().iter().sum::<usize>() * base.questions.texts.len();
    let models: usize = ALL.iter().map(Basis::measurements).sum();
    let learned = size.extended.steps * size.extended.batch * size.trained_length();
    let repetitions = jobs / ALL.len();
    // Forward and backward pass are three forward passes.
    let all = repetitions * (models * (asked + read) + ALL.len() * 3 * learned);
    let whole = Duration::from_secs_f64(token * all as f64);
    progress.notice(&format!(
        "{tokens} tokens took {:.0} s; {all} will take {} at that pace, and longer ones are slower",
        started.elapsed().as_secs_f64(),
        hours(whole)
    ));
    Ok(())
}

/// One repetition.
pub(super) struct Work<'a> {
    pub(super) options: &'a Options,
    pub(super) size: &'a Size,
    pub(super) base: &'a Base,
    pub(super) repetition: usize,
}

impl Work<'_> {
    pub(super) fn extend(
        &self,
        basis: Basis,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Found>, ReproduceError> {
        let mut found = Vec::new();
        if !basis.needs_training() {
            let mut folder = open(&self.base.model)?;
            if basis != PLAIN {
                let section = basis.section(self.size.longest());
                let extension = section.extension().map_err(model_error)?;
                folder.config = extension.apply(&folder.config).map_err(model_error)?.config;
            }
            found.extend(self.measure_all(&folder, basis, false, basis.untrained_factors)?);
        }
        let trained = open(&self.train(basis, progress)?)?;
        found.extend(self.measure_all(&trained, basis, true, basis.eval_factors)?);
        Ok(found)
    }

    /// A model at its own factor and at others.
    fn measure_all(
        &self,
        folder: &ModelFolder,
        basis: Basis,
        trained: bool,
        factors: &[f64],
    ) -> Result<Vec<Found>, ReproduceError> {
        let (questions, device) = (&self.base.questions, &self.options.device);
        std::iter::once(None)
            .chain(factors.iter().copied().map(Some))
            .map(|eval_factor| {
                let at = measure(
                    folder,
                    eval_factor,
                    self.size,
                    &self.size.lengths(),
                    questions,
                    device,
                )?;
                Ok(Found { basis, trained, eval_factor, repetition: self.repetition, at })
            })
            .collect()
    }

    /// Trains the base model on the basis; the folder of the result.
    fn train(&self, basis: Basis, progress: &mut dyn Progress) -> Result<PathBuf, ReproduceError> {
        let Base { dir, model, rows, seed, .. } = self.base;
        let out = dir.join(basis.folder());
        let text = |model: &Path| {
            let training = self.size.extended;
            let mut text = run_text(model, rows, &out, &self.options.device, training, *seed);
            if self.size.model.is_some() {
                text.push_str("gradient_checkpointing = true\n[lora]\nr = 16\n");
            }
            text
        };
        let config = |text: &str| RunConfig::from_toml(text, &[]).map_err(TrainError::from);
        if basis == PLAIN {
            // No command trains a model beyond its length on its own basis.
            let roomy = dir.join("plain");
            let folder = open(model)?;
            let longer = with_room(folder.config.clone(), self.size.trained_length());
            folder.derive(&roomy, &longer).map_err(TrainError::from)?;
            let config = config(&text(&roomy))?;
            return Ok(supervised(&config, &TrainOptions::default(), progress)?.model);
        }
        let mut section = basis.section(self.size.longest());
        section.train_length = Some(self.size.trained_length());
        let mut config = config(&text(model))?;
        config.extend = Some(section);
        Ok(extension(&config, &TrainOptions::default(), progress)?.model)
    }
}

fn model_error(error: bestof_positional::RopeError) -> TrainError {
    ModelError::from(error).into()
}
