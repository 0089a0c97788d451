//! Every model of the table, trained and judged once a seed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bestof_sentiment::classical::{ClassicalModel, ClassicalOptions, Inputs};
use bestof_sentiment::dataset::{Dataset, Part, Prepared};
use bestof_sentiment::evaluation::{CountBin, EvaluateOptions, ModelEvaluation, evaluate};
use bestof_sentiment::generate::{GenerateOptions, generate};
use bestof_sentiment::metrics::ClassScores;
use bestof_sentiment::model::{Architecture, ModelKind, Predictor};
use bestof_sentiment::neural::{NeuralConfig, NeuralRequest, train};
use bestof_sentiment::prepare::{PrepareOptions, ReviewSource, prepare};
use bestof_trainer::progress::Silent;
use bestof_trainer::run::TrainOptions;

use super::settings::{Encoder, Settings};
use super::table::{INPUTS, Label, ROWS, Row};
use crate::jobs::{fresh, side_by_side};
use crate::{Options, Progress, ReproduceError};

/// Training reviews that a bin of restaurants spans.
const BIN_WIDTH: u64 = 10;

/// What was measured of a model with one seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Score {
    /// Accuracies in per cent.
    pub(super) binary: f64,
    pub(super) stars: f64,
    /// Binary accuracy, in points, on the half of the rows whose restaurants have most training
    /// reviews, less that on the other half.
    pub(super) busy_minus_quiet: f64,
    /// By training reviews of the restaurant.
    pub(super) bins: Vec<CountBin>,
}

impl Score {
    pub(super) fn accuracy(&self, label: Label) -> f64 {
        match label {
            Label::Binary => self.binary,
            Label::Stars => self.stars,
        }
    }
}

/// A cell of the table, a score each seed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) row: &'static Row,
    pub(super) inputs: Inputs,
    pub(super) scores: Vec<Score>,
}

/// Everything measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Study {
    /// Rows of the three parts, with the first seed.
    pub(super) rows: [usize; 3],
    /// Share of the commonest class of the test rows in per cent, two labels and five stars, a
    /// pair each seed.
    pub(super) majority: Vec<[f64; 2]>,
    pub(super) cells: Vec<Cell>,
}

impl Study {
    pub(super) fn seeds(&self) -> usize {
        self.majority.len()
    }

    pub(super) fn cell(&self, row: &Row, inputs: Inputs) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.row == row && cell.inputs == inputs)
    }
}

/// The rows of one seed, and the encoder that BERT starts from.
#[derive(Debug)]
struct Fold {
    seed: u64,
    folder: PathBuf,
    encoder: PathBuf,
    train: Dataset,
    validation: Dataset,
    test: Dataset,
}

/// A model to be trained and judged.
#[derive(Debug, Clone, Copy)]
struct Job {
    fold: usize,
    kind: ModelKind,
    inputs: Inputs,
}

pub(super) fn run(
    settings: &Settings,
    options: &Options,
    seeds: usize,
    progress: &mut dyn Progress,
) -> Result<Study, ReproduceError> {
    let folds = (0..seeds as u64)
        .map(|seed| fold(settings, options, options.seed.wrapping_add(seed), progress))
        .collect::<Result<Vec<_>, _>>()?;
    let places: Vec<(&'static Row, Inputs, ModelKind)> = ROWS
        .iter()
        .flat_map(|row| INPUTS.map(|inputs| (row, inputs, row.kind(inputs))))
        .filter_map(|(row, inputs, kind)| Some((row, inputs, kind?)))
        .collect();
    // Long ones first, so that no processor waits for the last of them.
    let jobs: Vec<Job> = places
        .iter()
        .rev()
        .flat_map(|&(_, inputs, kind)| (0..seeds).map(move |fold| Job { fold, kind, inputs }))
        .collect();
    let judged = all(settings, options, &folds, &jobs, progress)?;

    let mut majority = vec![[0.0; 2]; seeds];
    let mut cells: Vec<Cell> = Vec::new();
    for (row, inputs, kind) in places {
        let mut scores = Vec::new();
        for (fold, majority) in majority.iter_mut().enumerate() {
            let found = jobs
                .iter()
                .zip(&judged)
                .find(|(job, _)| job.fold == fold && job.kind == kind && job.inputs == inputs);
            if let Some((_, found)) = found {
                let of = |scores: &Option<ClassScores>| {
                    scores.as_ref().map_or(f64::NAN, |scores| 100.0 * scores.majority)
                };
                *majority = [of(&found.scores.positive), of(&found.scores.stars)];
                scores.push(score(found));
            }
        }
        cells.push(Cell { row, inputs, scores });
    }
    let rows = folds
        .first()
        .map_or([0; 3], |fold| [fold.train.len(), fold.validation.len(), fold.test.len()]);
    Ok(Study { rows, majority, cells })
}

/// Makes or reads the rows of a seed.
fn fold(
    settings: &Settings,
    options: &Options,
    seed: u64,
    progress: &mut dyn Progress,
) -> Result<Fold, ReproduceError> {
    let folder = options.out.join(format!("seed{seed}"));
    fresh(&folder)?;
    let (source, limit) = match &options.data {
        Some(path) if path.is_file() => (ReviewSource::Csv(path.clone()), Some(settings.limit)),
        Some(path) => (ReviewSource::Folder(path.clone()), Some(settings.limit)),
        None => {
            let files = folder.join("data");
            let mut reviews = GenerateOptions::new(settings.reviews);
            reviews.seed = seed;
            generate(&reviews, &files, &mut |_| {})?;
            (ReviewSource::Folder(files), None)
        }
    };
    let prepared = folder.join("prepared");
    let mut how = PrepareOptions::new(source);
    how.seed = seed;
    how.limit = limit;
    let summary = prepare(&how, &prepared, &mut |_| {})?;
    for (file, left_out) in &summary.left_out {
        if !left_out.is_empty() {
            progress.notice(&format!("{file}: {left_out}"));
        }
    }
    let prepared = Prepared::open(&prepared)?;
    let [train, validation, test] =
        [Part::Train, Part::Validation, Part::Test].map(|part| prepared.part(part));
    let (train, validation, test) = (train?, validation?, test?);
    let encoder = match &settings.encoder {
        Encoder::Pretrained(path) => path.clone(),
        Encoder::Small(shape) => {
            let path = folder.join("bert");
            let texts = train.examples.iter().map(|example| example.text.as_str());
            shape.write(&path, texts, seed)?;
            path
        }
    };
    Ok(Fold { seed, folder, encoder, train, validation, test })
}

/// Every job: side by side where the models are small; a real encoder uses all processors by itself.
fn all(
    settings: &Settings,
    options: &Options,
    folds: &[Fold],
    jobs: &[Job],
    progress: &mut dyn Progress,
) -> Result<Vec<ModelEvaluation>, ReproduceError> {
    if let Encoder::Pretrained(_) = settings.encoder {
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            let started = Instant::now();
            done.push(one(settings, options, &folds[job.fold], *job, progress)?);
            tell(progress, *job, folds, done.len(), jobs.len(), started.elapsed());
        }
        return Ok(done);
    }
    let mut done = 0;
    let work = |job: &Job| one(settings, options, &folds[job.fold], *job, &mut Silent);
    side_by_side(jobs, &work, &mut |job, took| {
        done += 1;
        tell(progress, *job, folds, done, jobs.len(), took);
    })
}

fn tell(
    progress: &mut dyn Progress,
    job: Job,
    folds: &[Fold],
    done: usize,
    all: usize,
    took: Duration,
) {
    let (seed, seconds) = (folds[job.fold].seed, took.as_secs_f64());
    progress.notice(&format!(
        "{} ({}), seed {seed}: {seconds:.1} s",
        job.kind,
        job.inputs.as_str()
    ));
    progress.rows("models", done, all);
}

fn one(
    settings: &Settings,
    options: &Options,
    fold: &Fold,
    job: Job,
    progress: &mut dyn Progress,
) -> Result<ModelEvaluation, ReproduceError> {
    let model: Box<dyn Predictor> = match job.kind.architecture() {
        None => {
            let mut how = ClassicalOptions::new(job.kind, job.inputs);
            how.terms.max_terms = settings.terms;
            how.fit.seed = fold.seed;
            Box::new(ClassicalModel::fit(&fold.train, &how)?)
        }
        Some(architecture) => {
            let output = fold.folder.join(job.kind.as_str());
            let config = config(settings, options, fold, job, architecture, &output)?;
            let how = TrainOptions::default();
            let trained = train(&config, &fold.train, &fold.validation, &how, progress)?;
            Box::new(trained.classifier)
        }
    };
    let mut how = EvaluateOptions::default();
    how.resamples = 2;
    how.bin_width = BIN_WIDTH;
    Ok(evaluate(job.kind.as_str(), &*model, &fold.test, &how, &mut |_| {})?)
}

fn config(
    settings: &Settings,
    options: &Options,
    fold: &Fold,
    job: Job,
    architecture: Architecture,
    output: &Path,
) -> Result<NeuralConfig, ReproduceError> {
    let is_bert = architecture == Architecture::Bert;
    let schedule = settings.schedule(architecture);
    // What is random from the first layer on learns at one rate.
    let factor =
        if is_bert && matches!(settings.encoder, Encoder::Pretrained(_)) { 10.0 } else { 1.0 };
    let text = format!(
        "[train]\nlearning_rate = {:?}\nnum_train_epochs = {:?}\nwarmup_ratio = 0.1\nsave_steps = 0\n\
         seed = {}\n\
         [sentiment]\nlabels = \"stars\"\nmax_length = {}\nmax_sentences = 12\nmax_words = 24\n\
         word_width = {}\nfilters = {}\nhidden_width = {}\nmeta_width = {}\njoint_width = {}\n\
         head_learning_rate_factor = {factor:?}\n",
        schedule.learning_rate,
        schedule.epochs,
        fold.seed,
        settings.length,
        settings.word_width,
        settings.filters,
        settings.hidden_width,
        settings.joint_width,
        settings.joint_width,
    );
    let mut request = NeuralRequest::default();
    request.kind = Some(job.kind);
    request.data = Some(&fold.folder);
    request.output = Some(output);
    request.encoder = is_bert.then_some(fold.encoder.as_path());
    let device = format!("model.device={}", options.device);
    Ok(NeuralConfig::from_toml(&text, &[device], request)?)
}

fn score(found: &ModelEvaluation) -> Score {
    let percent = |scores: &Option<ClassScores>| {
        scores.as_ref().map_or(f64::NAN, |scores| 100.0 * scores.accuracy.value)
    };
    Score {
        binary: percent(&found.scores.positive),
        stars: percent(&found.scores.stars),
        busy_minus_quiet: busy_minus_quiet(found),
        bins: found.by_training_count.clone(),
    }
}

/// Restaurants by training count, the busiest first, until half of the rows are taken.
fn busy_minus_quiet(found: &ModelEvaluation) -> f64 {
    let mut restaurants: Vec<_> = found.by_restaurant.iter().collect();
    restaurants
        .sort_by_key(|restaurant| (std::cmp::Reverse(restaurant.train), restaurant.business));
    let all: u64 = restaurants.iter().map(|restaurant| restaurant.rows).sum();
    let (mut busy, mut quiet) = ([0.0; 2], [0.0; 2]);
    let mut taken = 0;
    for restaurant in restaurants {
        let Some(share) = &restaurant.positive else { continue };
        let half = if 2 * taken < all { &mut busy } else { &mut quiet };
        taken += restaurant.rows;
        half[0] += share.value * restaurant.rows as f64;
        half[1] += restaurant.rows as f64;
    }
    100.0 * (busy[0] / busy[1] - quiet[0] / quiet[1])
}
