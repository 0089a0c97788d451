//! One update: weighted completions through the model and back.

use std::collections::BTreeMap;

use bestof_kernels::host_values;
use bestof_losses::{CompletionTokens, LossError, PolicyTerms, with_gradient};
use bestof_models::{CausalLm, ForwardOptions, SequenceSpan};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::measure;
use super::parts::{ReinforceRun, Weighted};
use crate::error::TrainError;
use crate::forward::{PackedForest, RowSequence, pack};
use crate::metric::MetricSums;
use crate::run::{Accumulated, StepContext, forest_seed};

/// Completions of one prompt that go through the model in one tree.
#[derive(Debug)]
struct Piece {
    row: usize,
    rollouts: Vec<usize>,
}

/// A completion in a forest.
struct Sampled<'a> {
    weighted: &'a Weighted,
    /// Its number among those of its prompt.
    rollout: usize,
    span: &'a SequenceSpan,
}

/// What the policy says of the targets of a forest.
struct Scores {
    logps: Vec<f64>,
    /// `None` unless the loss reads them.
    entropies: Option<Vec<f64>>,
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
        let max_tokens = self.parts.settings.max_tokens;
        let packed = pack(&self.parts.model, &numbers, max_tokens, |number| {
            let Piece { row, rollouts } = &pieces[number];
            let prompt = &self.parts.train.items[*row].prompt_ids;
            let of = |rollout: &usize| RowSequence {
                tokens: [prompt.as_slice(), &groups[row].group.rollouts[*rollout].ids].concat(),
                completion_start: prompt.len(),
            };
            rollouts.iter().map(of).collect()
        });
        for (number, part) in packed.iter().enumerate() {
            let dropout_seed = forest_seed(context.dropout_seed, number);
            let context = StepContext { dropout_seed, ..*context };
            self.accumulate_forest(part, &pieces, &context, groups, &mut sum)?;
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
        // What is shared is counted once for each tree that `pack` will make of the piece.
        let (mut tokens, mut keys) = (0, Vec::new());
        for (number, rollout) in weighted.group.rollouts.iter().enumerate() {
            let idle = weighted.weights[number] == 0.0 && self.loss.ignores_zero_weights();
            if idle || rollout.ids.is_empty() {
                continue;
            }
            let key = self.parts.model.length_key(prompt + rollout.ids.len());
            let needed =
                |keys: &[usize]| rollout.ids.len() + if keys.contains(&key) { 0 } else { prompt };
            if !piece.rollouts.is_empty() && tokens + needed(&keys) > budget {
                pieces.push(std::mem::replace(&mut piece, Piece { row, rollouts: Vec::new() }));
                (tokens, keys) = (0, Vec::new());
            }
            tokens += needed(&keys);
            if !keys.contains(&key) {
                keys.push(key);
            }
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
        let options = self
            .parts
            .settings
            .training(context.dropout_seed)
            .with_temperature(self.parts.sampler.sampling.temperature)
            .with_entropies(self.loss.needs_entropies());
        let traced = self.parts.model.token_scores(&part.forest, &options)?;
        let host = |tensor: &Tensor<1>| {
            host_values(tensor.clone().inner()).into_iter().map(f64::from).collect()
        };
        let scores =
            Scores { logps: host(&traced.logps), entropies: traced.entropies.as_ref().map(host) };
        if context.update == 0 {
            self.remember(part, pieces, &scores.logps, groups)?;
        }
        let sampled: Vec<Sampled<'_>> = part
            .rows
            .iter()
            .flat_map(|(number, spans)| {
                let Piece { row, rollouts } = &pieces[*number];
                let weighted = &groups[row];
                let of = move |(&rollout, span)| Sampled { weighted, rollout, span };
                rollouts.iter().zip(spans).map(of)
            })
            .collect();
        let completions: Vec<CompletionTokens<'_>> =
            sampled.iter().map(|sampled| self.completion(sampled, context.update)).collect();
        let batch = self
            .loss
            .batch(&scores.logps, scores.entropies.as_deref(), &completions, context.loss_weight)
            .map_err(|error| self.not_finite(&error, &sampled, context.step + 1))?;
        for (sampled, terms) in sampled.iter().zip(&batch.terms) {
            self.observe_completion(sampled, terms, &scores, context.update, &mut sum.metrics);
        }
        // What is exactly zero everywhere moves nothing, and need not be computed.
        if batch.by_logp.iter().chain(&batch.by_entropy).all(|slope| *slope as f32 == 0.0) {
            return Ok(());
        }
        let mut tensors = vec![(traced.logps, batch.by_logp)];
        tensors.extend(traced.entropies.map(|entropies| (entropies, batch.by_entropy)));
        let loss = with_gradient(batch.loss, tensors);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.parts.model);
        sum.add_gradients(&self.parts.model, gradients);
        Ok(())
    }

    /// Keeps what the first update finds for the later ones.
    fn remember(
        &self,
        part: &PackedForest,
        pieces: &[Piece],
        logps: &[f64],
        groups: &mut BTreeMap<usize, Weighted>,
    ) -> Result<(), TrainError> {
        let reference = if self.loss.needs_reference() {
            let (model, options) = match &self.parts.reference {
                Some(frozen) => (frozen.valid(), ForwardOptions::default()),
                None => (self.parts.model.valid(), ForwardOptions::reference()),
            };
            let options = options.with_temperature(self.parts.sampler.sampling.temperature);
            let logps = host_values(model.token_logps(&part.forest, &options)?);
            Some(logps.into_iter().map(f64::from).collect::<Vec<f64>>())
        } else {
            None
        };
        let again = self.parts.objective.updates_per_batch > 1;
        for (number, spans) in &part.rows {
            let Piece { row, rollouts } = &pieces[*number];
            let Some(weighted) = groups.get_mut(row) else { continue };
            for (&rollout, span) in rollouts.iter().zip(spans) {
                if again {
                    weighted.old_logps[rollout] = values(span, logps);
                }
                if let Some(reference) = &reference {
                    weighted.reference[rollout] = values(span, reference);
                }
            }
        }
        Ok(())
    }

    /// A completion as the loss sees it in an update.
    fn completion<'a>(&self, sampled: &Sampled<'a>, update: usize) -> CompletionTokens<'a> {
        let &Sampled { weighted, rollout, span } = sampled;
        let read = |lists: &'a [Vec<f64>]| lists[rollout].as_slice();
        CompletionTokens {
            tokens: &span.targets,
            weight: weighted.weights[rollout],
            share: 1.0 / weighted.weights.len() as f64,
            old_logps: (update > 0).then(|| read(&weighted.old_logps)),
            reference: self.loss.needs_reference().then(|| read(&weighted.reference)),
            ..CompletionTokens::default()
        }
    }

    /// The error that names the row of the completion which has no loss.
    fn not_finite(&self, error: &LossError, sampled: &[Sampled<'_>], step: u64) -> TrainError {
        let rows = match error {
            LossError::InCompletion { index, source } => {
                let row = sampled[*index].weighted.group.row;
                vec![format!("{} ({source})", self.parts.train.names[row])]
            }
            other => vec![other.to_string()],
        };
        TrainError::LossNotFinite { step, loss: f64::NAN, rows }
    }

    fn observe_completion(
        &self,
        sampled: &Sampled<'_>,
        terms: &PolicyTerms,
        scores: &Scores,
        update: usize,
        metrics: &mut MetricSums,
    ) {
        let &Sampled { weighted, rollout, span } = sampled;
        let tokens = span.len() as f64;
        metrics.add("loss", terms.loss, 0.0);
        metrics.add("clip_ratio", (terms.clipped_low + terms.clipped_high) as f64, tokens);
        // Only before the first update are the completions samples of the policy that is measured.
        if update > 0 {
            return;
        }
        let then = &weighted.group.rollouts[rollout].logprobs;
        let now = values(span, &scores.logps);
        let gaps = then.iter().zip(&now).map(|(then, now)| (f64::from(*then) - now).abs());
        metrics.add("rollout_gap", gaps.sum(), tokens);
        if self.loss.needs_reference() {
            metrics.add("kl", terms.kl, tokens);
        }
        if let Some(entropies) = &scores.entropies {
            metrics.add("entropy", values(span, entropies).iter().sum(), tokens);
        }
    }
}

/// The values of a completion's tokens, out of those of its forest.
fn values(span: &SequenceSpan, of_forest: &[f64]) -> Vec<f64> {
    span.targets.iter().map(|&at| of_forest[at]).collect()
}
