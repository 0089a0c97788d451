//! Training of the extended model on lookups in records longer than those it knows.

use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_report::RunFolder;
use bestof_tasks::rng::{SeededRng, Split};
use bestof_tasks::rows::{ChatMessage, CompletionRow, Content, SupervisedRow, TextRow, write_rows};
use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::export::FINAL;
use bestof_trainer::launch::supervised;
use bestof_trainer::run::TrainOptions;
use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::records::{Writer, spread};
use super::settings::Settings;
use crate::jobs::fresh;
use crate::kept::{Kept, keep, look};
use crate::{Options, Progress, ReproduceError};

/// Records of training are numbered from here, those that are asked about from 0.
const FIRST_RECORD: u64 = 1 << 32;
/// Tokens by which a turn of a conversation may be longer than the first one, on average.
const TURN_SLACK: usize = 4;

/// What training took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Trained {
    /// Tokens of all windows.
    pub(super) tokens: u64,
    /// The loss of each step, nats per token of an answer.
    pub(super) losses: Vec<f64>,
    /// Seconds of all steps, whichever start made them.
    pub(super) seconds: f64,
}

/// Trains, goes on with a training that was interrupted, or takes up what one left: the folder of
/// the trained model, and what it took.
pub(super) fn trained(
    settings: &Settings,
    options: &Options,
    base: &ModelFolder,
    made_with: &str,
    progress: &mut dyn Progress,
) -> Result<(PathBuf, Trained), ReproduceError> {
    let dir = options.out.join("trained");
    let (started, ended, run) =
        (dir.join("started.json"), dir.join("outcome.json"), dir.join("run"));
    let made_with = format!("{made_with}\n{:?}", settings.training);
    let found = look::<bool>(&started, &made_with);
    if matches!(found, Kept::Other) {
        let dir = dir.display();
        progress.notice(&format!("{dir} was made with other settings, and is made anew"));
    }
    if !matches!(found, Kept::Outcome(_)) {
        fresh(&dir)?;
        keep(&started, &made_with, &true)?;
    }
    let model = run.join(FINAL);
    if let Kept::Outcome(outcome) = look(&ended, &made_with)
        && model.exists()
    {
        return Ok((model, outcome));
    }
    let rows = dir.join("rows.jsonl");
    write_rows(&rows, &windows(settings, options.seed, base)?)?;
    // Weights on the new basis, which answers are then learned on as `sft` learns them.
    let (extended, on_basis) = (dir.join("extended"), Arm::Linear.put_on(base)?);
    if !extended.exists() {
        base.derive(&extended, &on_basis.config).map_err(TrainError::from)?;
    }
    let text = configuration(settings, options, (&extended, &on_basis), &rows, &run);
    let config = RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?;
    let how = TrainOptions { resume: true, ..TrainOptions::default() };
    let finished = supervised(&config, &how, progress)?;
    let outcome = took(&run)?;
    keep(&ended, &made_with, &outcome)?;
    Ok((finished.model, outcome))
}

/// What the metrics of a run say it took.
fn took(run: &Path) -> Result<Trained, ReproduceError> {
    let metrics = RunFolder::open(run)?;
    let values = |name| metrics.curve(name).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    let (tokens, pace) = (values("num_tokens"), values("tokens_per_second"));
    let mut before = 0.0;
    let seconds = tokens.iter().zip(pace).map(|(&tokens, pace)| {
        let step = tokens - before;
        before = tokens;
        step / pace
    });
    let seconds = seconds.sum();
    let tokens = tokens.last().map_or(0, |&tokens| tokens as u64);
    Ok(Trained { tokens, losses: values("loss"), seconds })
}

fn configuration(
    settings: &Settings,
    options: &Options,
    (model, folder): (&Path, &ModelFolder),
    rows: &Path,
    run: &Path,
) -> String {
    let answers = if folder.chat_template.is_some() { "assistant_only_loss = true\n" } else { "" };
    format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = {}\n{answers}[output]\ndir = {}\n\
         [train]\nlearning_rate = {:?}\nmax_steps = {}\nper_device_train_batch_size = 1\n\
         lr_scheduler_type = \"linear\"\nwarmup_steps = {}\nlogging_steps = 1\nsave_steps = 1\n\
         save_total_limit = 2\ngradient_checkpointing = true\nseed = {}\n[lora]\nr = 16\n",
        toml_path(model),
        toml_text(&options.device),
        toml_path(rows),
        folder.config["max_position_embeddings"],
        toml_path(run),
        settings.training.rate,
        settings.training.steps,
        settings.training.steps.min(2) - 1,
        // Configurations hold seeds as signed numbers.
        options.seed % (1 << 50),
    )
}

/// A row for each window: a record with lookups in it, one after the other where the model
/// converses.
fn windows(
    settings: &Settings,
    seed: u64,
    base: &ModelFolder,
) -> Result<Vec<SupervisedRow>, ReproduceError> {
    let writer = Writer::new(base)?;
    let lookups = if writer.converses() { settings.training.lookups } else { 1 };
    let mut rows = Vec::new();
    for (number, length) in settings.windows().into_iter().enumerate() {
        rows.push(window(&writer, (seed, FIRST_RECORD + number as u64), length, lookups)?);
    }
    Ok(rows)
}

fn window(
    writer: &Writer<'_>,
    number: (u64, u64),
    length: usize,
    lookups: usize,
) -> Result<SupervisedRow, ReproduceError> {
    let answer = |key: &str, value: u32| format!("{}{value}>.", writer.opening(key));
    let turn = |key: &str, value: u32| {
        [
            ChatMessage::user(format!("What is the <REGISTER_CONTENT> in line {key}?")),
            ChatMessage::assistant(answer(key, value)),
        ]
    };
    let first = writer.record(number, Split::Train, length, 0)?;
    let (key, value) = &first.lines[0];
    let turn_tokens: usize = turn(key, *value)
        .iter()
        .map(|message| writer.count(&format!("<|im_start|>user\n{}<|im_end|>\n", message.text())))
        .sum();
    let after = (lookups - 1) * (turn_tokens + TURN_SLACK) + TURN_SLACK;
    let mut record = writer.record(number, Split::Train, length, after)?;
    // The lines asked for lie evenly over the record, and are asked for in no order of theirs.
    let mut asked: Vec<usize> = spread(record.lines.len(), lookups).collect();
    SeededRng::new(number.0, number.1).shuffle(&mut asked);
    record.target = asked[0];
    let (key, value) = record.lines[record.target].clone();
    if !writer.converses() {
        let prompt = format!("{}{}", record.text(), writer.opening(&key));
        return Ok(SupervisedRow::Completion(CompletionRow::new(prompt, format!("{value}>."))));
    }
    let mut messages =
        vec![ChatMessage::user(record.text()), ChatMessage::assistant(answer(&key, value))];
    for line in &asked[1..] {
        let (key, value) = &record.lines[*line];
        messages.extend(turn(key, *value));
    }
    Ok(SupervisedRow::Text(TextRow::new(Content::Messages(messages))))
}
