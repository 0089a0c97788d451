//! Policy-gradient runs: sample, judge, weigh, and move the policy towards what was worth most.
//!
//! A step takes the prompts of a batch, samples `n` completions of each from the policy as it is,
//! has them judged, turns the rewards of each prompt into weights by a
//! [`RewardTransform`](bestof_estimators::RewardTransform), and makes one or several updates with
//! the [`PolicyLoss`](bestof_losses::PolicyLoss). The completions of a prompt are one tree: what they share is computed once.
//!
//! # What a run keeps
//! Completions are a function of weights, seed, step and row, so that nothing of a step has to be
//! stored: a run stopped between sampling and update samples the same again. What is kept is the
//! schedule of `k` with what it has measured, and which prompts were ever solved.

mod draw;
mod drawn;
mod episodes;
mod judge;
mod measure;
mod objective;
mod parts;
mod pieces;
mod problem;
mod prompts;
mod reweigh;
mod rollout;
mod served;
mod shaping;
mod stop;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeMap;

use bestof_estimators::KSchedule;
use bestof_models::CausalLm;
use bestof_report::{RunType, Sample, metric_names};
use burn::module::Module;
use serde_json::Value;

pub use judge::{EpisodeVerdict, Job, JudgeSettings, Judgement, WeightedVerifier, judge_all};
pub use measure::{measured_ks, other_estimates, pass_at_k_estimates};
pub(crate) use objective::listens;
pub use objective::{Objective, OffPolicyWeights};
pub use parts::{ReinforceParts, ReinforceRun};
pub use problem::{Dialogue, Problem, ProblemSettings, VerifierSettings, load_problems};
pub use rollout::{EncodeReplies, Group, Rollout, Sampler};
pub use served::{ServedWeights, WeightSync, WriteWeights};
pub use shaping::RewardShaping;

use crate::error::TrainError;
use crate::evaluate::Estimate;
use crate::metric::MetricSums;
use crate::model_files::ModelFiles;
use crate::progress::Progress;
use crate::rows::fingerprint;
use crate::run::{Accumulated, BestBy, Evaluation, StepContext, TrainingRun, dropout_seed};

/// Steps of a run whose failed verifications are told one by one.
const TOLD_FAILURES: usize = 5;
/// Failed verifications of a step that are written to `samples.jsonl` beside the regular samples.
const LOGGED_FAILURES: usize = 16;
/// The streams of seeds that evaluations draw from; steps take the small numbers.
const EVALUATION: u64 = u64::MAX;

impl<M: CausalLm + Module> ReinforceRun<M> {
    /// The trained model.
    pub fn into_model(self) -> M {
        self.parts.model
    }

    fn tell_failures(&mut self, groups: &[Group], progress: &mut dyn Progress) -> (usize, usize) {
        let (failed, late) = measure::failures(groups);
        if failed == 0 || self.told_failures > TOLD_FAILURES {
            return (failed, late);
        }
        self.told_failures += 1;
        let judged: usize = groups.iter().map(|group| group.rollouts.len()).sum();
        let first = groups
            .iter()
            .flat_map(|group| group.rollouts.iter().map(move |rollout| (group.row, rollout)))
            .find(|(_, rollout)| rollout.judgement.outcome.is_failure());
        if let Some((_, rollout)) = first {
            let reward = rollout.judgement.reward;
            progress.notice(&format!(
                "{failed} of {judged} verifications failed ({late} took too long) and count with reward \
                 {reward}; the first: {}",
                rollout.judgement.reason
            ));
        }
        if self.told_failures > TOLD_FAILURES {
            progress.notice("further failed verifications are counted in `verifier/failures` only");
        }
        (failed, late)
    }

    /// Keeps some completions for `samples.jsonl`: the first of every prompt, then the second,
    /// and failed verifications beyond.
    fn keep_samples(
        &mut self,
        step: u64,
        set: &'static str,
        groups: &[&Group],
        weights: impl Fn(usize, usize) -> Option<f64>,
    ) {
        let rows = if set == "eval" { &self.parts.eval } else { &self.parts.train };
        let longest = groups.iter().map(|group| group.rollouts.len()).max().unwrap_or(0);
        let in_turn = (0..longest).flat_map(|at| {
            groups.iter().filter_map(move |group| Some((group, at, group.rollouts.get(at)?)))
        });
        let (mut regular, mut failed) = (0, 0);
        for (group, at, rollout) in in_turn {
            let failure = rollout.judgement.outcome.is_failure();
            if regular < self.parts.logged_samples {
                regular += 1;
            } else if failure && failed < LOGGED_FAILURES {
                failed += 1;
            } else {
                continue;
            }
            let problem = &rows.items[group.row];
            let mut sample =
                sample_of(step, problem, &rows.names[group.row], at, rollout).with("set", set);
            if let Some(weight) = weights(group.row, at) {
                sample = sample.with("weight", weight);
            }
            self.samples.push(sample);
        }
    }

    /// Completions of all held-out prompts, some prompts at a time. Every evaluation draws with
    /// the same seeds, so that it is the policy that makes the difference between two of them. A server draws
    /// them if it is handed the weights as they are.
    fn held_out(
        &mut self,
        step: u64,
        progress: &mut dyn Progress,
    ) -> Result<Vec<Group>, TrainError> {
        let ReinforceParts { model, eval, sampler, eval_samples, seed, served, .. } =
            &mut self.parts;
        let current = match served {
            Some(served) => served.before_evaluation(model, step)?,
            None => true,
        };
        let server = if current { None } else { sampler.server.take() };
        let groups = sample_all(model, &eval.items, sampler, *eval_samples, *seed, progress);
        if server.is_some() {
            sampler.server = server;
        }
        groups.map_err(|error| error.at_row_of(&eval.names))
    }
}

/// A completion as a row of `samples.jsonl`.
pub fn sample_of(
    step: u64,
    problem: &Problem,
    row: &str,
    number: usize,
    rollout: &Rollout,
) -> Sample {
    let Judgement { reward, parts, outcome, reason, .. } = &rollout.judgement;
    Sample::new(step, problem.prompt.as_str(), rollout.text.as_str())
        .with("row", row)
        .with("sample", number)
        .with("answer", problem.answer.as_str())
        .with("reward", *reward)
        .with("reward_parts", parts.clone())
        .with("outcome", serde_json::to_value(outcome).unwrap_or_default())
        .with("reason", reason.as_str())
        .with("finish", rollout.finish.as_str())
}

/// Completions of all problems, as many problems at a time as are stepped together.
///
/// # Errors
/// What the model says.
pub fn sample_all<M: CausalLm>(
    model: &M,
    problems: &[Problem],
    sampler: &Sampler,
    samples: usize,
    seed: u64,
    progress: &mut dyn Progress,
) -> Result<Vec<Group>, TrainError> {
    let asked: Vec<(usize, &Problem, u64)> = problems
        .iter()
        .enumerate()
        .map(|(row, problem)| (row, problem, dropout_seed(seed, EVALUATION, row as u64)))
        .collect();
    let at_once = match &sampler.server {
        Some(server) => server.settings().concurrency,
        None => sampler.sampling.max_batch / samples.max(1),
    };
    let at_once = at_once.max(1);
    let mut groups = Vec::with_capacity(asked.len());
    for part in asked.chunks(at_once) {
        groups.extend(sampler.sample(model, part, samples)?);
        progress.rows("evaluation", groups.len(), asked.len());
    }
    Ok(groups)
}

impl<M: CausalLm + Module> TrainingRun for ReinforceRun<M> {
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
        self.parts.train.names[row].clone()
    }

    fn fingerprint(&self) -> String {
        fingerprint([self.parts.train.items.as_slice(), self.parts.eval.items.as_slice()])
    }

    fn updates<'a>(&self, rows: &'a [usize]) -> Vec<&'a [usize]> {
        let size = self.parts.objective.mini_batch_prompts.unwrap_or(rows.len()).max(1);
        (0..self.parts.objective.updates_per_batch).flat_map(|_| rows.chunks(size)).collect()
    }

    fn begin_step(
        &mut self,
        rows: &[usize],
        step: u64,
        progress: &mut dyn Progress,
    ) -> Result<(), TrainError> {
        if let Some(served) = &mut self.parts.served {
            self.lag = Some(served.before_step(&self.parts.model, step)?);
        }
        let batch = self.drawn(rows, step, progress)?;
        self.batch = Some(batch);
        Ok(())
    }

    fn finish_step(&mut self) -> MetricSums {
        let mut metrics = MetricSums::default();
        let Some(batch) = self.batch.take() else { return metrics };
        let solved = batch.groups.values().filter(|weighted| weighted.group.passed() > 0);
        self.solved.extend(solved.map(|weighted| weighted.group.row));
        for weighted in batch.groups.values() {
            metrics.observe("k", weighted.objective_k as f64);
            let counts = self.pass_counts.entry(weighted.group.row).or_default();
            counts.0 += weighted.group.passed() as u64;
            counts.1 += weighted.group.rollouts.len() as u64;
        }
        metrics.observe("prompts/redrawn", batch.redrawn as f64);
        metrics.observe("verifier/failures", batch.failures.0 as f64);
        metrics.observe("verifier/timeouts", batch.failures.1 as f64);
        if let Some(lag) = self.lag {
            metrics.observe("rollout/lag", lag as f64);
        }
        let solved = self.solved.len() as f64;
        metrics.observe("cumulative_solve_rate", solved / self.parts.train.len() as f64);
        for moved in &batch.moved {
            metrics.observe("skipped_updates", f64::from(u8::from(!moved)));
        }
        let every = self.parts.objective.reference_sync_steps;
        if every > 0 && (batch.step + 1).is_multiple_of(every) {
            self.parts.reference = Some(self.parts.model.clone());
            self.synced = true;
        }
        let groups: Vec<&Group> = batch.groups.values().map(|weighted| &weighted.group).collect();
        let first_weights: BTreeMap<usize, &[f64]> = batch
            .groups
            .values()
            .map(|weighted| (weighted.group.row, weighted.first_weights.as_slice()))
            .collect();
        let weight = |row: usize, at: usize| Some(first_weights.get(&row)?[at]);
        self.keep_samples(batch.step + 1, "train", &groups, weight);
        metrics
    }

    fn take_samples(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.samples)
    }

    fn best_by(&self) -> BestBy {
        let k = measured_ks(self.parts.eval_samples)
            .into_iter()
            .rfind(|k| *k <= self.first_k)
            .unwrap_or(1);
        BestBy { metric: format!("pass@{k}"), higher: true }
    }

    fn loss_weight(&self, rows: &[usize]) -> f64 {
        rows.len() as f64
    }

    /// Of `pass@k` only the pattern: ranks, which would need each name, are refused.
    fn metric_names(&self) -> Vec<&'static str> {
        metric_names(RunType::Policy)
    }

    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext,
    ) -> Result<Accumulated, TrainError> {
        let Some(mut batch) = self.batch.take() else {
            unreachable!("the loop begins a step before its micro-batches")
        };
        let outcome = self.accumulate_groups(rows, context, &mut batch);
        if let Ok(sum) = &outcome {
            batch.moved[context.update] |= !sum.gradients.is_empty();
        }
        self.batch = Some(batch);
        outcome
    }

    fn can_evaluate(&self) -> bool {
        !self.parts.eval.is_empty()
    }

    fn evaluate(
        &mut self,
        step: u64,
        progress: &mut dyn Progress,
    ) -> Result<Evaluation, TrainError> {
        let groups = self.held_out(step, progress)?;
        let (failed, late) = self.tell_failures(&groups, progress);
        let mut sums = MetricSums::default();
        for group in &groups {
            measure::observe(group, &mut sums)?;
        }
        sums.observe("verifier/failures", failed as f64);
        sums.observe("verifier/timeouts", late as f64);
        let mut metrics: Vec<(String, f64)> = sums
            .means()
            .filter(|(name, _)| !name.starts_with("pass@"))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let estimates = pass_at_k_estimates(&groups, &measured_ks(self.parts.eval_samples))?;
        for Estimate { metric, value, low, high, .. } in estimates {
            metrics.push((format!("{metric}/low"), low));
            metrics.push((format!("{metric}/high"), high));
            metrics.push((metric, value));
        }
        let k = self.schedule.k(step).min(self.parts.eval_samples);
        if let Some(measured) = pass_at_k_estimates(&groups, &[k])?.first() {
            self.schedule.observe(measured.value);
        }
        let groups: Vec<&Group> = groups.iter().collect();
        self.keep_samples(step, "eval", &groups, |_, _| None);
        Ok(Evaluation { metrics, warning: None })
    }

    fn kept_model(&self) -> Option<&M> {
        self.parts.reference.as_ref().filter(|_| self.synced)
    }

    fn restore_kept_model(&mut self, model: M) {
        self.parts.reference = Some(model);
        self.synced = true;
    }

    fn save_state(&self) -> Value {
        serde_json::json!({
            "k_schedule": self.schedule,
            "solved": self.solved,
            "pass_counts": self.pass_counts,
        })
    }

    fn restore_state(&mut self, state: &Value) -> Result<(), String> {
        self.schedule = serde_json::from_value(state["k_schedule"].clone())
            .map_err(|error| format!("k_schedule: {error}"))?;
        self.solved = serde_json::from_value(state["solved"].clone())
            .map_err(|error| format!("solved: {error}"))?;
        // Written since schedules may go by a prompt's pass rate; without it every prompt is new.
        if let Some(counts) = state.get("pass_counts") {
            self.pass_counts = serde_json::from_value(counts.clone())
                .map_err(|error| format!("pass_counts: {error}"))?;
        }
        Ok(())
    }
}
