//! Every model of the table, trained and judged once a seed, and the small ones again at other strengths of
//! the planted meta effects.

use std::time::{Duration, Instant};

use bestof_sentiment::classical::Inputs;
use bestof_sentiment::generate::Likeness;
use bestof_sentiment::model::Architecture;
use bestof_trainer::progress::Silent;

use super::fold::{Fold, Start, fold};
use super::models::{Job, Models};
use super::score::Score;
use super::settings::{Encoder, Settings};
use super::table::{INPUTS, ROWS, Row};
use crate::jobs::side_by_side;
use crate::kept::Kept;
use crate::{Options, Pace, Progress, ReproduceError};

/// A cell of the table, a score each seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) row: &'static Row,
    pub(super) inputs: Inputs,
    pub(super) scores: Vec<Score>,
}

/// The test rows of a seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TestRows {
    /// Four or five stars.
    pub(super) positive: Vec<bool>,
    /// 1 to 5.
    pub(super) stars: Vec<u8>,
    /// Training reviews of the row's restaurant.
    pub(super) known: Vec<u64>,
}

/// The table at one strength of the planted meta effects.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grid {
    /// Their factor.
    pub(super) strength: f64,
    /// Test rows by seed.
    pub(super) test: Vec<TestRows>,
    pub(super) cells: Vec<Cell>,
}

impl Grid {
    pub(super) fn cell(&self, row: &Row, inputs: Inputs) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.inputs == inputs)
    }

    /// The score of a model with a seed.
    pub(super) fn score(&self, row: &Row, inputs: Inputs, seed: usize) -> Option<&Score> {
        self.cell(row, inputs)?.scores.get(seed)
    }
}

/// Everything measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Study {
    /// Rows of the three parts, with the first seed.
    pub(super) rows: [usize; 3],
    /// Every model.
    pub(super) table: Grid,
    /// Classical models and CNN at other strengths, none with the user's own reviews.
    pub(super) others: Vec<Grid>,
    /// Made-up reviews beside published counts, by seed.
    pub(super) likeness: Vec<Vec<Likeness>>,
}

pub(super) fn run(
    settings: &Settings,
    options: &Options,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Study, ReproduceError> {
    // Before anything is generated: a model that is missing should not be missed after half an hour.
    settings.encoder.check()?;
    let pretrained = match &settings.encoder {
        Encoder::Pretrained(path) => Some(Start::open(path)?),
        Encoder::Small(_) => None,
    };
    let others = if options.data.is_none() { settings.strengths } else { &[] };
    let strengths: Vec<f64> = std::iter::once(1.0).chain(others.iter().copied()).collect();
    let mut folds = Vec::with_capacity(strengths.len() * seeds);
    for strength in &strengths {
        for seed in 0..seeds as u64 {
            let which = (options.seed.wrapping_add(seed), *strength);
            folds.push(fold(settings, options, pretrained.as_ref(), which, progress)?);
        }
    }
    let jobs = jobs(&folds);
    let models = Models { settings, options, folds: &folds };
    let scores = all(&models, &jobs, progress)?;
    let mut grids: Vec<Grid> = strengths
        .iter()
        .zip(folds.chunks(seeds))
        .enumerate()
        .map(|(at, (strength, folds))| {
            let first = at * seeds;
            grid(*strength, folds, &|fold, row, inputs| {
                let kind = row.kind(inputs)?;
                let wanted = Job { fold: first + fold, kind, inputs };
                let at = jobs.iter().position(|job| *job == wanted)?;
                Some(scores[at].clone())
            })
        })
        .collect();
    let others = grids.split_off(1);
    let first = &folds[0];
    Ok(Study {
        rows: [first.train.len(), first.validation.len(), first.test.len()],
        table: grids.swap_remove(0),
        others,
        likeness: folds.iter().take(seeds).map(|fold| fold.likeness.clone()).collect(),
    })
}

/// The table of the folds of one strength.
fn grid(
    strength: f64,
    folds: &[Fold],
    score: &dyn Fn(usize, &'static Row, Inputs) -> Option<Score>,
) -> Grid {
    let test = |fold: &Fold| TestRows {
        positive: fold.test.examples.iter().map(|row| row.positive).collect(),
        stars: fold.test.examples.iter().map(|row| row.stars).collect(),
        known: fold.known.clone(),
    };
    let cells = ROWS.iter().flat_map(|row| INPUTS.map(|inputs| (row, inputs)));
    let cells = cells.filter_map(|(row, inputs)| {
        let scores: Option<Vec<Score>> =
            (0..folds.len()).map(|fold| score(fold, row, inputs)).collect();
        Some(Cell { row, inputs, scores: scores? })
    });
    Grid { strength, test: folds.iter().map(test).collect(), cells: cells.collect() }
}

/// Every model where effects are as planted, the small ones elsewhere; long ones last.
fn jobs(folds: &[Fold]) -> Vec<Job> {
    let mut jobs: Vec<Job> = ROWS
        .iter()
        .flat_map(|row| INPUTS.map(|inputs| (row, inputs)))
        .filter_map(|(row, inputs)| Some((row.kind(inputs)?, inputs)))
        .flat_map(|(kind, inputs)| (0..folds.len()).map(move |fold| Job { fold, kind, inputs }))
        .filter(|job| {
            let small = matches!(job.kind.architecture(), None | Some(Architecture::Cnn));
            small || folds[job.fold].strength == 1.0
        })
        .collect();
    jobs.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
    jobs
}

/// Every job's score: those of earlier runs are taken up. Small models go side by side, a large one has all
/// processors.
fn all(
    models: &Models<'_>,
    jobs: &[Job],
    progress: &mut dyn Progress,
) -> Result<Vec<Score>, ReproduceError> {
    let mut scores: Vec<Option<Score>> = Vec::with_capacity(jobs.len());
    let mut of_others = 0;
    for job in jobs {
        scores.push(match models.kept(job) {
            Kept::Outcome(score) => Some(score),
            Kept::Other => {
                of_others += 1;
                None
            }
            Kept::Missing => None,
        });
    }
    let taken = scores.iter().flatten().count();
    if taken > 0 {
        progress.notice(&format!("{taken} of {} models are taken up as they are", jobs.len()));
    }
    if of_others > 0 {
        progress.notice(&format!(
            "{of_others} models were trained on other rows or with other settings, and are trained anew"
        ));
    }
    let left: Vec<usize> = (0..jobs.len()).filter(|at| scores[*at].is_none()).collect();
    let mut told = Told {
        pace: Pace::new(left.iter().map(|at| jobs[*at].cost())),
        since: Instant::now(),
        done: taken,
        all: jobs.len(),
    };
    let (large, small): (Vec<usize>, Vec<usize>) =
        left.into_iter().partition(|at| jobs[*at].is_large(models.settings));
    let work = |at: &usize| models.train(&jobs[*at], &mut Silent);
    let made = side_by_side(&small, &work, &mut |at, took| {
        told.tell(progress, models, &jobs[*at], took);
    })?;
    for (at, score) in small.into_iter().zip(made) {
        scores[at] = Some(score);
    }
    for at in large {
        let since = Instant::now();
        scores[at] = Some(models.train(&jobs[at], progress)?);
        told.tell(progress, models, &jobs[at], since.elapsed());
    }
    Ok(scores.into_iter().flatten().collect())
}

/// What is told of a study under way.
struct Told {
    pace: Pace,
    since: Instant,
    done: usize,
    all: usize,
}

impl Told {
    fn tell(
        &mut self,
        progress: &mut dyn Progress,
        models: &Models<'_>,
        job: &Job,
        took: Duration,
    ) {
        self.pace.done(job.cost());
        self.done += 1;
        let fold = &models.folds[job.fold];
        let left = self.pace.left(self.since.elapsed());
        progress.notice(&format!(
            "{} ({}), seed {}, meta effects {}: {:.1} s{}",
            job.kind,
            job.inputs.as_str(),
            fold.seed,
            fold.strength,
            took.as_secs_f64(),
            left.map_or_else(String::new, |left| format!("; about {left} left"))
        ));
        progress.rows("models", self.done, self.all);
    }
}
