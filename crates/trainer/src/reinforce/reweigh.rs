//! Weights of completions under a policy that has moved from the one that sampled them.

use std::collections::BTreeMap;

use bestof_kernels::host_values;
use bestof_models::{CausalLm, ForwardOptions};
use burn::module::Module;

use super::objective::{OffPolicyWeights, moved_weights};
use super::parts::{Batch, ReinforceRun, Weighted};
use super::pieces::{Pieces, values};
use crate::error::TrainError;
use crate::forward::PackedForest;
use crate::metric::MetricSums;
use crate::run::StepContext;

impl<M: CausalLm + Module> ReinforceRun<M> {
    /// Whether this update's completions were drawn from the very policy that it moves.
    pub(super) fn is_on_policy(&self, context: &StepContext<'_>) -> bool {
        context.update == 0 && !self.parts.settings.dropout
    }

    /// Whether later updates of a step need what the policy that sampled said of completions
    /// that the first one leaves out.
    pub(super) fn needs_all_old_logps(&self) -> bool {
        self.recomputes_weights() && self.parts.objective.updates_per_batch > 1
    }

    /// Whether weights change with the policy.
    pub(super) fn recomputes_weights(&self) -> bool {
        let objective = &self.parts.objective;
        objective.off_policy == OffPolicyWeights::Exact && objective.has_partners()
    }

    /// What the policy that sampled, and the reference, say of the completions that `taken` says.
    pub(super) fn fill_old_logps(
        &self,
        slots: &[usize],
        groups: &mut BTreeMap<usize, Weighted>,
        taken: impl Fn(&Weighted, usize) -> bool,
    ) -> Result<(), TrainError> {
        let pieces = self.pieces(slots, groups, taken);
        let model = self.parts.model.valid();
        for part in &pieces.forests {
            let options = self.at_temperature(ForwardOptions::default());
            let logps = model.token_logps(&part.forest, &options)?;
            let logps: Vec<f64> = host_values(logps).into_iter().map(f64::from).collect();
            self.remember(part, &pieces, &logps, groups)?;
        }
        Ok(())
    }

    /// Keeps what the policy that sampled says of a forest's completions, and asks the reference.
    pub(super) fn remember(
        &self,
        part: &PackedForest,
        pieces: &Pieces,
        logps: &[f64],
        groups: &mut BTreeMap<usize, Weighted>,
    ) -> Result<(), TrainError> {
        let reference = if self.loss.needs_reference() {
            let (model, options) = match &self.parts.reference {
                Some(frozen) => (frozen.valid(), ForwardOptions::default()),
                None => (self.parts.model.valid(), ForwardOptions::reference()),
            };
            let logps =
                host_values(model.token_logps(&part.forest, &self.at_temperature(options))?);
            Some(logps.into_iter().map(f64::from).collect::<Vec<f64>>())
        } else {
            None
        };
        for at in pieces.located(part) {
            let Some(weighted) = groups.get_mut(&at.slot) else { continue };
            weighted.old_logps[at.rollout] = values(at.span, logps);
            if let Some(reference) = &reference {
                weighted.reference[at.rollout] = values(at.span, reference);
            }
        }
        Ok(())
    }

    /// Computes the weights of whole groups anew from all their ratios, before any backward pass:
    /// the weight of a completion depends on the ratios of the others, those of weight 0 included.
    pub(super) fn reweigh(
        &self,
        slots: &[usize],
        context: &StepContext<'_>,
        batch: &mut Batch,
        metrics: &mut MetricSums,
    ) -> Result<(), TrainError> {
        let pieces = self.pieces(slots, &batch.groups, |_, _| true);
        let mut log_ratios: BTreeMap<usize, Vec<f64>> =
            slots.iter().map(|slot| (*slot, vec![0.0; batch.groups[slot].weights.len()])).collect();
        let model = self.parts.model.valid();
        for part in &pieces.forests {
            let logps = model.token_logps(&part.forest, &self.options(context))?;
            let logps: Vec<f64> = host_values(logps).into_iter().map(f64::from).collect();
            for at in pieces.located(part) {
                let old: f64 = batch.groups[&at.slot].old_logps[at.rollout].iter().sum();
                let now: f64 = values(at.span, &logps).iter().sum();
                if let Some(ratios) = log_ratios.get_mut(&at.slot) {
                    ratios[at.rollout] = now - old;
                }
            }
        }
        for (slot, log_ratios) in log_ratios {
            let Some(weighted) = batch.groups.get_mut(&slot) else { continue };
            let n = log_ratios.len();
            let Some(rule) = self.parts.objective.off_policy_rule(weighted.k, n)? else { continue };
            let found = moved_weights(&rule, &weighted.group.rewards(), &log_ratios);
            let moved = found.map_err(|source| TrainError::OffPolicy {
                step: context.step + 1,
                row: self.parts.train.names[weighted.group.row].to_string(),
                source,
            })?;
            metrics.observe("ratio/mean_product", moved.mean_product);
            metrics.observe("ratio/effective_samples", moved.effective_samples);
            weighted.set_weights(moved.factors);
        }
        Ok(())
    }
}
