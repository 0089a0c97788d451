//! Preference runs: pairs of answers under any preference loss.

mod report;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;

use bestof_kernels::host_values;
use bestof_losses::{
    PairLogps, PreferenceLoss, PreferenceTerms, length_desensitised, with_gradient,
};
use bestof_models::{CausalLm, ForwardOptions};
use burn::module::Module;
use serde_json::Value;

use crate::communicator::Ranks;
use crate::data::EncodedPair;
use crate::displacement::{ChosenChange, DisplacementDetector, DisplacementWarning};
use crate::error::TrainError;
use crate::forward::{PackedForest, pack, without_dropout};
use crate::metric::MetricSums;
use crate::model_files::ModelFiles;
use crate::progress::Progress;
use crate::reference::{ReferenceCache, checked_gap};
use crate::rows::{RowName, RowSet, fingerprint};
use crate::run::{Accumulated, Evaluation, StepContext, TrainingRun};
use crate::score::{PairScore, pair_scores, pair_sequences, score_pairs};
use crate::sft::ForwardSettings;

pub use report::PairTexts;

/// Text of tokens, for messages.
pub type Decode = Box<dyn Fn(&[u32]) -> String>;

/// What a preference run is made of.
pub struct PreferenceParts<M> {
    /// The model, in its state before training.
    pub model: M,
    /// Under which names its trained weights are stored.
    pub files: ModelFiles,
    /// The loss.
    pub loss: Box<dyn PreferenceLoss>,
    /// Pairs to train on.
    pub train: RowSet<EncodedPair>,
    /// Pairs to evaluate on; may be empty, but then displacement is not watched.
    pub eval: RowSet<EncodedPair>,
    /// What tokens beyond the length of the shorter answer count: 1, or less for a length-desensitised
    /// loss ([`bestof_losses::length_desensitised`]).
    pub length_factor: f64,
    /// How rows go through the model.
    pub settings: ForwardSettings,
    /// Watches the chosen answers.
    pub detector: DisplacementDetector,
    /// Text of tokens, for messages.
    pub decode: Decode,
}

impl<M> std::fmt::Debug for PreferenceParts<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreferenceParts").field("loss", &self.loss).finish_non_exhaustive()
    }
}

/// A preference run.
///
/// Each pair is a tree with two leaves, so prompt and common start are computed once. The loss is the mean
/// over the pairs of the *global* batch. The reference is the model before training: with adapters the
/// same weights with the adapters off, without them what the cache holds.
///
/// # Numerics
/// Log-probabilities are f32 by token, summed in f64. Before the first update policy and reference are the
/// same function, so there the pair's own log-probabilities stand for the reference once the two were
/// checked to agree: margins are exactly 0, and a loss with a kink there (DPOP) is not pushed to either
/// side of it by rounding.
#[derive(Debug)]
pub struct PreferenceRun<M> {
    parts: PreferenceParts<M>,
    train_reference: Vec<PairScore>,
    eval_reference: Vec<PairScore>,
    cache_file: PathBuf,
    last_eval: Vec<PairScore>,
    failure: Option<DisplacementWarning>,
}

impl<M: CausalLm + Module> PreferenceRun<M> {
    /// A run whose reference log-probabilities are read from `cache`, or computed with the model as it is.
    ///
    /// # Errors
    /// What the model or the disk says.
    pub fn new(
        parts: PreferenceParts<M>,
        cache: &ReferenceCache,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Self, TrainError> {
        let settings = parts.settings.scoring(ranks);
        let model = parts.model.valid();
        let train_reference = cache.scores(&model, &parts.train, settings, progress)?;
        let eval_reference = if parts.eval.is_empty() {
            progress.notice(
                "there are no held-out pairs, so falling chosen answers are not watched for; \
                 set `data.eval`, or `data.eval_fraction = 0.05`",
            );
            Vec::new()
        } else {
            cache.scores(&model, &parts.eval, settings, progress)?
        };
        let cache_file = cache.file(&parts.train.items);
        Ok(Self {
            parts,
            train_reference,
            eval_reference,
            cache_file,
            last_eval: Vec::new(),
            failure: None,
        })
    }

    /// The trained model.
    pub fn into_model(self) -> M {
        self.parts.model
    }

    /// The loss of every pair of a forest; names the pairs that have none.
    fn terms(
        &self,
        scores: &[(usize, PairScore)],
        references: &[PairScore],
        names: &[RowName],
        step: u64,
    ) -> Result<Vec<PreferenceTerms>, TrainError> {
        let mut terms = Vec::with_capacity(scores.len());
        let mut bad = Vec::new();
        for ((row, score), reference) in scores.iter().zip(references) {
            match self.parts.loss.terms(&self.logps(score, reference)) {
                Ok(found) => terms.push(found),
                Err(error) => bad.push(format!("{} ({error})", names[*row])),
            }
        }
        if bad.is_empty() {
            Ok(terms)
        } else {
            Err(TrainError::LossNotFinite { step, loss: f64::NAN, rows: bad })
        }
    }

    /// Before the first update: checks the cached reference against the policy, which still equals it.
    fn check_reference(&self, scores: &[(usize, PairScore)]) -> Result<f64, TrainError> {
        let mut largest: f64 = 0.0;
        for (row, score) in scores {
            let reference = &self.train_reference[*row];
            let pairs = [(score.chosen, reference.chosen), (score.rejected, reference.rejected)];
            for (policy, reference) in pairs {
                let name = &self.parts.train.names[*row];
                largest = largest.max(checked_gap(policy, reference, name, &self.cache_file)?);
            }
        }
        Ok(largest)
    }

    fn accumulate_forest(
        &self,
        part: &PackedForest,
        context: &StepContext<'_>,
        sum: &mut Accumulated,
    ) -> Result<(), TrainError> {
        let options = self.parts.settings.training(context.dropout_seed);
        let names = &self.parts.train.names;
        let traced = self.parts.model.token_logps(&part.forest, &options)?;
        let logps = host_values(traced.clone().inner());
        let trained = pair_scores(part, &logps);
        let dropout = self.parts.settings.dropout;
        let clean = pair_scores(part, &without_dropout(&self.parts.model, part, dropout, &logps)?);
        let references: Vec<PairScore> = if context.step == 0 {
            let gap = self.check_reference(&clean)?;
            sum.metrics.add("reference_gap", gap * clean.len() as f64, clean.len() as f64);
            clean.iter().map(|(_, score)| *score).collect()
        } else {
            clean.iter().map(|(row, _)| self.train_reference[*row]).collect()
        };
        let terms = self.terms(&trained, &references, names, context.step + 1)?;
        let mut by_target = vec![0.0; traced.dims()[0]];
        let mut loss = 0.0;
        for (terms, (_, spans)) in terms.iter().zip(&part.rows) {
            sum.metrics.observe("loss", terms.loss);
            loss += terms.loss / context.loss_weight;
            let factors =
                length_desensitised(spans[0].len(), spans[1].len(), self.parts.length_factor)?;
            let slopes =
                [(&factors.chosen, terms.grad_chosen), (&factors.rejected, terms.grad_rejected)];
            for (span, (factors, slope)) in spans.iter().zip(slopes) {
                for (&target, factor) in span.targets.iter().zip(factors) {
                    by_target[target] += factor * slope / context.loss_weight;
                }
            }
        }
        let clean_terms = self.terms(&clean, &references, names, context.step + 1)?;
        for (((_, score), reference), terms) in clean.iter().zip(&references).zip(&clean_terms) {
            self.observe(&self.logps(score, reference), terms, &mut sum.metrics);
        }
        if !by_target.is_empty() {
            let loss = with_gradient(loss, [(traced, by_target)]);
            sum.add_backward(&self.parts.model, &loss);
        }
        Ok(())
    }

    /// Adds one pair's metrics, under TRL's names and ours.
    fn observe(&self, logps: &PairLogps, terms: &PreferenceTerms, metrics: &mut MetricSums) {
        let flag = |holds: bool| f64::from(u8::from(holds));
        metrics.observe("rewards/chosen", terms.reward_chosen);
        metrics.observe("rewards/rejected", terms.reward_rejected);
        metrics.observe("rewards/margins", terms.margin());
        metrics.observe("rewards/accuracies", flag(terms.is_accurate()));
        metrics.observe("logps/chosen", logps.chosen);
        metrics.observe("logps/rejected", logps.rejected);
        metrics.observe("logps/chosen_vs_ref", logps.chosen_log_ratio());
        metrics.observe("displacement", flag(logps.chosen_log_ratio() < 0.0));
        if self.is_dpop() {
            metrics.observe("dpop/penalty", terms.penalty);
            metrics.observe("dpop/active_frac", flag(terms.penalty > 0.0));
        }
    }

    /// The pair's log-probabilities under policy and reference, as the loss takes them.
    fn logps(&self, score: &PairScore, reference: &PairScore) -> PairLogps {
        let sums = |score: &PairScore| {
            let left_out = (1.0 - self.parts.length_factor) * score.tail;
            if score.chosen_len > score.rejected_len {
                (score.chosen - left_out, score.rejected)
            } else {
                (score.chosen, score.rejected - left_out)
            }
        };
        let ((chosen, rejected), (ref_chosen, ref_rejected)) = (sums(score), sums(reference));
        PairLogps {
            chosen,
            rejected,
            ref_chosen,
            ref_rejected,
            chosen_len: score.chosen_len,
            rejected_len: score.rejected_len,
        }
    }

    fn is_dpop(&self) -> bool {
        self.parts.loss.name().starts_with("dpop")
    }

    fn watch(&mut self, step: u64) -> Option<DisplacementWarning> {
        let eval = &self.parts.eval;
        let names: Vec<String> = eval.names.iter().map(ToString::to_string).collect();
        let changes: Vec<ChosenChange<'_>> = self
            .last_eval
            .iter()
            .zip(&self.eval_reference)
            .zip(eval.items.iter().zip(&names))
            .map(|((score, reference), (pair, row))| ChosenChange {
                row,
                delta: score.chosen - reference.chosen,
                chosen_ids: &pair.chosen_ids,
                rejected_ids: &pair.rejected_ids,
            })
            .collect();
        let piece = |id: u32| (self.parts.decode)(&[id]);
        self.parts.detector.observe(step, &changes, &piece)
    }
}

impl<M: CausalLm + Module> TrainingRun for PreferenceRun<M> {
    type Model = M;

    fn model(&self) -> &M {
        &self.parts.model
    }

    fn model_mut(&mut self) -> &mut M {
        &mut self.parts.model
    }

    fn model_files(&self) -> &ModelFiles {
        &self.parts.files
    }

    fn row_count(&self) -> usize {
        self.parts.train.len()
    }

    fn row_name(&self, row: usize) -> String {
        self.parts.train.names[row].to_string()
    }

    fn fingerprint(&self) -> String {
        fingerprint([self.parts.train.items.as_slice(), self.parts.eval.items.as_slice()])
    }

    fn loss_weight(&self, rows: &[usize]) -> f64 {
        rows.len() as f64
    }

    fn row_cost(&self, row: usize) -> usize {
        self.parts.train.items[row].tokens_apart_and_shared().1
    }

    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let items = &self.parts.train.items;
        let sequences = |row: usize| pair_sequences(&items[row]);
        let packed = pack(&self.parts.model, rows, self.parts.settings.max_tokens, sequences);
        for (number, part) in packed.iter().enumerate() {
            let last = number + 1 == packed.len();
            context.pass(last, &self.parts.model, &mut sum, |sum| {
                self.accumulate_forest(part, context, sum)
            })?;
        }
        sum.tokens = rows.iter().map(|&row| items[row].tokens_apart_and_shared().0 as u64).sum();
        Ok(sum)
    }

    fn can_evaluate(&self) -> bool {
        !self.parts.eval.is_empty()
    }

    fn evaluate(
        &mut self,
        step: u64,
        ranks: Ranks<'_>,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError> {
        let eval = &self.parts.eval;
        let options = ForwardOptions::default();
        let settings = self.parts.settings.scoring(ranks);
        let model = self.parts.model.valid();
        let scores = score_pairs(&model, &eval.items, &options, settings, "evaluation", progress)?;
        let numbered: Vec<(usize, PairScore)> = scores.iter().copied().enumerate().collect();
        let terms = self.terms(&numbered, &self.eval_reference, &eval.names, step)?;
        let mut metrics = MetricSums::default();
        for ((score, reference), terms) in scores.iter().zip(&self.eval_reference).zip(&terms) {
            metrics.observe("loss", terms.loss);
            self.observe(&self.logps(score, reference), terms, &mut metrics);
        }
        self.last_eval = scores;
        let warning = self.watch(step);
        if self.parts.detector.fails() {
            self.failure.clone_from(&warning);
        }
        let metrics = metrics.means().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Evaluation { metrics, warning })
    }

    fn save_state(&self) -> Value {
        serde_json::json!({ "displacement": self.parts.detector.state() })
    }

    fn restore_state(&mut self, state: &Value) -> Result<(), String> {
        let detector = serde_json::from_value(state["displacement"].clone())
            .map_err(|error| format!("displacement: {error}"))?;
        self.parts.detector.restore(detector);
        Ok(())
    }

    fn failure(&self) -> Option<TrainError> {
        self.failure.clone().map(|warning| TrainError::Displaced(Box::new(warning)))
    }
}
