//! Preference runs on single answers that carry a label (KTO).

mod labelled;
mod step;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

use bestof_kernels::host_values;
use bestof_losses::{Kto, UnpairedLogps, UnpairedTerms, with_gradient};
use bestof_models::{CausalLm, ForwardOptions};
use burn::module::Module;

use crate::communicator::Ranks;
use crate::data::{EncodedCompletion, EncodedLabelled};
use crate::error::TrainError;
use crate::forward::{PackedForest, pack, without_dropout};
use crate::metric::MetricSums;
use crate::model_files::ModelFiles;
use crate::progress::{Progress, Silent};
use crate::reference::{ReferenceCache, checked_gap};
use crate::rows::{RowSet, fingerprint};
use crate::run::{Accumulated, Evaluation, StepContext, StepRows, TrainingRun};
use crate::score::{completion_sequences, score_sums};
use crate::sft::ForwardSettings;
use labelled::{LabelledSet, mismatched};
use step::{StepPoint, log_ratios, lone_row, refused};

pub use step::check_steps;

/// What an unpaired run is made of.
#[derive(Debug)]
pub struct UnpairedParts<M> {
    /// The model, in its state before training.
    pub model: M,
    /// Under which names its trained weights are stored.
    pub files: ModelFiles,
    /// The loss.
    pub loss: Kto,
    /// Rows to train on.
    pub train: RowSet<EncodedLabelled>,
    /// Rows to evaluate on: none, or at least two.
    pub eval: RowSet<EncodedLabelled>,
    /// Mismatched completions are cut at their end to keep a sequence within so many tokens.
    pub max_length: usize,
    /// How rows go through the model.
    pub settings: ForwardSettings,
}

/// A run with [`Kto`] on labelled completions.
///
/// ```text
/// loss = mean over the rows of a step of w (1 - sigmoid(± beta (log policy(y | x) - log ref(y | x) - z0)))
/// z0   = max(0, mean over the rows of the step of log policy(y' | x) - log ref(y' | x))
/// ```
/// The `y'` of a row is the completion of the next row of the *global* batch, that of the last row the
/// first one's. So neither gradient accumulation nor the number of ranks changes `z0`. It is computed
/// before the step, without dropout and without gradient. An evaluation is one such step over all
/// held-out rows.
///
/// The reference is the model before training. Its log-probabilities of the rows' own completions are
/// cached; which completions a row meets depends on the order of the rows, so those are computed in every
/// step, by a copy of the model that shares what adapters leave frozen, and by a second model in memory
/// where every weight is trained.
///
/// Numbers before the first update are exact as in [`PreferenceRun`](crate::preference::PreferenceRun).
#[derive(Debug)]
pub struct UnpairedRun<M> {
    model: M,
    /// The model before training.
    reference: M,
    files: ModelFiles,
    loss: Kto,
    train: LabelledSet,
    eval: LabelledSet,
    eval_mismatched: Vec<EncodedCompletion>,
    eval_mismatched_reference: Vec<f64>,
    max_length: usize,
    settings: ForwardSettings,
    fingerprint: String,
    cache_file: PathBuf,
    step: StepPoint,
}

impl<M: CausalLm + Module> UnpairedRun<M> {
    /// A run whose reference log-probabilities are read from `cache`, or computed with the model as it is.
    ///
    /// # Errors
    /// A single held-out row, which has no other completion; what the model or the disk says.
    pub fn new(
        parts: UnpairedParts<M>,
        cache: &ReferenceCache,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let UnpairedParts { model, files, loss, train, eval, max_length, settings } = parts;
        if eval.len() == 1 {
            return Err(refused(
                "data.eval",
                "a single held-out row".to_owned(),
                "two or more, or none: the reference point is made of a prompt with the completion of \
                 another row; change the file, or `data.eval_fraction`",
            ));
        }
        let fingerprint = fingerprint([train.items.as_slice(), eval.items.as_slice()]);
        let reference = model.valid();
        let mut train = LabelledSet::from(train);
        let mut eval = LabelledSet::from(eval);
        if let Some(label) = train.only_label() {
            progress.notice(&format!(
                "all {} training rows are {label}: nothing holds the policy but the reference; \
                 KTO is meant for rows of both labels",
                train.rows.len()
            ));
        }
        let scoring = settings.scoring(ranks);
        train.reference = cache.scores(&reference, &train.rows, scoring, progress)?;
        let all: Vec<usize> = (0..eval.rows.len()).collect();
        let items = mismatched(&eval.rows.items, &all, max_length);
        let swapped = RowSet { items, names: eval.rows.names.clone() };
        let mut eval_mismatched_reference = Vec::new();
        if !all.is_empty() {
            eval.reference = cache.scores(&reference, &eval.rows, scoring, progress)?;
            eval_mismatched_reference = cache.scores(&reference, &swapped, scoring, progress)?;
        }
        Ok(Self {
            cache_file: cache.file(&train.rows.items),
            model,
            reference,
            files,
            loss,
            train,
            eval,
            eval_mismatched: swapped.items,
            eval_mismatched_reference,
            max_length,
            settings,
            fingerprint,
            step: StepPoint::default(),
        })
    }

    /// The trained model.
    pub fn into_model(self) -> M {
        self.model
    }

    /// The loss of every row of a forest; names the rows that have none.
    fn terms(
        &self,
        set: &LabelledSet,
        point: &StepPoint,
        logps: &[(usize, UnpairedLogps)],
        step: u64,
    ) -> Result<Vec<UnpairedTerms>, TrainError> {
        let mut terms = Vec::with_capacity(logps.len());
        let mut bad = Vec::new();
        for (row, logps) in logps {
            match self.loss.terms(logps, point.z0) {
                Ok(found) => terms.push(found),
                Err(error) => bad.push(format!("{} ({error})", set.rows.names[*row])),
            }
        }
        if bad.is_empty() {
            Ok(terms)
        } else {
            Err(TrainError::LossNotFinite { step, loss: f64::NAN, rows: bad })
        }
    }

    fn accumulate_forest(
        &self,
        part: &PackedForest,
        context: &StepContext<'_>,
        sum: &mut Accumulated,
    ) -> Result<(), TrainError> {
        let options = self.settings.training(context.dropout_seed);
        let traced = self.model.token_logps(&part.forest, &options)?;
        let logps = host_values(traced.clone().inner());
        let trained = sums(part, &logps);
        let clean = sums(part, &without_dropout(&self.model, part, self.settings.dropout, &logps)?);
        let rows: Vec<usize> = part.rows.iter().map(|(row, _)| *row).collect();
        let mut references: Vec<f64> = rows.iter().map(|&row| self.train.reference[row]).collect();
        if context.step == 0 {
            let mut largest: f64 = 0.0;
            for ((&row, policy), reference) in rows.iter().zip(&clean).zip(&references) {
                let name = &self.train.rows.names[row];
                largest = largest.max(checked_gap(*policy, *reference, name, &self.cache_file)?);
            }
            sum.metrics.add("reference_gap", largest * rows.len() as f64, rows.len() as f64);
            references.clone_from(&clean);
        }
        let step = context.step + 1;
        let logps = self.train.logps(&rows, &trained, &references);
        let terms = self.terms(&self.train, &self.step, &logps, step)?;
        let mut by_target = vec![0.0; traced.dims()[0]];
        let mut loss = 0.0;
        for (terms, (_, spans)) in terms.iter().zip(&part.rows) {
            sum.metrics.observe("loss", terms.loss);
            loss += terms.loss / context.loss_weight;
            for &target in &spans[0].targets {
                by_target[target] += terms.grad / context.loss_weight;
            }
        }
        let logps = self.train.logps(&rows, &clean, &references);
        for ((_, logps), terms) in
            logps.iter().zip(&self.terms(&self.train, &self.step, &logps, step)?)
        {
            self.step.observe(logps, terms, &mut sum.metrics);
        }
        if !by_target.is_empty() {
            let loss = with_gradient(loss, [(traced, by_target)]);
            sum.add_backward(&self.model, &loss);
        }
        Ok(())
    }
}

/// Summed log-probability of every row of a forest, in its order.
fn sums(part: &PackedForest, logprobs: &[f32]) -> Vec<f64> {
    part.rows.iter().map(|(_, spans)| spans[0].sum(logprobs)).collect()
}

impl<M: CausalLm + Module> TrainingRun for UnpairedRun<M> {
    type Model = M;

    fn model(&self) -> &M {
        &self.model
    }

    fn model_mut(&mut self) -> &mut M {
        &mut self.model
    }

    fn model_files(&self) -> &ModelFiles {
        &self.files
    }

    fn row_count(&self) -> usize {
        self.train.rows.len()
    }

    fn row_name(&self, row: usize) -> String {
        self.train.rows.names[row].to_string()
    }

    fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn loss_weight(&self, rows: &[usize]) -> f64 {
        rows.len() as f64
    }

    fn row_cost(&self, row: usize) -> usize {
        self.train.rows.items[row].sequence().len()
    }

    /// Computes the reference point from all rows of the step.
    fn begin_step(
        &mut self,
        rows: StepRows<'_>,
        step: u64,
        ranks: Ranks<'_>,
        _: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        let rows = rows.all;
        if rows.len() < 2 {
            return Err(lone_row(format!("such that step {} has one row", step + 1)));
        }
        let items = mismatched(&self.train.rows.items, rows, self.max_length);
        let score = |model: &M, options: &ForwardOptions| {
            score_sums(model, &items, options, self.settings.scoring(ranks), "", &mut Silent)
        };
        let policy = score(&self.model.valid(), &ForwardOptions::default())?;
        let reference = score(&self.reference, &ForwardOptions::reference())?;
        let name = |place: usize| self.row_name(rows[place]);
        let ratios = log_ratios(&policy, &reference, name, step + 1)?;
        self.step = StepPoint::new(&self.train, rows, &ratios)?;
        Ok(())
    }

    fn finish_step(&mut self, _: Ranks<'_>) -> Result<MetricSums, TrainError> {
        let mut metrics = MetricSums::default();
        metrics.observe("kl", self.step.z0);
        Ok(metrics)
    }

    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let items = &self.train.rows.items;
        let sequences = |row: usize| completion_sequences(&items[row]);
        let packed = pack(&self.model, rows, self.settings.max_tokens, sequences);
        for (number, part) in packed.iter().enumerate() {
            let last = number + 1 == packed.len();
            context.pass(last, &self.model, &mut sum, |sum| {
                self.accumulate_forest(part, context, sum)
            })?;
        }
        sum.tokens = rows.iter().map(|&row| items[row].sequence().len() as u64).sum();
        Ok(sum)
    }

    fn can_evaluate(&self) -> bool {
        !self.eval.rows.is_empty()
    }

    fn evaluate(
        &mut self,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError> {
        let model = self.model.valid();
        let mut score = |items: &[EncodedCompletion], what: &str| {
            let options = ForwardOptions::default();
            score_sums(&model, items, &options, self.settings.scoring(ranks), what, progress)
        };
        let policy = score(&self.eval_mismatched, "reference point")?;
        let logps = score(&self.eval.rows.items, "evaluation")?;
        let name = |row: usize| self.eval.rows.names[row].to_string();
        let ratios = log_ratios(&policy, &self.eval_mismatched_reference, name, step)?;
        let rows: Vec<usize> = (0..self.eval.rows.len()).collect();
        let point = StepPoint::new(&self.eval, &rows, &ratios)?;
        let logps = self.eval.logps(&rows, &logps, &self.eval.reference);
        let mut metrics = MetricSums::default();
        for ((_, logps), terms) in logps.iter().zip(&self.terms(&self.eval, &point, &logps, step)?)
        {
            metrics.observe("loss", terms.loss);
            point.observe(logps, terms, &mut metrics);
        }
        metrics.observe("kl", point.z0);
        let metrics = metrics.means().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Evaluation { metrics, warning: None })
    }
}
