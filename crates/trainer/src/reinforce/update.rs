//! One update: weighted completions through the model and back.

use std::collections::BTreeMap;

use bestof_kernels::host_values;
use bestof_losses::{SampledCompletion, with_gradient};
use bestof_models::{CausalLm, ForwardOptions, SequenceSpan};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::measure;
use super::parts::{ReinforceRun, Weighted};
use crate::error::TrainError;
use crate::forward::{PackedForest, RowSequence, pack};
use crate::metric::MetricSums;
use crate::run::{Accumulated, StepContext};

/// Completions of one prompt that go through the model in one tree.
#[derive(Debug)]
struct Piece {
    row: usize,
    rollouts: Vec<usize>,
}

/// What the policy says of the targets of a forest.
struct Scores {
    logps: Vec<f32>,
    /// Empty unless the loss reads them.
    entropies: Vec<f32>,
}

/// The loss of a forest, with its derivatives by the targets' log-probabilities and entropies.
struct ForestLoss {
    value: f64,
    by_logp: Vec<f64>,
    by_entropy: Vec<f64>,
}

impl<M: CausalLm + Module> ReinforceRun<M> {
    pub(super) fn accumulate_groups(
        &self,
        rows: &[usize],
        context: &StepContext,
        groups: &mut BTreeMap<usize, Weighted>,
    ) -> Result<Accumulated, TrainError> {
        let mut sum = Accumulated::default();
        let mut pieces = Vec::new();
        for row in rows {
            let weighted = &groups[row];
            // A prompt whose completions are left out has a loss of 0.
            sum.metrics.add("loss", 0.0, 1.0);
            if context.update == 0 {
                self.observe(weighted, &mut sum.metrics)?;
                let prompt = self.parts.train.items[*row].prompt_ids.len();
                let tokens = weighted.group.rollouts.iter().map(|r| prompt + r.ids.len());
                sum.tokens += tokens.sum::<usize>() as u64;
            }
            self.cut(weighted, &mut pieces);
        }
        let numbers: Vec<usize> = (0..pieces.len()).collect();
        let packed = pack(&numbers, self.parts.settings.max_tokens, |number| {
            let Piece { row, rollouts } = &pieces[number];
            let prompt = &self.parts.train.items[*row].prompt_ids;
            let of = |rollout: &usize| RowSequence {
                tokens: [prompt.as_slice(), &groups[row].group.rollouts[*rollout].ids].concat(),
                completion_start: prompt.len(),
            };
            rollouts.iter().map(of).collect()
        });
        for part in packed {
            self.accumulate_forest(&part, &pieces, context, groups, &mut sum)?;
        }
        Ok(sum)
    }

    /// Metrics of a prompt's completions, from before the first update.
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

    /// Cuts a prompt's completions into trees within the token budget. Those without a gradient
    /// are left out.
    fn cut(&self, weighted: &Weighted, pieces: &mut Vec<Piece>) {
        let row = weighted.group.row;
        let prompt = self.parts.train.items[row].prompt_ids.len();
        let budget = self.parts.settings.max_tokens;
        let mut piece = Piece { row, rollouts: Vec::new() };
        let mut tokens = prompt;
        for (number, rollout) in weighted.group.rollouts.iter().enumerate() {
            let idle = weighted.weights[number] == 0.0 && self.loss.ignores_zero_weights();
            if idle || rollout.ids.is_empty() {
                continue;
            }
            if !piece.rollouts.is_empty() && tokens + rollout.ids.len() > budget {
                pieces.push(std::mem::replace(&mut piece, Piece { row, rollouts: Vec::new() }));
                tokens = prompt;
            }
            tokens += rollout.ids.len();
            piece.rollouts.push(number);
        }
        if !piece.rollouts.is_empty() {
            pieces.push(piece);
        }
    }

    fn accumulate_forest(
        &self,
        part: &PackedForest,
        pieces: &[Piece],
        context: &StepContext,
        groups: &mut BTreeMap<usize, Weighted>,
        sum: &mut Accumulated,
    ) -> Result<(), TrainError> {
        let options = ForwardOptions {
            entropies: self.loss.needs_entropies(),
            ..self.parts.settings.training(context.dropout_seed)
        };
        let traced = self.parts.model.token_scores(&part.forest, &options)?;
        let host = |tensor: &Tensor<1>| host_values(tensor.clone().inner());
        let scores = Scores {
            logps: host(&traced.logps),
            entropies: traced.entropies.as_ref().map(host).unwrap_or_default(),
        };
        if context.update == 0 {
            self.remember(part, pieces, &scores, groups)?;
        }
        let count = scores.logps.len();
        let mut loss =
            ForestLoss { value: 0.0, by_logp: vec![0.0; count], by_entropy: vec![0.0; count] };
        for (number, spans) in &part.rows {
            let Piece { row, rollouts } = &pieces[*number];
            for (rollout, span) in rollouts.iter().zip(spans) {
                let weighted = &groups[row];
                self.add_completion(
                    weighted,
                    *rollout,
                    span,
                    &scores,
                    context,
                    &mut loss,
                    &mut sum.metrics,
                )?;
            }
        }
        // What is exactly zero everywhere moves nothing, and need not be computed.
        if loss.by_logp.iter().chain(&loss.by_entropy).all(|slope| *slope as f32 == 0.0) {
            return Ok(());
        }
        let mut tensors = vec![(traced.logps, loss.by_logp)];
        tensors.extend(traced.entropies.map(|entropies| (entropies, loss.by_entropy)));
        let loss = with_gradient(loss.value, tensors);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.parts.model);
        sum.add_gradients(&self.parts.model, gradients);
        Ok(())
    }

    /// Keeps what the first update finds for the later ones.
    fn remember(
        &self,
        part: &PackedForest,
        pieces: &[Piece],
        scores: &Scores,
        groups: &mut BTreeMap<usize, Weighted>,
    ) -> Result<(), TrainError> {
        let reference = if self.loss.needs_reference() {
            let (model, options) = match &self.parts.reference {
                Some(frozen) => (frozen.valid(), ForwardOptions::default()),
                None => (self.parts.model.valid(), ForwardOptions::reference()),
            };
            Some(model.token_logps(&part.forest, &options)?)
        } else {
            None
        };
        let reference = reference.map(host_values);
        let again = self.parts.objective.updates_per_batch > 1;
        for (number, spans) in &part.rows {
            let Piece { row, rollouts } = &pieces[*number];
            let Some(weighted) = groups.get_mut(row) else { continue };
            for (&rollout, span) in rollouts.iter().zip(spans) {
                if again {
                    weighted.old_logps[rollout] = values(span, &scores.logps);
                }
                if let Some(reference) = &reference {
                    weighted.reference[rollout] = values(span, reference);
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one completion of one forest of one step")]
    fn add_completion(
        &self,
        weighted: &Weighted,
        rollout: usize,
        span: &SequenceSpan,
        scores: &Scores,
        context: &StepContext,
        loss: &mut ForestLoss,
        metrics: &mut MetricSums,
    ) -> Result<(), TrainError> {
        let logprobs = values(span, &scores.logps);
        let entropies = self.loss.needs_entropies().then(|| values(span, &scores.entropies));
        let share = 1.0 / weighted.weights.len() as f64;
        let completion = SampledCompletion {
            weight: weighted.weights[rollout],
            share,
            logprobs: &logprobs,
            old_logps: (context.update > 0).then(|| weighted.old_logps[rollout].as_slice()),
            reference: self.loss.needs_reference().then(|| weighted.reference[rollout].as_slice()),
            entropies: entropies.as_deref(),
        };
        let mut gradient = vec![0.0; logprobs.len()];
        let terms = self.loss.terms(&completion, &mut gradient).map_err(|error| {
            let name = &self.parts.train.names[weighted.group.row];
            TrainError::LossNotFinite {
                step: context.step + 1,
                loss: f64::NAN,
                rows: vec![format!("{name} ({error})")],
            }
        })?;
        let entropy_slope = self.loss.entropy_gradient(share) / context.loss_weight;
        loss.value += terms.loss / context.loss_weight;
        for (&at, slope) in span.targets.iter().zip(&gradient) {
            loss.by_logp[at] += slope / context.loss_weight;
            loss.by_entropy[at] += entropy_slope;
        }
        let tokens = logprobs.len() as f64;
        metrics.add("loss", terms.loss, 0.0);
        metrics.add("clip_ratio", (terms.clipped_low + terms.clipped_high) as f64, tokens);
        // Only before the first update are the completions samples of the policy that is measured.
        if context.update == 0 {
            let sampled = &weighted.group.rollouts[rollout].logprobs;
            let apart =
                sampled.iter().zip(&logprobs).map(|(then, now)| (f64::from(*then) - now).abs());
            metrics.add("rollout_gap", apart.sum(), tokens);
            if self.loss.needs_reference() {
                metrics.add("kl", terms.kl, tokens);
            }
            if let Some(entropies) = entropies {
                metrics.add("entropy", entropies.iter().sum(), tokens);
            }
        }
        Ok(())
    }
}

/// The values of a completion's tokens, out of those of its forest.
fn values(span: &SequenceSpan, of_forest: &[f32]) -> Vec<f64> {
    span.targets.iter().map(|&at| f64::from(of_forest[at])).collect()
}
