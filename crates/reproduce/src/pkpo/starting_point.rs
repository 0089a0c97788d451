//! What all runs of a seed start from: puzzles, and a model taught to write expressions, right
//! seldom.

use std::fs;
use std::path::Path;

use bestof_tasks::rows::write_rows;
use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::launch::supervised;
use bestof_trainer::run::TrainOptions;
use serde::{Deserialize, Serialize};

use super::puzzles::draw;
use super::seed_files::Files;
use super::settings::{SHAPE, Settings};
use super::solves::{Solves, measure};
use crate::jobs::fresh;
use crate::kept::{OUTCOME_FILE, keep, made_with, taken_up};
use crate::{Options, Progress, ReproduceError};

/// What sets the draws of the frozen arm apart from those of all others.
const OTHER_DRAWS: u64 = 0x6672_6F7A_656E;

/// A seed's start.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) seed: u64,
    pub(super) files: Files,
    pub(super) solves: BaseSolves,
}

/// What the base model solves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BaseSolves {
    /// With the draws of all other policies.
    pub(super) before: Solves,
    /// With draws of its own.
    pub(super) frozen: Solves,
}

/// Makes puzzles and model, or takes up those of an earlier start with the same settings.
pub(super) fn prepare(
    settings: &Settings,
    options: &Options,
    seed: u64,
    progress: &mut dyn Progress,
) -> Result<Base, ReproduceError> {
    let files = Files::of(&options.out, seed);
    let run = files.dir.join("base");
    let training = training(settings, seed);
    let made_with = made_with(options, seed, &settings.made_with(&training));
    let outcome = run.join(OUTCOME_FILE);
    let kept = taken_up(&outcome, &made_with, progress);
    if let Some(solves) = kept.filter(|_| files.model.is_dir()) {
        return Ok(Base { seed, files, solves });
    }
    fs::create_dir_all(&files.dir).map_err(ReproduceError::io("cannot create", &files.dir))?;
    write_puzzles(settings, &files, seed)?;
    fresh(&run)?;
    teach(settings, options, &files, &run, seed, &training, progress)?;
    let solves = |draws| measure(settings, &options.device, &files, &files.model, draws);
    let solves = BaseSolves { before: solves(seed)?, frozen: solves(seed ^ OTHER_DRAWS)? };
    keep(&outcome, &made_with, &solves)?;
    Ok(Base { seed, files, solves })
}

fn write_puzzles(settings: &Settings, files: &Files, seed: u64) -> Result<(), ReproduceError> {
    let puzzles = draw(settings, seed)?;
    write_rows(&files.demonstrations, &puzzles.demonstrations)?;
    write_rows(&files.train, &puzzles.train)?;
    let paths = files.validation.iter().chain(&files.held_out);
    for (path, rows) in paths.zip(puzzles.validation.iter().chain(&puzzles.held_out)) {
        write_rows(path, rows)?;
    }
    Ok(())
}

/// The settings of the supervised run but for its files.
fn training(settings: &Settings, seed: u64) -> String {
    let (rate, lora) =
        if settings.model.is_some() { (2e-4, "[lora]\nr = 16\n") } else { (3e-3, "") };
    format!(
        "[train]\nlearning_rate = {rate:?}\nnum_train_epochs = {:?}\nper_device_train_batch_size = 64\n\
         lr_scheduler_type = \"cosine\"\nwarmup_ratio = 0.05\nlogging_steps = 10\nsave_steps = 0\n\
         seed = {seed}\n{lora}",
        settings.epochs,
    )
}

/// The supervised run.
fn teach(
    settings: &Settings,
    options: &Options,
    files: &Files,
    run: &Path,
    seed: u64,
    training: &str,
    progress: &mut dyn Progress,
) -> Result<(), ReproduceError> {
    let model = if let Some(model) = &settings.model {
        model.clone()
    } else {
        let untrained = files.dir.join("untrained");
        SHAPE.write(&untrained, seed)?;
        untrained
    };
    let text = format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = 256\n[output]\ndir = {}\n{training}",
        toml_path(&model),
        toml_text(&options.device),
        toml_path(&files.demonstrations),
        toml_path(run),
    );
    let config = RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?;
    supervised(&config, &TrainOptions::default(), progress)?;
    Ok(())
}
