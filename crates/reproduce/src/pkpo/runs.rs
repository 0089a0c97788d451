//! The policy-gradient runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bestof_report::RunFolder;
use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::launch::reinforce;
use bestof_trainer::progress::Silent;
use bestof_trainer::run::TrainOptions;

use super::arm::{Arm, N};
use super::settings::Settings;
use super::solves::{Solves, measure, rollout};
use super::starting_point::{Base, prepare};
use crate::jobs::{fresh, side_by_side};
use crate::kept::{OUTCOME_FILE, keep, made_with, taken_up};
use crate::{Options, Progress, ReproduceError};

/// A finished run.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) arm: Arm,
    pub(super) rate: f64,
    pub(super) solves: Solves,
    /// None of an arm that is not trained.
    metrics: Option<RunFolder>,
}

impl Outcome {
    /// A metric over the steps.
    pub(super) fn curve(&self, metric: &str) -> Vec<(f64, f64)> {
        self.metrics.as_ref().map_or_else(Vec::new, |metrics| metrics.curve(metric))
    }

    /// The mean of a metric over the last tenth of the steps; NaN without any.
    pub(super) fn late(&self, metric: &str) -> f64 {
        let curve = self.curve(metric);
        let tail = &curve[curve.len() - curve.len().div_ceil(10)..];
        tail.iter().map(|(_, value)| value).sum::<f64>() / tail.len() as f64
    }
}

/// A run to be made.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    arm: Arm,
    rate: f64,
    base: &'a Base,
}

impl Job<'_> {
    fn name(&self) -> String {
        match self.arm {
            Arm::Frozen => self.arm.name(),
            arm => format!("{}-lr{:?}", arm.name(), self.rate),
        }
    }
}

/// The base model of every seed, in the order of seeds.
pub(super) fn bases(
    settings: &Settings,
    options: &Options,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<Base>, ReproduceError> {
    let seeds: Vec<u64> = (0..seeds as u64).map(|at| options.seed.wrapping_add(at)).collect();
    let work =
        |seed: &u64, progress: &mut dyn Progress| prepare(settings, options, *seed, progress);
    each(settings, &seeds, "base models", &|seed| format!("base model {seed}"), &work, progress)
}

/// Every arm at each of its learning rates from every base model. The order of the results is that
/// of seeds, arms and rates, whatever ends first.
pub(super) fn all(
    settings: &Settings,
    options: &Options,
    bases: &[Base],
    progress: &mut dyn Progress,
) -> Result<Vec<Outcome>, ReproduceError> {
    let mut jobs = Vec::new();
    for base in bases {
        for &arm in settings.arms {
            jobs.extend(arm.rates(settings).into_iter().map(|rate| Job { arm, rate, base }));
        }
    }
    let work = |job: &Job<'_>, progress: &mut dyn Progress| one(settings, options, *job, progress);
    let label = |job: &Job<'_>| format!("{}, seed {}", job.name(), job.base.seed);
    each(settings, &jobs, "runs", &label, &work, progress)
}

type Work<'a, J, T> = dyn Fn(&J, &mut dyn Progress) -> Result<T, ReproduceError> + Sync + 'a;

/// Does every job and tells of each.
///
/// Small models leave a processor idle between their small products, so that their runs go side by
/// side; a real model uses all processors by itself, and fills the memory.
fn each<J: Sync, T: Send>(
    settings: &Settings,
    jobs: &[J],
    what: &str,
    label: &dyn Fn(&J) -> String,
    work: &Work<'_, J, T>,
    progress: &mut dyn Progress,
) -> Result<Vec<T>, ReproduceError> {
    let mut ended = 0;
    let mut tell = |progress: &mut dyn Progress, job: &J, took: Duration| {
        ended += 1;
        let (left, seconds) = (jobs.len() - ended, took.as_secs_f64());
        progress.notice(&format!("{}: {seconds:.0} s; {left} {what} to go", label(job)));
        progress.rows(what, ended, jobs.len());
    };
    if settings.model.is_none() {
        return side_by_side(jobs, &|job| work(job, &mut Silent), &mut |job, took| {
            tell(progress, job, took);
        });
    }
    let mut done = Vec::with_capacity(jobs.len());
    for job in jobs {
        let started = Instant::now();
        done.push(work(job, progress)?);
        tell(progress, job, started.elapsed());
    }
    Ok(done)
}

/// Makes a run, or takes up what an earlier start with the same settings left of it.
fn one(
    settings: &Settings,
    options: &Options,
    job: Job<'_>,
    progress: &mut dyn Progress,
) -> Result<Outcome, ReproduceError> {
    let Job { arm, rate, base } = job;
    let (seed, files) = (base.seed, &base.files);
    if arm == Arm::Frozen {
        let solves = base.solves.frozen.clone();
        return Ok(Outcome { arm, rate, solves, metrics: None });
    }
    let run: PathBuf = files.dir.join(job.name());
    let training = training(settings, job);
    let made_with = made_with(options, seed, &settings.made_with(&training));
    let outcome = run.join(OUTCOME_FILE);
    let solves = if let Some(solves) = taken_up(&outcome, &made_with, progress) {
        solves
    } else {
        fresh(&run)?;
        let config = config(options, job, &run, &training)?;
        let finished = reinforce(&config, &TrainOptions::default(), progress)?;
        let solves = measure(settings, &options.device, files, &finished.model, seed)?;
        keep(&outcome, &made_with, &solves)?;
        solves
    };
    let metrics = Some(RunFolder::open(&run)?);
    Ok(Outcome { arm, rate, solves, metrics })
}

/// The settings of a run but for its files.
fn training(settings: &Settings, job: Job<'_>) -> String {
    let lora = if settings.model.is_some() { "[lora]\nr = 16\n" } else { "" };
    format!(
        "[train]\nlearning_rate = {:?}\nmax_steps = {}\nper_device_train_batch_size = {}\n\
         lr_scheduler_type = \"constant_with_warmup\"\nwarmup_steps = 5\nsave_steps = 0\nseed = {}\n\
         [rollout]\nnum_generations = {N}\nmax_new_tokens = {}\nmax_batch = {}\n\
         [reward]\nverifier = \"countdown\"\nworkers = 1\n\
         [objective]\n{}{lora}",
        job.rate,
        settings.steps,
        settings.prompts,
        job.base.seed,
        rollout(settings).max_new_tokens,
        rollout(settings).max_batch,
        job.arm.objective(settings),
    )
}

fn config(
    options: &Options,
    job: Job<'_>,
    run: &Path,
    training: &str,
) -> Result<RunConfig, ReproduceError> {
    let text = format!(
        "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\nmax_length = 256\n[output]\ndir = {}\n{training}",
        toml_path(&job.base.files.model),
        toml_text(&options.device),
        toml_path(&job.base.files.train),
        toml_path(run),
    );
    Ok(RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?)
}
