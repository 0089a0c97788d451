//! What a step learns from: completions of its prompts with their weights.

use std::collections::{BTreeMap, BTreeSet};

use bestof_estimators::{KSchedule, RewardTransform, Target, Workspace, max_at_k_with};
use bestof_models::CausalLm;
use burn::module::Module;

use super::measure::Failures;
use super::parts::{Batch, Counts, ReinforceParts, ReinforceRun, Weighted};
use super::rollout::{Group, Rollout};
use crate::communicator::Ranks;
use crate::error::TrainError;
use crate::run::{StepRows, TrainingRun, dropout_seed};

/// The stream of seeds that replaced prompts are drawn from; steps take the small numbers.
const REDRAWING: u64 = u64::MAX - 1;

impl<M: CausalLm + Module> ReinforceRun<M> {
    /// Samples, judges and weighs the completions of a step, and other prompts' in the place of those
    /// whose completions all have one reward, as far as the objective says.
    pub(super) fn drawn(
        &self,
        rows: StepRows<'_>,
        step: u64,
        ranks: Ranks<'_>,
    ) -> Result<Batch, TrainError> {
        let mut taken: BTreeSet<usize> = rows.all.iter().copied().collect();
        let mut groups = BTreeMap::new();
        let (mut failures, mut redrawn) = (Failures::default(), 0);
        let mut asked: Vec<(usize, usize)> = rows.mine.iter().map(|&slot| (slot, slot)).collect();
        for round in 0..=self.parts.objective.redraw_rounds {
            let found = self.sampled(&asked, step)?;
            failures.add(Failures::of(&found));
            for ((slot, _), weighted) in asked.iter().zip(self.weigh(step, found)?) {
                groups.insert(*slot, weighted);
            }
            if round == self.parts.objective.redraw_rounds {
                break;
            }
            let constant = groups.iter().filter(|(_, weighted)| weighted.is_constant());
            let here: Vec<usize> = constant.map(|(slot, _)| *slot).collect();
            // Every rank draws for all, as none is to take a row that another has taken.
            let mut all = ranks.gather(here)?.concat();
            all.sort_unstable();
            asked.clear();
            let mut any = false;
            for slot in all {
                let Some(row) = self.other_row(slot, step, round, &mut taken) else { continue };
                (any, redrawn) = (true, redrawn + 1);
                if groups.contains_key(&slot) {
                    asked.push((slot, row));
                }
            }
            if !any {
                break;
            }
        }
        let batch = self.batch_of(rows, step, groups, ranks)?;
        let mut all = Failures::default();
        ranks.gather(failures)?.into_iter().for_each(|of_rank| all.add(of_rank));
        Ok(Batch { failures: all, redrawn, ..batch })
    }

    /// The batch of a step whose completions are weighed.
    pub(super) fn batch_of(
        &self,
        rows: StepRows<'_>,
        step: u64,
        mut groups: BTreeMap<usize, Weighted>,
        ranks: Ranks<'_>,
    ) -> Result<Batch, TrainError> {
        let updates = self.updates(rows.all).len();
        let first_visits = updates / self.parts.objective.updates_per_batch.max(1);
        // Prompts of later mini-batches, and all under dropout, are trained on when the policy is no
        // longer the one that sampled.
        if first_visits > 1 || self.parts.settings.dropout {
            self.fill_old_logps(rows.mine, &mut groups, |_, _| true)?;
        }
        let counted = |(slot, weighted): (&usize, &Weighted)| {
            let Group { row, rollouts } = &weighted.group;
            Counts {
                slot: *slot,
                row: *row,
                samples: rollouts.len(),
                passed: weighted.group.passed(),
                tokens: rollouts.iter().map(Rollout::drawn_tokens).sum(),
                objective_k: weighted.objective_k,
            }
        };
        let here: Vec<Counts> = groups.iter().map(counted).collect();
        let mut counts = ranks.gather(here)?.concat();
        counts.sort_by_key(|counts| counts.slot);
        let tokens: usize = counts.iter().map(|counts| counts.tokens).sum();
        let samples: usize = counts.iter().map(|counts| counts.samples).sum();
        let mean_length = (tokens as f64 / samples.max(1) as f64).max(1.0);
        let moved = vec![false; updates];
        let (failures, redrawn) = (Failures::default(), 0);
        Ok(Batch { step, groups, counts, failures, redrawn, first_visits, mean_length, moved })
    }

    /// Completions of rows, each for a slot.
    fn sampled(&self, asked: &[(usize, usize)], step: u64) -> Result<Vec<Group>, TrainError> {
        let ReinforceParts { model, train, sampler, seed, .. } = &self.parts;
        let problems: Vec<_> = asked
            .iter()
            .map(|&(_, row)| (row, &train.items[row], dropout_seed(*seed, step, row as u64)))
            .collect();
        let found = sampler.sample(model, &problems, sampler.samples);
        found.map_err(|error| error.at_row_of(&train.names))
    }

    /// A training row that is not in the step yet: a function of seed, step, round and slot.
    fn other_row(
        &self,
        slot: usize,
        step: u64,
        round: usize,
        taken: &mut BTreeSet<usize>,
    ) -> Option<usize> {
        let rows = self.parts.train.len();
        if taken.len() >= rows {
            return None;
        }
        let stream = dropout_seed(self.parts.seed, REDRAWING, step);
        let first = dropout_seed(stream, round as u64, slot as u64) % rows as u64;
        let row =
            (0..rows).map(|by| (first as usize + by) % rows).find(|row| !taken.contains(row))?;
        taken.insert(row);
        Some(row)
    }

    /// Rewards to weights, prompt by prompt.
    pub(super) fn weigh(&self, step: u64, groups: Vec<Group>) -> Result<Vec<Weighted>, TrainError> {
        let mut workspace = Workspace::with_capacity(self.parts.sampler.samples);
        let objective = &self.parts.objective;
        groups
            .into_iter()
            .map(|group| {
                let (passed, samples) =
                    self.pass_counts.get(&group.row).copied().unwrap_or_default();
                let k = self.schedule.k_of_prompt(step, passed, samples);
                let transform = objective.transform(k)?;
                let rewards = group.rewards();
                let mut weights = vec![0.0; rewards.len()];
                transform.transform_into(&rewards, &mut weights, &mut workspace)?;
                let best_of = target_k(&*transform, rewards.len());
                let value = max_at_k_with(&rewards, best_of, &mut workspace)?;
                Ok(Weighted::new(group, k, weights, (best_of, value), objective.mask_truncated))
            })
            .collect()
    }
}

/// The `k` of the max@k whose gradient the weights estimate; 1 for a biased direction and for a sum
/// over all `k`.
fn target_k(transform: &dyn RewardTransform, n: usize) -> usize {
    match transform.target(n) {
        Target::Gradient { k, .. } => k,
        _ => 1,
    }
}
