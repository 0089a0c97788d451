//! The policy-gradient runs, and what the policies can do afterwards.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bestof_checkpoints::ModelFolder;
use bestof_estimators::mean_pass_at_k;
use bestof_models::{CausalLm, Decoder, open_device};
use bestof_report::RunFolder;
use bestof_tasks::rows::ReadOptions;
use bestof_trainer::TrainError;
use bestof_trainer::config::{RewardSection, RolloutSection, RunConfig, toml_path, toml_text};
use bestof_trainer::data::{EncodeOptions, Encoder};
use bestof_trainer::launch::{reinforce, sampler_of};
use bestof_trainer::progress::Silent;
use bestof_trainer::reinforce::{load_problems, sample_all};
use bestof_trainer::run::TrainOptions;

use super::arm::Arm;
use super::settings::{N, Settings};
use super::starting_point::Start;
use crate::jobs::{fresh, side_by_side};
use crate::{Options, Progress, ReproduceError};

/// Completions, and how many of them passed, of each prompt of a set.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Passed(pub(super) Vec<(usize, usize)>);

impl Passed {
    /// Mean pass@k over the prompts.
    pub(super) fn pass_at(&self, k: usize) -> Result<f64, ReproduceError> {
        Ok(mean_pass_at_k(&self.0, k)?.value)
    }
}

/// What a policy solves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solves {
    /// Held-out puzzles of the first kind.
    pub(super) easy: Passed,
    /// Held-out puzzles of the second kind.
    pub(super) hard: Passed,
    /// Both.
    pub(super) held_out: Passed,
    /// The puzzles of training.
    pub(super) train: Passed,
}

/// A finished run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) arm: Arm,
    pub(super) seed: u64,
    pub(super) solves: Solves,
    metrics: RunFolder,
}

impl Outcome {
    /// A metric over the steps.
    pub(super) fn curve(&self, metric: &str) -> Vec<(f64, f64)> {
        self.metrics.curve(metric)
    }

    /// A metric after the last step.
    pub(super) fn last(&self, metric: &str) -> f64 {
        self.metrics.last(metric).unwrap_or(f64::NAN)
    }

    /// The mean of a metric over the last tenth of the steps.
    pub(super) fn late(&self, metric: &str) -> f64 {
        let curve = self.curve(metric);
        let tail = &curve[curve.len() - curve.len().div_ceil(10)..];
        tail.iter().map(|(_, value)| value).sum::<f64>() / tail.len() as f64
    }

    /// What the second half of the steps adds to a metric.
    pub(super) fn second_half(&self, metric: &str) -> f64 {
        let curve = self.curve(metric);
        match (curve.get(curve.len() / 2), curve.last()) {
            (Some((_, middle)), Some((_, last))) => last - middle,
            _ => f64::NAN,
        }
    }
}

/// Every arm with every seed. The order of the results is that of seeds and arms, whatever ends
/// first.
///
/// Small models leave a processor idle between their small products, so that their runs go side by
/// side; a real model uses all processors by itself, and fills the memory.
pub(super) fn all(
    settings: &Settings,
    options: &Options,
    start: &Start,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Outcome>, ReproduceError> {
    let jobs: Vec<Job> = (0..seeds as u64)
        .flat_map(|seed| Arm::ALL.map(|arm| Job { arm, seed: options.seed.wrapping_add(seed) }))
        .collect();
    let work = |job: Job, progress: &mut dyn Progress| one(settings, options, start, job, progress);
    if settings.model.is_some() {
        let mut done = Vec::with_capacity(jobs.len());
        for job in &jobs {
            let started = Instant::now();
            done.push(work(*job, progress)?);
            tell(progress, *job, done.len(), jobs.len(), started.elapsed());
        }
        return Ok(done);
    }
    let mut done = 0;
    side_by_side(&jobs, &|job| work(*job, &mut Silent), &mut |job, took| {
        done += 1;
        tell(progress, *job, done, jobs.len(), took);
    })
}

/// A run to be made.
#[derive(Debug, Clone, Copy)]
struct Job {
    arm: Arm,
    seed: u64,
}

fn tell(progress: &mut dyn Progress, job: Job, done: usize, all: usize, took: Duration) {
    let (label, seconds) = (job.arm.label(), took.as_secs_f64());
    let left = all - done;
    progress.notice(&format!("{label}, seed {}: {seconds:.0} s; {left} runs to go", job.seed));
    progress.rows("runs", done, all);
}

fn one(
    settings: &Settings,
    options: &Options,
    start: &Start,
    job: Job,
    progress: &mut dyn Progress,
) -> Result<Outcome, ReproduceError> {
    let Job { arm, seed } = job;
    let run = options.out.join(format!("{}-seed{seed}", arm.name()));
    fresh(&run)?;
    let config = config(settings, options, start, job, &run)?;
    let finished = reinforce(&config, &TrainOptions::default(), progress)?;
    let solves = measure(settings, options, start, &finished.model)?;
    let metrics = RunFolder::open(&run)?;
    Ok(Outcome { arm, seed, solves, metrics })
}

fn config(
    settings: &Settings,
    options: &Options,
    start: &Start,
    job: Job,
    run: &Path,
) -> Result<RunConfig, ReproduceError> {
    let Job { arm, seed } = job;
    let lora = if settings.model.is_some() { "[lora]\nr = 16\n" } else { "" };
    let text = format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = 256\n[output]\ndir = {}\n\
         [train]\nlearning_rate = {:?}\nmax_steps = {}\nper_device_train_batch_size = {}\n\
         lr_scheduler_type = \"constant_with_warmup\"\nwarmup_steps = 5\nsave_steps = 0\nseed = {seed}\n\
         [rollout]\nnum_generations = {N}\nmax_new_tokens = {}\nmax_batch = {}\n\
         [reward]\nverifier = \"countdown\"\nworkers = 1\n\
         [objective]\n{}{lora}",
        toml_path(&start.model),
        toml_text(&options.device),
        toml_path(&start.train),
        toml_path(run),
        settings.learning_rate,
        settings.steps,
        settings.prompts,
        rollout(settings).max_new_tokens,
        rollout(settings).max_batch,
        arm.objective(settings),
    );
    Ok(RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?)
}

fn rollout(settings: &Settings) -> RolloutSection {
    RolloutSection {
        num_generations: settings.samples,
        max_new_tokens: 20,
        max_batch: N * settings.prompts,
        ..RolloutSection::default()
    }
}

/// Samples the model on all three sets.
pub(super) fn measure(
    settings: &Settings,
    options: &Options,
    start: &Start,
    model: &Path,
) -> Result<Solves, ReproduceError> {
    let [easy, hard, train] = sampled(settings, options, start, model)?;
    let held_out = Passed(easy.0.iter().chain(&hard.0).copied().collect());
    Ok(Solves { easy, hard, held_out, train })
}

fn sampled(
    settings: &Settings,
    options: &Options,
    start: &Start,
    model: &Path,
) -> Result<[Passed; 3], TrainError> {
    let folder = ModelFolder::open(model)?;
    let decoder = Decoder::open(&folder, &open_device(&options.device)?)?;
    let tokenizer = folder.tokenizer()?;
    let encoding = EncodeOptions { append_end_of_text: false, ..EncodeOptions::training() };
    let encoder = Encoder::new(tokenizer, folder.chat_template.as_ref(), encoding)?;
    let rollout = rollout(settings);
    let reward = RewardSection {
        verifier: bestof_trainer::config::VerifierName::BuiltIn(
            bestof_tasks::verify::VerifierKind::Countdown,
        ),
        workers: 1,
        ..RewardSection::default()
    };
    let ends = folder.generation.eos_token_ids.clone();
    let sampler = sampler_of(&rollout, &reward, ends, decoder.max_positions(), tokenizer);
    let solve = |path: &PathBuf| -> Result<Passed, TrainError> {
        let asked = rollout.problem_settings(&reward);
        let problems = load_problems(path, &encoder, &ReadOptions::default(), &asked)?;
        let seed = options.seed;
        let groups =
            sample_all(&decoder, &problems.items, &sampler, settings.samples, seed, &mut Silent)?;
        Ok(Passed(groups.iter().map(|group| (group.rollouts.len(), group.passed())).collect()))
    };
    let [easy, hard] = &start.held_out;
    Ok([solve(easy)?, solve(hard)?, solve(&start.train)?])
}
