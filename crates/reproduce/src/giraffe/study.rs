//! Every base model, every extension of it, and what each finds.

use std::path::{Path, PathBuf};

use bestof_checkpoints::{ModelFolder, StoredType};
use bestof_models::{Decoder, ForwardOptions, ModelError, RandomPositions, open_device};
use bestof_positional::hf::with_factor;
use bestof_tasks::rng::SeededRng;
use bestof_trainer::TrainError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::basis::{ALL, Basis, FURTHER, PLAIN, RANDOMIZED};
use super::learning::{Learner, Report};
use super::measure::{AtLength, Questions, measure};
use super::size::{Extending, Size};
use crate::jobs::{fresh, side_by_side};
use crate::kept::{OUTCOME_FILE, keep, made_with, taken_up};
use crate::{Options, Progress, ReproduceError, Silent};

/// Streams of a repetition's seed.
const TEACHING: u64 = 1;
const EXTENDING: u64 = 2;

/// How many base models are tried for each that is asked for.
const TRIES: usize = 3;

/// The base model in a repetition's folder.
const MODEL: &str = "model";

/// What became of one model.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) basis: Basis,
    /// The training after the extension, if there was one.
    pub(super) trained: Option<Extending>,
    /// Another factor than that of the basis, in evaluation alone.
    pub(super) eval_factor: Option<f64>,
    /// The number of its base model.
    pub(super) repetition: usize,
    /// One for each length.
    pub(super) at: Vec<AtLength>,
}

/// A base model that was tried.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    pub(super) number: usize,
    pub(super) report: Report,
    pub(super) passed: bool,
    dir: PathBuf,
    seed: u64,
}

/// Everything.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Study {
    /// In the order of their numbers, those too that were given up.
    pub(super) bases: Vec<Base>,
    /// Repetition by repetition in the order of the bases.
    pub(super) found: Vec<Found>,
}

/// What is done with one base model and one basis.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plan {
    basis: Basis,
    /// No training measures the model as it is.
    trained: Option<Extending>,
    /// Factors to evaluate at, besides the basis's own.
    factors: &'static [f64],
}

impl Plan {
    fn all(size: &Size) -> Vec<Self> {
        let untrained = ALL.into_iter().filter(|basis| !basis.needs_training()).map(|basis| Self {
            basis,
            trained: None,
            factors: basis.untrained_factors,
        });
        let trained = ALL.into_iter().map(|basis| Self {
            basis,
            trained: Some(size.extended),
            factors: basis.eval_factors,
        });
        let further = size.further.iter().flat_map(|extending| {
            FURTHER.map(|basis| Self { basis, trained: Some(*extending), factors: &[] })
        });
        // Long ones first, so that no processor waits for the last of them.
        further.chain(trained).chain(untrained).collect()
    }

    fn folder(&self) -> String {
        match self.trained {
            None => format!("{}-untrained", self.basis.folder()),
            Some(Extending { times, steps }) => {
                format!("{}-{steps}-steps-{times}-times", self.basis.folder())
            }
        }
    }
}

pub(super) fn run(
    options: &Options,
    size: &Size,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Study, ReproduceError> {
    let mut bases: Vec<Base> = Vec::new();
    loop {
        let passed = bases.iter().filter(|base| base.passed).count();
        let missing = (seeds - passed).min(TRIES * seeds - bases.len());
        if missing == 0 {
            break;
        }
        let numbers: Vec<usize> = (bases.len()..bases.len() + missing).collect();
        bases.extend(every(&numbers, "base models", progress, &|number| {
            prepare(options, size, *number)
        })?);
    }
    let passed: Vec<&Base> = bases.iter().filter(|base| base.passed).collect();
    if passed.len() < 2 {
        return Err(ReproduceError::NothingLearned { tried: bases.len(), passed: passed.len() });
    }
    let plans = Plan::all(size);
    let jobs: Vec<(&Base, Plan)> =
        plans.iter().flat_map(|plan| passed.iter().map(move |base| (*base, *plan))).collect();
    let found = every(&jobs, "extended models", progress, &|(base, plan)| {
        extend(options, size, base, *plan)
    })?;
    Ok(Study { bases, found: found.into_iter().flatten().collect() })
}

/// All jobs side by side, since models this small leave processors idle.
fn every<J: Sync, T: Send>(
    jobs: &[J],
    what: &str,
    progress: &mut dyn Progress,
    work: &(dyn Fn(&J) -> Result<T, ReproduceError> + Sync),
) -> Result<Vec<T>, ReproduceError> {
    progress.rows(what, 0, jobs.len());
    let mut done = 0;
    side_by_side(jobs, work, &mut |_, _| {
        done += 1;
        progress.rows(what, done, jobs.len());
    })
}

/// Teaches a base model, or takes up what an earlier start with the same settings left of it.
fn prepare(options: &Options, size: &Size, number: usize) -> Result<Base, ReproduceError> {
    let seed = options.seed.wrapping_mul(1000).wrapping_add(number as u64);
    let dir = options.out.join("runs").join(format!("base-{number}"));
    let model = dir.join(MODEL);
    let settings = format!(
        "{:?} {:?} {} {} {} {} {} {}",
        size.shape,
        size.lessons,
        size.passed_at,
        size.most_steps,
        size.last_steps,
        size.learned_at,
        size.rate,
        size.batch
    );
    let made_with = made_with(options, seed, &settings);
    let outcome = dir.join(OUTCOME_FILE);
    let kept = taken_up(&outcome, &made_with, &mut Silent);
    let report = if let Some(report) = kept.filter(|_| model.is_dir()) {
        report
    } else {
        fresh(&dir)?;
        size.shape.write(&model, seed)?;
        let folder = open(&model)?;
        let device = open_device(&options.device).map_err(TrainError::from)?.autodiff();
        let random = Decoder::open(&folder, &device).map_err(TrainError::from)?;
        let mut learner = Learner::new(random);
        let report = learner.teach(size, &mut SeededRng::new(seed, TEACHING))?;
        let taught = learner.into_model();
        taught.save(&model, StoredType::F32, None).map_err(TrainError::from)?;
        keep(&outcome, &made_with, &report)?;
        report
    };
    let passed = report.learned.is_some_and(|share| share >= size.learned_at);
    Ok(Base { number, report, passed, dir, seed })
}

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    eval_factor: Option<f64>,
    at: Vec<AtLength>,
}

/// Extends a base model, trains it if the plan says so, and measures it, or takes up what an earlier
/// start with the same settings has measured.
fn extend(
    options: &Options,
    size: &Size,
    base: &Base,
    plan: Plan,
) -> Result<Vec<Found>, ReproduceError> {
    let dir = base.dir.join(plan.folder());
    // The base model follows from size and seed.
    let made_with = made_with(options, base.seed, &format!("{size:?} {plan:?}"));
    let outcome = dir.join(OUTCOME_FILE);
    let kept: Option<Vec<Kept>> = taken_up(&outcome, &made_with, &mut Silent);
    let kept = if let Some(kept) = kept {
        kept
    } else {
        fresh(&dir)?;
        std::fs::create_dir_all(&dir).map_err(ReproduceError::io("cannot create", &dir))?;
        let kept = extend_now(options, size, base, plan, &dir)?;
        keep(&outcome, &made_with, &kept)?;
        kept
    };
    let found = |Kept { eval_factor, at }| Found {
        basis: plan.basis,
        trained: plan.trained,
        eval_factor,
        repetition: base.number,
        at,
    };
    Ok(kept.into_iter().map(found).collect())
}

fn extend_now(
    options: &Options,
    size: &Size,
    base: &Base,
    plan: Plan,
    dir: &Path,
) -> Result<Vec<Kept>, ReproduceError> {
    let mut folder = open(&base.dir.join(MODEL))?;
    if plan.basis != PLAIN {
        let section = plan.basis.section(size.longest());
        let extension = section.extension().map_err(model_error)?;
        folder.config = extension.apply(&folder.config).map_err(model_error)?.config;
    }
    folder.config = with_room(folder.config, size.longest());
    if let Some(extending) = plan.trained {
        let trained = dir.join(MODEL);
        folder.derive(&trained, &folder.config).map_err(TrainError::from)?;
        train(options, size, base, plan.basis, extending, &folder)?
            .save(&trained, StoredType::F32, None)
            .map_err(TrainError::from)?;
        folder = open(&trained)?;
    }
    let device = open_device(&options.device).map_err(TrainError::from)?;
    let questions = Questions::draw(size, base.seed);
    let own = folder.config.clone();
    std::iter::once(None)
        .chain(plan.factors.iter().copied().map(Some))
        .map(|eval_factor| {
            if let Some(factor) = eval_factor {
                let other = with_factor(&own, factor).map_err(model_error)?;
                folder.config = with_room(other, size.longest());
            }
            let model = Decoder::open(&folder, &device).map_err(TrainError::from)?;
            Ok(Kept { eval_factor, at: measure(&model, size, &questions)? })
        })
        .collect()
}

/// The weights of a folder after a training on its basis.
fn train(
    options: &Options,
    size: &Size,
    base: &Base,
    basis: Basis,
    extending: Extending,
    folder: &ModelFolder,
) -> Result<Decoder, ReproduceError> {
    let device = open_device(&options.device).map_err(TrainError::from)?.autodiff();
    let mut learner = Learner::new(Decoder::open(folder, &device).map_err(TrainError::from)?);
    let longest = extending.times * size.context();
    let smallest_step = basis.section(size.longest()).smallest_step();
    let forward = |step: u64| {
        let options = ForwardOptions::default();
        if basis != RANDOMIZED {
            return options;
        }
        let seed = base.seed.wrapping_add(step);
        options.with_random_positions(RandomPositions { seed, smallest_step, length: longest })
    };
    // The same rows for every basis.
    let mut draw = SeededRng::new(base.seed, EXTENDING);
    learner.adapt(size, extending.steps, longest, &mut draw, forward)?;
    Ok(learner.into_model())
}

/// A `config.json` that allows sequences of this length, its frequencies as they are.
fn with_room(mut config: Value, length: usize) -> Value {
    // `dynamic` divides by the trained length, which stays; the lock has the longest sequence.
    if config["rope_scaling"]["rope_type"] == "dynamic" {
        config["bestof"]["length"] = json!(length);
    } else {
        config["max_position_embeddings"] = json!(length);
    }
    config
}

fn open(dir: &Path) -> Result<ModelFolder, ReproduceError> {
    Ok(ModelFolder::open(dir).map_err(TrainError::from)?)
}

fn model_error(error: bestof_positional::RopeError) -> TrainError {
    ModelError::from(error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_long_texts_changes_no_frequency() {
        let plain = json!({"max_position_embeddings": 8, "rope_scaling": null});
        assert_eq!(with_room(plain, 64)["max_position_embeddings"], 64);
        let dynamic =
            json!({"max_position_embeddings": 8, "rope_scaling": {"rope_type": "dynamic"}});
        let roomy = with_room(dynamic, 64);
        assert_eq!(
            (&roomy["max_position_embeddings"], &roomy["bestof"]["length"]),
            (&json!(8), &json!(64))
        );
    }

    #[test]
    fn every_plan_has_a_folder_of_its_own() {
        let plans = Plan::all(&Size::small());
        let folders: std::collections::HashSet<String> = plans.iter().map(Plan::folder).collect();
        assert_eq!(folders.len(), plans.len());
    }
}
