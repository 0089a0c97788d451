//! Data and the model that all runs start from: taught to write expressions, right seldom.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_tasks::rng::Split;
use bestof_tasks::rows::{AnswerRow, write_rows};
use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::launch::supervised;
use bestof_trainer::run::TrainOptions;

use super::puzzles::{demonstrations, puzzles, without};
use super::settings::{SHAPE, Settings};
use crate::jobs::fresh;
use crate::{Options, Progress, ReproduceError};

/// The files every run reads.
#[derive(Debug)]
pub(super) struct Start {
    /// The model after the supervised run.
    pub(super) model: PathBuf,
    /// Training puzzles, easy ones first.
    pub(super) train: PathBuf,
    /// Held-out puzzles of each kind.
    pub(super) held_out: [PathBuf; 2],
}

/// Makes puzzles and model.
pub(super) fn prepare(
    settings: &Settings,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Start, ReproduceError> {
    let out = &options.out;
    fs::create_dir_all(out).map_err(ReproduceError::io("cannot create", out))?;
    let seed = options.seed;
    let half = settings.demonstrations / 2;
    let mut shown = Vec::new();
    for kind in &settings.kinds {
        let rows = puzzles(kind, half, seed, Split::Train)?;
        shown.extend(demonstrations(&rows, settings.right_every));
    }
    let demonstrated = out.join("demonstrations.jsonl");
    write_rows(&demonstrated, &shown)?;
    let mut train: Vec<AnswerRow> = Vec::new();
    for kind in &settings.kinds {
        let drawn = puzzles(kind, settings.train * 4, seed ^ 0x7261_696E, Split::Train)?;
        train.extend(without(drawn, &shown).into_iter().take(settings.train));
    }
    let files = Start {
        model: out.join("base").join(bestof_trainer::export::FINAL),
        train: out.join("train.jsonl"),
        held_out: ["held-out-easy.jsonl", "held-out-hard.jsonl"].map(|name| out.join(name)),
    };
    write_rows(&files.train, &train)?;
    for (kind, path) in settings.kinds.iter().zip(&files.held_out) {
        write_rows(path, &puzzles(kind, settings.held_out, seed, Split::HeldOut)?)?;
    }
    teach(settings, options, &demonstrated, progress)?;
    Ok(files)
}

/// The supervised run.
fn teach(
    settings: &Settings,
    options: &Options,
    rows: &Path,
    progress: &mut dyn Progress,
) -> Result<(), ReproduceError> {
    let (run, untrained) = (options.out.join("base"), options.out.join("untrained"));
    fresh(&run)?;
    let (model, lora) = if let Some(model) = &settings.model {
        (model.clone(), "[lora]\nr = 16\n")
    } else {
        SHAPE.write(&untrained, options.seed)?;
        (untrained, "")
    };
    let text = format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = 256\n[output]\ndir = {}\n\
         [train]\nlearning_rate = {:?}\nnum_train_epochs = {:?}\nper_device_train_batch_size = 64\n\
         lr_scheduler_type = \"cosine\"\nwarmup_ratio = 0.05\nlogging_steps = 10\nsave_steps = 0\nseed = {}\n{lora}",
        toml_path(&model),
        toml_text(&options.device),
        toml_path(rows),
        toml_path(&run),
        if settings.model.is_some() { 2e-4 } else { 3e-3 },
        settings.epochs,
        options.seed,
    );
    let config = RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?;
    supervised(&config, &TrainOptions::default(), progress)?;
    Ok(())
}
