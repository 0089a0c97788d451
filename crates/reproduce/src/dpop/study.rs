//! The runs: for each seed a small LLaMA is taught, and then trained with every loss on both kinds
//! of pairs.

use std::path::{Path, PathBuf};

use bestof_tasks::rng::Split;
use bestof_tasks::rows::{CompletionRow, PreferenceRow, write_rows};
use bestof_trainer::launch::{preference, supervised};
use bestof_trainer::progress::{Progress, Silent};
use bestof_trainer::run::TrainOptions;
use serde::{Deserialize, Serialize};

use super::outcome::{Outcome, measure};
use super::problems::{Problem, choice_pairs, comparisons, sums, worked_pairs};
use super::recipe::{DPO, DPO_BETAS, DPOP, DPOP_LAMBDAS, HINGE, IPO, Recipe, RunPlan};
use crate::jobs::fresh;
use crate::kept::{OUTCOME_FILE, keep, made_with, taken_up};
use crate::{Options, ReproduceError, SmallLlama};

/// The shape of every model here but for its size.
pub(crate) const SHAPE: SmallLlama = SmallLlama {
    alphabet: SmallLlama::ASCII,
    width: 64,
    inner: 128,
    layers: 2,
    heads: 4,
    context: 128,
    rope_theta: 10_000.0,
    initializer_range: 0.02,
};

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Size {
    pub(crate) shape: SmallLlama,
    /// Sums, and comparisons, that the model is taught with.
    pub(crate) taught: (usize, usize),
    pub(crate) teaching_steps: u64,
    pub(crate) teaching_rate: f64,
    /// Training pairs of each kind.
    pub(crate) pairs: usize,
    pub(crate) held_out: usize,
    pub(crate) steps: u64,
    pub(crate) rate: f64,
}

impl Size {
    /// Some minutes on two cores.
    pub(crate) const SMALL: Self = Self {
        shape: SHAPE,
        taught: (5000, 150),
        teaching_steps: 1500,
        teaching_rate: 4e-3,
        pairs: 640,
        held_out: 200,
        steps: 120,
        rate: 3e-4,
    };
    /// Four times the model and longer runs.
    pub(crate) const FULL: Self = Self {
        shape: SmallLlama { width: 128, inner: 256, layers: 4, heads: 8, ..SHAPE },
        taught: (5000, 600),
        teaching_steps: 2000,
        teaching_rate: 2e-3,
        pairs: 2000,
        held_out: 400,
        steps: 250,
        rate: 3e-4,
    };
}

const TEACHING_BATCH: usize = 32;
const BATCH: usize = 16;

/// Which pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Worked sums with one result corrupted.
    LowDistance,
    /// The right option against the wrong one.
    HighDistance,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::LowDistance, Self::HighDistance];

    /// The losses trained on these pairs.
    pub(crate) fn recipes(self) -> Vec<Recipe> {
        match self {
            Self::LowDistance => [&DPO_BETAS[..], &DPOP_LAMBDAS, &[IPO, HINGE]].concat(),
            Self::HighDistance => vec![DPO, DPOP, IPO, HINGE],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::LowDistance => "low",
            Self::HighDistance => "high",
        }
    }
}

/// What was measured on one kind of pairs.
#[derive(Debug, Clone)]
pub(crate) struct OnPairs {
    pub(crate) kind: Kind,
    /// Mean edit distance of the training pairs, as a share of the characters.
    pub(crate) edit_distance: f64,
    /// The taught model, a seed each.
    pub(crate) before: Vec<Outcome>,
    /// Each loss with its outcomes, a seed each.
    pub(crate) after: Vec<(Recipe, Vec<Outcome>)>,
}

/// What one repetition measured on one kind of pairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Measurement {
    edit_distance: f64,
    before: Outcome,
    /// In the order of [`Kind::recipes`].
    after: Vec<Outcome>,
}

/// Every repetition, or what an earlier start with the same settings has kept of it.
pub(crate) fn run(
    options: &Options,
    size: &Size,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Vec<OnPairs>, ReproduceError> {
    let mut all: Vec<OnPairs> = Kind::ALL
        .into_iter()
        .map(|kind| OnPairs {
            kind,
            edit_distance: 0.0,
            before: Vec::new(),
            after: kind.recipes().into_iter().map(|recipe| (recipe, Vec::new())).collect(),
        })
        .collect();
    for repetition in 0..seeds as u64 {
        progress.rows("repetitions", repetition as usize, seeds);
        // Configurations hold seeds as signed numbers.
        let seed = options.seed % (1 << 50) * 1000 + repetition;
        let dir = options.out.join("runs").join(format!("seed-{repetition}"));
        let made_with = made_with(options, seed, &format!("{size:?}"));
        let outcome = dir.join(OUTCOME_FILE);
        let kept: Option<Vec<Measurement>> = taken_up(&outcome, &made_with, progress);
        let measured = if let Some(measured) = kept {
            measured
        } else {
            fresh(&dir)?;
            let trial = Trial { dir: dir.clone(), seed, size, device: &options.device };
            let measured = trial.measure_all(progress)?;
            keep(&outcome, &made_with, &measured)?;
            measured
        };
        for (on, measured) in all.iter_mut().zip(measured) {
            on.edit_distance += measured.edit_distance / seeds as f64;
            on.before.push(measured.before);
            for ((_, outcomes), outcome) in on.after.iter_mut().zip(measured.after) {
                outcomes.push(outcome);
            }
        }
    }
    progress.rows("repetitions", seeds, seeds);
    Ok(all)
}

/// One repetition.
struct Trial<'a> {
    dir: PathBuf,
    seed: u64,
    size: &'a Size,
    device: &'a str,
}

impl Trial<'_> {
    /// Teaches a model, trains it with every loss, and measures all of them.
    fn measure_all(&self, progress: &mut dyn Progress) -> Result<Vec<Measurement>, ReproduceError> {
        let runs = 1 + Kind::ALL.iter().map(|kind| kind.recipes().len()).sum::<usize>();
        let mut done = 0;
        let mut finished = || {
            done += 1;
            progress.rows("training runs", done, runs);
        };
        let taught = self.teach()?;
        finished();
        let mut all = Vec::new();
        for kind in Kind::ALL {
            let (train, held_out, edit_distance) = self.write_pairs(kind)?;
            let before = self.measure(&taught, &held_out, kind)?;
            let mut after = Vec::new();
            for recipe in kind.recipes() {
                let model = self.prefer(&taught, &train, kind, &recipe)?;
                after.push(self.measure(&model, &held_out, kind)?);
                finished();
            }
            all.push(Measurement { edit_distance, before, after });
        }
        Ok(all)
    }

    /// Teaches a new model sums and comparisons.
    fn teach(&self) -> Result<PathBuf, ReproduceError> {
        let untrained = self.dir.join("untrained");
        self.size.shape.write(&untrained, self.seed)?;
        let (worked, compared) = self.size.taught;
        let rows: Vec<CompletionRow> = sums(self.seed, Split::Train, worked)
            .iter()
            .chain(&comparisons(self.seed, Split::Train, compared))
            .map(Problem::supervised)
            .collect();
        let train = self.dir.join("taught.jsonl");
        write_rows(&train, &rows)?;
        let dir = self.dir.join("taught");
        let plan = RunPlan {
            steps: self.size.teaching_steps,
            batch: TEACHING_BATCH,
            learning_rate: self.size.teaching_rate,
            ..self.plan(&untrained, &train, &dir)
        };
        Ok(supervised(&plan.config()?, &TrainOptions::default(), &mut Silent)?.model)
    }

    /// The training pairs, the held-out pairs, and the mean edit distance.
    fn write_pairs(&self, kind: Kind) -> Result<(PathBuf, PathBuf, f64), ReproduceError> {
        // Other problems than the model was taught with, as far as there are.
        let seed = self.seed.wrapping_add(500);
        let rows = |split, count| match kind {
            Kind::LowDistance => worked_pairs(&sums(seed, split, count), seed),
            Kind::HighDistance => Ok(choice_pairs(&comparisons(seed, split, count))),
        };
        let path = |name: &str| self.dir.join(format!("{}-{name}.jsonl", kind.folder()));
        let (train, held_out) = (path("train"), path("held-out"));
        let pairs = rows(Split::Train, self.size.pairs)?;
        write_rows(&train, &pairs)?;
        write_rows(&held_out, &rows(Split::HeldOut, self.size.held_out)?)?;
        let distance = |row: &PreferenceRow| {
            let between = bestof_tasks::distance::EditDistance::between;
            between(row.chosen.last_text(), row.rejected.last_text()).characters
        };
        let mean = pairs.iter().map(distance).sum::<f64>() / pairs.len() as f64;
        Ok((train, held_out, mean))
    }

    fn prefer(
        &self,
        taught: &Path,
        train: &Path,
        kind: Kind,
        recipe: &Recipe,
    ) -> Result<PathBuf, ReproduceError> {
        let dir = self.dir.join(format!("{}-{}", kind.folder(), recipe.folder()));
        let loss = recipe.section();
        let plan = RunPlan { loss: &loss, ..self.plan(taught, train, &dir) };
        Ok(preference(&plan.config()?, &TrainOptions::default(), &mut Silent)?.model)
    }

    fn plan<'p>(&'p self, model: &'p Path, train: &'p Path, dir: &'p Path) -> RunPlan<'p> {
        RunPlan {
            model,
            device: self.device,
            train,
            dir,
            steps: self.size.steps,
            batch: BATCH,
            learning_rate: self.size.rate,
            seed: self.seed,
            loss: "",
        }
    }

    fn measure(&self, model: &Path, pairs: &Path, kind: Kind) -> Result<Outcome, ReproduceError> {
        measure(model, pairs, self.device, kind == Kind::LowDistance)
    }
}
