//! One model of the table: trained, judged, and its score kept.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_sentiment::classical::{ClassicalModel, ClassicalOptions, Inputs};
use bestof_sentiment::dataset::Dataset;
use bestof_sentiment::model::{Architecture, ModelKind, Predictor};
use bestof_sentiment::neural::{NeuralConfig, NeuralRequest, train};
use bestof_trainer::progress::{Progress, StepProgress};
use bestof_trainer::run::TrainOptions;

use super::fold::Fold;
use super::score::{Learned, Score};
use super::settings::{Encoder, Settings};
use crate::jobs::fresh;
use crate::kept::{Kept, keep, look};
use crate::{Options, ReproduceError};

/// Rows of a training batch.
const BATCH: usize = 32;
/// Rows that are predicted at once.
const AT_ONCE: usize = 256;

/// A model to be trained and judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Job {
    /// Index of its rows.
    pub(super) fold: usize,
    pub(super) kind: ModelKind,
    pub(super) inputs: Inputs,
}

impl Job {
    /// What it takes, in seconds of two cores at the default size, to tell the time left before all kinds were
    /// seen.
    pub(super) fn cost(&self) -> f64 {
        match (self.kind.architecture(), self.kind) {
            (Some(Architecture::Bert), _) => 150.0,
            (Some(Architecture::Han), _) | (None, ModelKind::GradientBoosting) => 12.0,
            (Some(Architecture::Cnn), _) => 6.0,
            (None, ModelKind::DecisionTree | ModelKind::Knn) => 0.2,
            (None, _) => 2.0,
        }
    }

    /// Whether one such model keeps all processors busy.
    pub(super) fn is_large(&self, settings: &Settings) -> bool {
        self.kind.architecture() == Some(Architecture::Bert)
            && matches!(settings.encoder, Encoder::Pretrained(_))
    }

    fn name(&self) -> String {
        format!("{}-{}", self.kind, self.inputs.as_str())
    }
}

/// Everything that one study's models have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Models<'s> {
    pub(super) settings: &'s Settings,
    pub(super) options: &'s Options,
    pub(super) folds: &'s [Fold],
}

impl Models<'_> {
    /// The score of an earlier run with the same rows and settings.
    pub(super) fn kept(&self, job: &Job) -> Kept<Score> {
        look(&self.file(job), &self.made_with(job))
    }

    /// Trains a model, judges it on the test rows, and keeps the score.
    pub(super) fn train(
        &self,
        job: &Job,
        progress: &mut dyn Progress,
    ) -> Result<Score, ReproduceError> {
        let fold = &self.folds[job.fold];
        let score = match job.kind.architecture() {
            None => {
                judged(&ClassicalModel::fit(&fold.train, &self.classical(job))?, &fold.test, None)?
            }
            Some(architecture) => self.neural(job, architecture, progress)?,
        };
        keep(&self.file(job), &self.made_with(job), &score)?;
        Ok(score)
    }

    fn file(&self, job: &Job) -> PathBuf {
        self.folds[job.fold].folder.join("scores").join(format!("{}.json", job.name()))
    }

    fn run_folder(&self, job: &Job) -> PathBuf {
        self.folds[job.fold].folder.join("models").join(job.name())
    }

    /// Everything that a score depends on, in words.
    fn made_with(&self, job: &Job) -> String {
        let fold = &self.folds[job.fold];
        let rows = format!(
            "bestof-reproduce {}, rows {:016x}, {}",
            env!("CARGO_PKG_VERSION"),
            fold.fingerprint,
            job.name()
        );
        let Some(architecture) = job.kind.architecture() else {
            return format!("{rows}\n{:?}", self.classical(job));
        };
        let encoder = if architecture == Architecture::Bert { &fold.start.hash } else { "none" };
        let training = self.training(job, architecture);
        format!("{rows}, encoder {encoder}, device {}\n{training}", self.options.device)
    }

    fn classical(&self, job: &Job) -> ClassicalOptions {
        let mut how = ClassicalOptions::new(job.kind, job.inputs);
        how.terms.max_terms = self.settings.terms;
        how.fit.seed = self.folds[job.fold].seed;
        how
    }

    fn neural(
        &self,
        job: &Job,
        architecture: Architecture,
        progress: &mut dyn Progress,
    ) -> Result<Score, ReproduceError> {
        let fold = &self.folds[job.fold];
        let output = self.run_folder(job);
        fresh(&output)?;
        let mut request = NeuralRequest::default();
        request.kind = Some(job.kind);
        request.data = Some(&fold.folder);
        request.output = Some(&output);
        request.encoder = (architecture == Architecture::Bert).then_some(fold.start.path.as_path());
        let device = format!("model.device={}", self.options.device);
        let training = self.training(job, architecture);
        let config = NeuralConfig::from_toml(&training, &[device], request)?;
        let mut watch = Watch { inner: progress, planned: 0, losses: Vec::new() };
        let how = TrainOptions::default();
        let trained = train(&config, &fold.train, &fold.validation, &how, &mut watch)?;
        let steps = trained.summary.global_step;
        let best = trained.summary.best.as_ref().map_or(steps, |best| best.step);
        let learned = Learned { steps, planned: watch.planned, best, losses: watch.losses };
        let score = judged(&trained.classifier, &fold.test, Some(learned))?;
        remove_folders(&output)?;
        Ok(score)
    }

    fn training(&self, job: &Job, architecture: Architecture) -> String {
        let settings = self.settings;
        let fold = &self.folds[job.fold];
        let schedule = settings.schedule(architecture);
        let steps = fold.train.len().div_ceil(BATCH);
        // What is random from the first layer on learns at one rate.
        let factor = if job.is_large(settings) { 10.0 } else { 1.0 };
        format!(
            "[train]\nlearning_rate = {:?}\nnum_train_epochs = {:?}\nper_device_train_batch_size = {BATCH}\n\
             warmup_ratio = 0.1\nsave_steps = 0\neval_steps = {}\nearly_stopping_patience = {}\n\
             load_best_model_at_end = true\nseed = {}\n\
             [sentiment]\nlabels = \"stars\"\nmax_length = {}\nmax_sentences = {}\nmax_words = {}\n\
             word_width = {}\nfilters = {}\nhidden_width = {}\nmeta_width = {}\njoint_width = {}\n\
             head_learning_rate_factor = {factor:?}\n",
            schedule.learning_rate,
            schedule.epochs,
            steps.div_ceil(settings.evaluations),
            settings.patience,
            fold.seed,
            settings.length,
            settings.sentences[0],
            settings.sentences[1],
            settings.word_width,
            settings.filters,
            settings.hidden_width,
            settings.joint_width,
            settings.joint_width,
        )
    }
}

/// Which test rows a model gets right.
fn judged(
    model: &dyn Predictor,
    test: &Dataset,
    learned: Option<Learned>,
) -> Result<Score, ReproduceError> {
    let (mut binary, mut stars) = (Vec::new(), Vec::new());
    for rows in test.examples.chunks(AT_ONCE) {
        let answers = model.predict(rows)?.checked(rows)?;
        let positive = answers.positive_labels().unwrap_or_default();
        binary.extend(positive.iter().zip(rows).map(|(found, row)| *found == row.positive));
        let found = answers.star_labels().unwrap_or_default();
        stars.extend(found.iter().zip(rows).map(|(found, row)| *found == row.stars));
    }
    Ok(Score::of(binary, stars, learned))
}

/// Removes the folders in a run's folder, which hold its weights; what tells how it learned stays.
fn remove_folders(run: &Path) -> Result<(), ReproduceError> {
    let entries = fs::read_dir(run).map_err(ReproduceError::io("cannot read", run))?;
    for entry in entries {
        let path = entry.map_err(ReproduceError::io("cannot read", run))?.path();
        if path.is_dir() {
            fs::remove_dir_all(&path).map_err(ReproduceError::io("cannot remove", &path))?;
        }
    }
    Ok(())
}

/// Hears the validation losses of a run.
struct Watch<'p> {
    inner: &'p mut dyn Progress,
    planned: u64,
    losses: Vec<(u64, f64)>,
}

impl Progress for Watch<'_> {
    fn rows(&mut self, what: &str, done: usize, total: usize) {
        self.inner.rows(what, done, total);
    }

    fn step(&mut self, progress: &StepProgress) {
        self.planned = progress.total_steps;
        self.inner.step(progress);
    }

    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) {
        if let Some((_, loss)) = metrics.iter().find(|(name, _)| name == "loss") {
            self.losses.push((step, *loss));
        }
        self.inner.evaluated(step, metrics);
    }

    fn notice(&mut self, text: &str) {
        self.inner.notice(text);
    }

    fn stepping(&mut self, stepping: bool) {
        self.inner.stepping(stepping);
    }

    fn wants_stop(&mut self) -> bool {
        self.inner.wants_stop()
    }
}
