//! The model that is extended, what it is asked, and the rows it is trained on afterwards.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_tasks::long_context::documents::InventedDocuments;
use bestof_tasks::long_context::{
    Depths, LongContextError, QaSource, RetrievalTask, Suite, SuiteConfig,
};
use bestof_tasks::rng::{SeededRng, Split};
use bestof_tasks::rows::{CompletionRow, SupervisedRow, write_rows};
use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::launch::supervised;
use bestof_trainer::progress::Progress;
use bestof_trainer::run::TrainOptions;

use super::documents::{case, long_text, training_row};
use super::measure::{Questions, open};
use super::size::{DEPTHS, Size, Training};
use crate::{Options, ReproduceError};

/// Streams of a repetition's seed.
const TEACHING: u64 = 1;
const EXTENDED: u64 = 2;
const CASES: u64 = 3;
const TEXTS: u64 = 4;

/// One repetition's base model and everything made for it.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) dir: PathBuf,
    pub(super) seed: u64,
    /// The trained model, at its own context.
    pub(super) model: PathBuf,
    /// Rows to train extended models on.
    pub(super) rows: PathBuf,
    pub(super) questions: Questions,
}

/// Makes repetition `number`.
pub(super) fn prepare(
    options: &Options,
    size: &Size,
    number: usize,
    progress: &mut dyn Progress,
) -> Result<Base, ReproduceError> {
    // Configurations hold seeds as signed numbers.
    let seed = options.seed % (1 << 50) * 1000 + number as u64;
    let dir = options.out.join("runs").join(format!("seed-{number}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(ReproduceError::io("cannot replace", &dir))?;
    }
    fs::create_dir_all(&dir).map_err(ReproduceError::io("cannot create", &dir))?;
    let rows = dir.join("extended.jsonl");
    let (model, questions) = if let Some(model) = &size.model {
        write_rows(&rows, &real_rows(model, size, seed)?)?;
        (model.clone(), real_questions(model, size, seed)?)
    } else {
        let model = teach(options, size, seed, &dir, progress)?;
        let length = size.trained_length();
        let mut draw = SeededRng::new(seed, EXTENDED);
        let made: Vec<CompletionRow> =
            (0..size.extended.rows).map(|_| training_row(&mut draw, length / 4, length)).collect();
        write_rows(&rows, &made)?;
        (model, small_questions(size, seed))
    };
    Ok(Base { dir, seed, model, rows, questions })
}

/// Teaches a new small model at its own context.
fn teach(
    options: &Options,
    size: &Size,
    seed: u64,
    dir: &Path,
    progress: &mut dyn Progress,
) -> Result<PathBuf, ReproduceError> {
    let untrained = dir.join("untrained");
    size.shape.write(&untrained, seed)?;
    let mut draw = SeededRng::new(seed, TEACHING);
    let made: Vec<CompletionRow> = (0..size.taught.rows)
        .map(|_| training_row(&mut draw, size.context / 4, size.context))
        .collect();
    let rows = dir.join("taught.jsonl");
    write_rows(&rows, &made)?;
    let out = dir.join("taught");
    let text = run_text(&untrained, &rows, &out, &options.device, size.taught, seed);
    let config = RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?;
    Ok(supervised(&config, &TrainOptions::default(), progress)?.model)
}

/// The settings that all runs share.
pub(super) fn run_text(
    model: &Path,
    rows: &Path,
    out: &Path,
    device: &str,
    training: Training,
    seed: u64,
) -> String {
    format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = {MAX_LENGTH}\n[output]\ndir = {}\n\
         [train]\nlearning_rate = {:?}\nmax_steps = {}\nper_device_train_batch_size = {}\n\
         lr_scheduler_type = \"cosine\"\nwarmup_ratio = 0.1\nlogging_steps = 10\n\
         save_steps = 0\nsave_total_limit = 1\nseed = {seed}\n",
        toml_path(model),
        toml_text(device),
        toml_path(rows),
        toml_path(out),
        training.rate,
        training.steps,
        training.batch,
    )
}

/// No row is longer; a model's own length is a bound besides.
const MAX_LENGTH: usize = 1 << 20;

fn small_questions(size: &Size, seed: u64) -> Questions {
    let mut cases = Vec::new();
    for length in size.lengths() {
        for (cell, depth) in DEPTHS.into_iter().enumerate() {
            for item in 0..size.cases {
                // The same stream at every length.
                let mut draw =
                    SeededRng::new(seed, CASES << 32 | (cell * size.cases + item) as u64);
                cases.push(case(&mut draw, length, depth, item));
            }
        }
    }
    let mut draw = SeededRng::new(seed, TEXTS);
    let texts = (0..size.texts).map(|_| long_text(&mut draw, size.longest())).collect();
    Questions { cases, texts }
}

/// The paper's lines and invented documents, as long as a model's tokenizer has them.
fn real_questions(model: &Path, size: &Size, seed: u64) -> Result<Questions, ReproduceError> {
    let folder = open(model)?;
    let tokenizer = folder.tokenizer().map_err(TrainError::from)?;
    // A text that cannot be encoded counts as too long for any prompt.
    let count = |text: &str| tokenizer.encode(text, false).map_or(usize::MAX / 2, |ids| ids.len());
    let config = SuiteConfig::new(RetrievalTask::LongchatLines)
        .lengths(size.lengths().to_vec())
        // The answer, and tokens that begin every text.
        .reserve(size.answer + 2)
        .depths(Depths::At(DEPTHS.to_vec()))
        .cases_per_cell(size.cases)
        .seed(seed);
    let suite = Suite::new(config, QaSource::Invented, &count)?;
    let cases = suite.collect::<Result<Vec<_>, LongContextError>>()?;
    let (documents, mut next) = (InventedDocuments::new(seed, Split::HeldOut), 0);
    let texts = (0..size.texts)
        .map(|_| {
            let (row, after) = documents.text_row(next, size.longest() + size.scored, &count);
            next = after;
            row.text.last_text().to_owned()
        })
        .collect();
    Ok(Questions { cases, texts })
}

/// Lines with their answers, and as many long texts, to train on.
fn real_rows(model: &Path, size: &Size, seed: u64) -> Result<Vec<SupervisedRow>, ReproduceError> {
    let folder = open(model)?;
    let tokenizer = folder.tokenizer().map_err(TrainError::from)?;
    let count = |text: &str| tokenizer.encode(text, false).map_or(usize::MAX / 2, |ids| ids.len());
    let config = SuiteConfig::new(RetrievalTask::LongchatLines)
        .lengths(vec![size.context / 4, size.context, size.trained_length()])
        .reserve(size.answer + 2)
        .cases_per_cell(size.extended.rows.div_ceil(6))
        .seed(seed)
        .split(Split::Train);
    let mut rows = Vec::new();
    for case in Suite::new(config, QaSource::Invented, &count)? {
        rows.push(SupervisedRow::Completion(case?.to_completion_row()));
    }
    let (documents, mut next) = (InventedDocuments::new(seed, Split::Train), 0);
    for _ in 0..rows.len() {
        let (row, after) = documents.text_row(next, size.trained_length(), &count);
        next = after;
        rows.push(SupervisedRow::Text(row));
    }
    Ok(rows)
}
