//! One update: weighted completions through the model and back.

use bestof_kernels::host_values;
use bestof_losses::{
    CompletionTokens, LossError, PolicyTerms, truncated_sampler_weights, with_gradient,
};
use bestof_models::{CausalLm, ForwardOptions, TokenScores};
use burn::module::Module;
use burn::tensor::Tensor;

use super::measure;
use super::parts::{Batch, ReinforceRun, Weighted};
use super::pieces::{Located, Pieces, values};
use crate::error::TrainError;
use crate::forward::PackedForest;
use crate::metric::MetricSums;
use crate::run::{Accumulated, StepContext};

/// What the policy says of the targets of a forest.
struct Scores {
    logps: Vec<f64>,
    /// `None` unless the loss reads them.
    entropies: Option<Vec<f64>>,
}

impl Scores {
    /// In one transfer.
    fn read(scores: &TokenScores) -> Self {
        let parts = [Some(&scores.logps), scores.entropies.as_ref()];
        let parts = parts.into_iter().flatten().map(|part| part.clone().inner()).collect();
        let mut logps: Vec<f64> =
            host_values(Tensor::<1>::cat(parts, 0)).into_iter().map(f64::from).collect();
        let entropies = logps.split_off(scores.logps.dims()[0]);
        Self { logps, entropies: scores.entropies.is_some().then_some(entropies) }
    }
}

impl<M: CausalLm + Module> ReinforceRun<M> {
    pub(super) fn accumulate_groups(
        &self,
        slots: &[usize],
        context: &StepContext<'_>,
        batch: &mut Batch,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let on_policy = self.is_on_policy(context);
        if !on_policy && self.recomputes_weights() {
            self.reweigh(slots, context, batch, &mut sum.metrics)?;
        }
        for slot in slots {
            // A prompt whose completions are left out has a loss of 0.
            sum.metrics.add("loss", 0.0, 1.0);
            if context.update < batch.first_visits {
                let weighted = &batch.groups[slot];
                self.observe(weighted, &mut sum.metrics)?;
                let prompt = self.parts.train.items[weighted.group.row].prompt_ids.len();
                let tokens = weighted.group.rollouts.iter().map(|r| prompt + r.ids.len());
                sum.tokens += tokens.sum::<usize>() as u64;
            }
        }
        // With dropout a completion's masks depend on the tree it is in, which has to be the one
        // that its weight was computed in.
        let all = self.parts.settings.dropout;
        let pieces = self
            .pieces(slots, &batch.groups, |weighted, number| all || self.counts(weighted, number));
        let counts = |part: &&PackedForest| {
            pieces.located(part).any(|at| self.counts(&batch.groups[&at.slot], at.rollout))
        };
        let forests: Vec<&PackedForest> = pieces.forests.iter().filter(counts).collect();
        for (number, part) in forests.iter().enumerate() {
            let last = number + 1 == forests.len();
            context.pass(last, &self.parts.model, &mut sum, |sum| {
                self.accumulate_forest(part, &pieces, context, batch, sum)
            })?;
        }
        if on_policy && self.needs_all_old_logps() {
            let left_out = |weighted: &Weighted, number: usize| !self.counts(weighted, number);
            self.fill_old_logps(slots, &mut batch.groups, left_out)?;
        }
        Ok(sum)
    }

    /// Whether a completion has a gradient.
    fn counts(&self, weighted: &Weighted, number: usize) -> bool {
        weighted.weights[number] != 0.0 || !self.loss.ignores_zero_weights()
    }

    /// Metrics of a prompt's completions, as they were sampled.
    fn observe(&self, weighted: &Weighted, metrics: &mut MetricSums) -> Result<(), TrainError> {
        let mut measured = MetricSums::default();
        measure::observe(&weighted.group, &mut measured)?;
        if self.loss.needs_entropies() {
            // The pass over all completions gives the exact ones.
            measured.remove("entropy");
        }
        metrics.merge(&measured);
        metrics.observe("objective", weighted.objective);
        metrics.observe("prompts/with_signal", f64::from(u8::from(weighted.has_signal())));
        Ok(())
    }

    /// Options of a training pass.
    pub(super) fn options(&self, context: &StepContext<'_>) -> ForwardOptions {
        self.at_temperature(self.parts.settings.training(context.dropout_seed))
    }

    /// The same for the distribution that completions are drawn from, but for cuts.
    pub(super) fn at_temperature(&self, options: ForwardOptions) -> ForwardOptions {
        options.with_temperature(self.parts.sampler.sampling.temperature)
    }

    fn accumulate_forest(
        &self,
        part: &PackedForest,
        pieces: &Pieces,
        context: &StepContext<'_>,
        batch: &mut Batch,
        sum: &mut Accumulated,
    ) -> Result<(), TrainError> {
        let options = self.options(context).with_entropies(self.loss.needs_entropies());
        let traced = self.parts.model.token_scores(&part.forest, &options)?;
        let scores = Scores::read(&traced);
        let on_policy = self.is_on_policy(context);
        if on_policy {
            self.remember(part, pieces, &scores.logps, &mut batch.groups)?;
        }
        let located: Vec<Located<'_>> = pieces.located(part).collect();
        let sampler_weights: Vec<Option<Vec<f64>>> =
            located.iter().map(|at| self.sampler_weights(at, batch)).collect::<Result<_, _>>()?;
        let completions: Vec<CompletionTokens<'_>> = located
            .iter()
            .zip(&sampler_weights)
            .map(|(at, sampler)| self.completion(at, batch, on_policy, sampler.as_deref()))
            .collect::<Result<_, _>>()?;
        let found = self
            .loss
            .batch(&scores.logps, scores.entropies.as_deref(), &completions, context.loss_weight)
            .map_err(|error| self.not_finite(&error, &located, batch, context.step + 1))?;
        for (at, terms) in located.iter().zip(&found.terms) {
            self.observe_completion(at, terms, &scores, context, batch, &mut sum.metrics);
        }
        // What is exactly zero everywhere moves nothing, and need not be computed.
        if found.by_logp.iter().chain(&found.by_entropy).all(|slope| *slope as f32 == 0.0) {
            return Ok(());
        }
        let mut tensors = vec![(traced.logps, found.by_logp)];
        tensors.extend(traced.entropies.map(|entropies| (entropies, found.by_entropy)));
        let loss = with_gradient(found.loss, tensors);
        sum.add_backward(&self.parts.model, &loss);
        Ok(())
    }

    /// A completion as the loss sees it in an update.
    fn completion<'a>(
        &self,
        at: &Located<'a>,
        batch: &'a Batch,
        on_policy: bool,
        sampler_weights: Option<&'a [f64]>,
    ) -> Result<CompletionTokens<'a>, TrainError> {
        let weighted = &batch.groups[&at.slot];
        let read = |lists: &'a [Vec<f64>]| lists[at.rollout].as_slice();
        let scale = self.parts.objective.aggregation.scale(at.span.len(), batch.mean_length)?;
        Ok(CompletionTokens {
            tokens: &at.span.targets,
            weight: weighted.weights[at.rollout],
            share: 1.0 / weighted.weights.len() as f64,
            scale,
            old_logps: (!on_policy).then(|| read(&weighted.old_logps)),
            sampler_weights,
            reference: self.loss.needs_reference().then(|| read(&weighted.reference)),
        })
    }

    /// Importance weights of a completion's tokens between the policy and its sampler.
    fn sampler_weights(
        &self,
        at: &Located<'_>,
        batch: &Batch,
    ) -> Result<Option<Vec<f64>>, TrainError> {
        let Some(cap) = self.parts.objective.sampler_cap else { return Ok(None) };
        let weighted = &batch.groups[&at.slot];
        let drawn: Vec<f64> = weighted.group.rollouts[at.rollout]
            .sampling_logprobs
            .iter()
            .map(|logp| f64::from(*logp))
            .collect();
        Ok(Some(truncated_sampler_weights(&weighted.old_logps[at.rollout], &drawn, cap)?))
    }

    /// The error that names the row of the completion which has no loss.
    fn not_finite(
        &self,
        error: &LossError,
        located: &[Located<'_>],
        batch: &Batch,
        step: u64,
    ) -> TrainError {
        let rows = match error {
            LossError::InCompletion { index, source } => {
                let row = batch.groups[&located[*index].slot].group.row;
                vec![format!("{} ({source})", self.parts.train.names[row])]
            }
            other => vec![other.to_string()],
        };
        TrainError::LossNotFinite { step, loss: f64::NAN, rows }
    }

    fn observe_completion(
        &self,
        at: &Located<'_>,
        terms: &PolicyTerms,
        scores: &Scores,
        context: &StepContext<'_>,
        batch: &Batch,
        metrics: &mut MetricSums,
    ) {
        let weighted = &batch.groups[&at.slot];
        let tokens = at.span.len() as f64;
        metrics.add("loss", terms.loss, 0.0);
        metrics.add("clip_ratio", (terms.clipped_low + terms.clipped_high) as f64, tokens);
        // Only before a prompt's first update are its completions nearly the policy's own.
        if context.update >= batch.first_visits {
            return;
        }
        let drawn = &weighted.group.rollouts[at.rollout].logprobs;
        let then = &weighted.old_logps[at.rollout];
        let gaps = drawn.iter().zip(then).map(|(drawn, then)| (f64::from(*drawn) - then).abs());
        metrics.add("rollout_gap", gaps.sum(), tokens);
        if self.loss.needs_reference() {
            metrics.add("kl", terms.kl, tokens);
        }
        if let Some(entropies) = &scores.entropies {
            metrics.add("entropy", values(at.span, entropies).iter().sum(), tokens);
        }
    }
}
