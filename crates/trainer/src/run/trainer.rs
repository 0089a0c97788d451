//! One step after another, with everything that happens in between.

mod ranks;
mod saving;
mod setup;
mod sharded;
mod step_sum;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bestof_models::parameters;
use bestof_report::MetricRow;

use super::deal::owners;
use super::options::TrainOptions;
use super::settings::TrainSettings;
use super::summary::TrainSummary;
use super::{Evaluation, StepContext, StepRows, TrainingRun, dropout_seed};
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::metric::MetricSums;
use crate::optimizer::clip_factor;
use crate::progress::{Progress, StepProgress};
use crate::state::Best;
use setup::Trainer;
use sharded::InFlight;
use step_sum::StepSum;

/// Trains to the end, or goes on from the newest whole checkpoint.
///
/// A run stopped at any instant and resumed gives the numbers of a run never stopped, bit for bit.
///
/// # Errors
/// A setting outside its range, a folder in use, changed settings or rows, a loss or gradient that is
/// not finite, a checkpoint that cannot be written, or what the model says. Whatever the error, the
/// last whole checkpoint stays.
pub fn train<R: TrainingRun>(
    run: &mut R,
    settings: &TrainSettings,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<TrainSummary, TrainError> {
    settings.validate()?;
    if run.row_count() == 0 {
        return Err(TrainError::NoRows { what: "the training set" });
    }
    let folder = ranks::open_folder(settings, options, &saving::files_of(run), progress)?;
    let mut trainer = Trainer::new(run, settings, options.ranks, folder, progress);
    trainer.check_same_run()?;
    match trainer.folder.resume_from.take() {
        Some(checkpoint) => {
            let restored = trainer.restore(&checkpoint);
            trainer.ranks.agree(restored)?;
        }
        None => trainer.share_initial_weights()?,
    }
    trainer.run_to_end()
}

/// What a step leaves for the metrics: means over its updates.
struct StepResult {
    loss: f64,
    grad_norm: f64,
    learning_rate: f64,
}

/// What one update of a step gave.
struct UpdateResult {
    loss: f64,
    grad_norm: f64,
    metrics: MetricSums,
    tokens: u64,
}

impl<R: TrainingRun> Trainer<'_, R> {
    fn run_to_end(mut self) -> Result<TrainSummary, TrainError> {
        if self.state.step == 0 && self.settings.eval_on_start {
            self.evaluate()?;
        }
        self.progress.stepping(true);
        let made = self.make_steps();
        self.progress.stepping(false);
        made?;
        self.restore_best()?;
        Ok(self.summary())
    }

    fn make_steps(&mut self) -> Result<(), TrainError> {
        let settings = self.settings;
        let total = self.state.total_steps;
        while self.state.step < total && !self.has_lost_patience() {
            let result = self.guarded_step()?;
            let step = self.state.step;
            let mut last = step == total;
            self.report_progress(&result);
            let logged = if last || step.is_multiple_of(settings.logging_steps) {
                self.log(&result)
            } else {
                Ok(())
            };
            let mut stop = self.wants_stop(logged)?;
            if last || (settings.eval_steps > 0 && step.is_multiple_of(settings.eval_steps)) {
                self.evaluate()?;
                // An evaluation may take longer than many steps.
                stop |= self.wants_stop(Ok(()))?;
                if !last && self.has_lost_patience() {
                    let best = self.state.best.as_ref().map_or(0, |best| best.step);
                    self.progress.notice(&format!(
                        "stopped after step {step}: no evaluation was better than that of step {best}"
                    ));
                    last = true;
                }
            }
            let failure = self.run.failure();
            stop &= !last;
            let due = settings.save_steps > 0 && step.is_multiple_of(settings.save_steps);
            if last || due || stop || failure.is_some() {
                let path = self.save()?;
                if let Some(failure) = failure {
                    return Err(failure);
                }
                if stop {
                    return Err(TrainError::Stopped { step, path });
                }
            }
        }
        Ok(())
    }

    /// Whether a rank wants to stop, if none has failed.
    fn wants_stop(&mut self, so_far: Result<(), TrainError>) -> Result<bool, TrainError> {
        let wants = so_far.map(|()| self.progress.wants_stop());
        Ok(self.ranks.gather_each(wants)?.contains(&true))
    }

    /// Whether so many evaluations in a row brought nothing better that the run ends.
    fn has_lost_patience(&self) -> bool {
        self.settings
            .early_stopping_patience
            .is_some_and(|patience| self.state.evaluations_since_best >= patience)
    }

    /// One step; if it cannot be made, the state before it is saved.
    fn guarded_step(&mut self) -> Result<StepResult, TrainError> {
        match self.one_step() {
            Ok(result) => Ok(result),
            Err(error) if self.between_updates => {
                // The weights are no longer those before the step, and those are gone.
                self.progress.notice(
                    "the step failed between two of its updates, so nothing was saved; \
                     earlier checkpoints are whole",
                );
                Err(error)
            }
            // Ranks that cannot exchange anything cannot save either.
            Err(error @ TrainError::Communication { .. }) => Err(error),
            Err(error) => {
                if let Err(unsaved) = self.save() {
                    self.progress
                        .notice(&format!("the last good state could not be saved: {unsaved}"));
                }
                Err(error)
            }
        }
    }

    fn one_step(&mut self) -> Result<StepResult, TrainError> {
        let rows = self.next_batch();
        let owners = owners(&rows, |row| self.run.row_cost(row), self.ranks.size());
        let rank = self.ranks.rank();
        let mine = |rows: &[usize]| -> Vec<usize> {
            rows.iter().copied().filter(|row| owners[row] == rank).collect()
        };
        let started = Instant::now();
        let begun = self.run.begin_step(
            StepRows { all: &rows, mine: &mine(&rows) },
            self.state.step,
            self.ranks,
            self.progress,
        );
        self.pace.spent.rollouts += started.elapsed().as_secs_f64();
        self.ranks.agree(begun)?;
        let learning_rate = self.schedule.learning_rate(self.state.step);
        let (mut metrics, mut tokens) = (MetricSums::default(), 0);
        let (mut losses, mut norms) = (0.0, 0.0);
        let updates = self.run.updates(&rows);
        for (update, rows) in updates.iter().enumerate() {
            let rows = StepRows { all: rows, mine: &mine(rows) };
            let sum = self.one_update(rows, update, learning_rate)?;
            losses += sum.loss;
            norms += sum.grad_norm;
            metrics.merge(&sum.metrics);
            tokens += sum.tokens;
        }
        metrics.merge(&self.run.finish_step(self.ranks)?);
        let written = self.write_samples();
        self.ranks.agree(written)?;
        self.advance(tokens, &metrics);
        let count = updates.len().max(1) as f64;
        Ok(StepResult { loss: losses / count, grad_norm: norms / count, learning_rate })
    }

    /// One update of the weights.
    fn one_update(
        &mut self,
        rows: StepRows<'_>,
        update: usize,
        learning_rate: f64,
    ) -> Result<UpdateResult, TrainError> {
        let context = self.context(rows, update);
        let mut sum = StepSum::default();
        let started = Instant::now();
        let (outcome, in_flight) = if self.ranks.is_alone() {
            (self.accumulate(rows.mine, &context, &mut sum), None)
        } else {
            let (outcome, in_flight) = self.accumulate_and_send(rows.mine, context, &mut sum)?;
            (outcome, Some(in_flight))
        };
        self.pace.spent.passes += started.elapsed().as_secs_f64();
        let mine = outcome.map(|()| (sum.metrics, sum.tokens));
        let (mut metrics, mut tokens) = (MetricSums::default(), 0);
        for (of_rank, count) in self.ranks.gather_each(mine)? {
            metrics.merge(&of_rank);
            tokens += count;
        }
        let loss = metrics.mean("loss").unwrap_or(f64::NAN);
        let step = self.state.step + 1;
        if !loss.is_finite() {
            return Err(TrainError::LossNotFinite { step, loss, rows: self.names_of(rows.all) });
        }
        let mut result = UpdateResult { loss, grad_norm: 0.0, metrics, tokens };
        if let Some(in_flight) = &in_flight {
            self.pace.early += in_flight.early;
            self.pace.updates += 1;
        }
        let started = Instant::now();
        let norm =
            self.update(sum.gradients, in_flight, learning_rate).map_err(|error| match error {
                TrainError::GradientNotFinite { parameter } => TrainError::StepGradientNotFinite {
                    step,
                    parameter,
                    rows: self.names_of(rows.all),
                },
                other => other,
            })?;
        self.pace.spent.updates += started.elapsed().as_secs_f64();
        if let Some(norm) = norm {
            result.grad_norm = norm;
            self.between_updates = true;
        }
        Ok(result)
    }

    /// Moves the weights; the norm of all gradients, or `None` if there are none, which moves nothing.
    fn update(
        &mut self,
        gradients: NamedGradients,
        in_flight: Option<InFlight<'_>>,
        learning_rate: f64,
    ) -> Result<Option<f64>, TrainError> {
        let rates: BTreeMap<String, f64> = parameters::trainable(self.run.model())
            .into_iter()
            .map(|info| {
                let rate = learning_rate * self.run.learning_rate_factor(&info.name);
                (info.name, rate)
            })
            .collect();
        let rate = |name: &str| rates.get(name).copied().unwrap_or(learning_rate);
        let (model, optimizer) = (self.run.model_mut(), &mut self.optimizer);
        let largest = self.settings.max_grad_norm;
        if let (Some(shards), Some(in_flight)) = (&self.shards, in_flight) {
            return shards.step(model, optimizer, in_flight, self.ranks, largest, &rate);
        }
        if gradients.is_empty() {
            return Ok(None);
        }
        let norm = gradients.norm()?;
        optimizer.step(model, gradients, &rate, clip_factor(norm, largest));
        Ok(Some(norm))
    }

    /// The next rows, fewer at the end of an epoch.
    fn next_batch(&mut self) -> Vec<usize> {
        let state = self.order.state();
        let left = state.rows - state.position;
        let left = if left == 0 { state.rows } else { left };
        self.order.next_rows(self.global_batch.min(left))
    }

    /// Adds the micro-batches of these rows.
    fn accumulate(
        &mut self,
        rows: &[usize],
        context: &StepContext<'_>,
        sum: &mut StepSum,
    ) -> Result<(), TrainError> {
        for micro_batch in rows.chunks(self.settings.per_device_train_batch_size) {
            let part = self.run.accumulate(micro_batch, context)?;
            sum.add(self.run.model(), part);
        }
        Ok(())
    }

    fn context(&self, rows: StepRows<'_>, update: usize) -> StepContext<'static> {
        let step = self.state.step;
        StepContext {
            step,
            update,
            loss_weight: self.run.loss_weight(rows.all),
            dropout_seed: dropout_seed(self.state.seed, step, update as u64),
            overlap: None,
        }
    }

    fn advance(&mut self, tokens: u64, metrics: &MetricSums) {
        self.between_updates = false;
        let state = &mut self.state;
        state.step += 1;
        state.optimizer_step = self.optimizer.step_count();
        state.num_tokens += tokens;
        state.pending.merge(metrics);
        state.epoch = self.order.epochs();
        state.order = self.order.state();
        self.pace.window_tokens += tokens;
    }

    fn names_of(&self, rows: &[usize]) -> Vec<String> {
        rows.iter().map(|&row| self.run.row_name(row)).collect()
    }

    fn report_progress(&mut self, result: &StepResult) {
        let done = (self.state.step - self.pace.first_step) as f64;
        let left = (self.state.total_steps - self.state.step) as f64;
        let elapsed = self.pace.started.elapsed().as_secs_f64();
        let window = self.pace.window_started.elapsed().as_secs_f64();
        self.progress.step(&StepProgress {
            step: self.state.step,
            total_steps: self.state.total_steps,
            epoch: self.state.epoch,
            loss: result.loss,
            tokens_per_second: self.pace.window_tokens as f64 / window.max(1e-9),
            time_left: Duration::try_from_secs_f64(elapsed / done.max(1.0) * left)
                .unwrap_or(Duration::MAX),
        });
    }

    /// Writes the line of this step and starts a new window.
    fn log(&mut self, result: &StepResult) -> Result<(), TrainError> {
        let state = &mut self.state;
        let mut row = MetricRow::new(state.step);
        row.push("loss", state.pending.mean("loss").unwrap_or(f64::NAN));
        row.push("grad_norm", result.grad_norm);
        row.push("learning_rate", result.learning_rate);
        row.push("epoch", state.epoch);
        for (name, value) in state.pending.means() {
            row.push(name, value);
        }
        row.push("num_tokens", state.num_tokens as f64);
        state.pending.clear();
        self.last_train = row.iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let seconds = self.pace.window_started.elapsed().as_secs_f64();
        row.push("tokens_per_second", self.pace.window_tokens as f64 / seconds.max(1e-9));
        self.pace.window_started = Instant::now();
        self.pace.window_tokens = 0;
        if !self.ranks.is_alone() {
            let traffic = self.ranks.communicator().traffic();
            let before = std::mem::replace(&mut self.pace.traffic, traffic);
            let steps = (self.state.step - self.pace.logged_step).max(1) as f64;
            row.push("ranks/bytes", (traffic.bytes - before.bytes) as f64 / steps);
            let updates = std::mem::take(&mut self.pace.updates).max(1) as f64;
            row.push("ranks/overlapped", std::mem::take(&mut self.pace.early) / updates);
            let waited = traffic.waited.saturating_sub(before.waited);
            row.push("ranks/waited", waited.as_secs_f64() / steps);
        }
        self.pace.logged_step = self.state.step;
        self.write_row(&row)
    }

    fn write_row(&mut self, row: &MetricRow) -> Result<(), TrainError> {
        if let Some(metrics) = &mut self.folder.metrics {
            metrics.write(row)?;
        }
        Ok(())
    }

    fn write_samples(&mut self) -> Result<(), TrainError> {
        let samples = self.run.take_samples();
        self.folder.write_samples(&samples)
    }

    fn evaluate(&mut self) -> Result<(), TrainError> {
        if !self.run.can_evaluate() {
            return Ok(());
        }
        let started = Instant::now();
        let step = self.state.step;
        let found = self.run.evaluate(step, self.ranks, self.progress);
        let kept = found.and_then(|found| self.keep_evaluation(step, found));
        self.ranks.agree(kept)?;
        // Evaluations take time that training steps should not be charged for.
        self.pace.window_started += started.elapsed();
        self.pace.spent.evaluations += started.elapsed().as_secs_f64();
        Ok(())
    }

    fn keep_evaluation(&mut self, step: u64, found: Evaluation) -> Result<(), TrainError> {
        let Evaluation { metrics, warning } = found;
        let mut row = MetricRow::new(step);
        row.push("epoch", self.state.epoch);
        row.push_eval(metrics.iter().map(|(name, value)| (name.as_str(), *value)));
        self.write_row(&row)?;
        self.progress.evaluated(step, &metrics);
        if let Some(warning) = &warning {
            self.progress.displaced(warning);
        }
        self.write_samples()?;
        let by = self.run.best_by();
        if let Some(&(_, value)) = metrics.iter().find(|(name, _)| *name == by.metric) {
            if self.state.best.as_ref().is_none_or(|best| by.prefers(value, best.value)) {
                self.state.best = Some(Best { metric: format!("eval_{}", by.metric), value, step });
                self.state.evaluations_since_best = 0;
                self.keep_best()?;
            } else {
                self.state.evaluations_since_best += 1;
            }
        }
        self.last_eval = metrics;
        Ok(())
    }

    fn summary(self) -> TrainSummary {
        TrainSummary {
            global_step: self.state.step,
            epoch: self.state.epoch,
            num_tokens: self.state.num_tokens,
            train: self.last_train,
            eval: self.last_eval,
            best: self.state.best,
            train_runtime: self.pace.started.elapsed().as_secs_f64(),
            spent: self.pace.spent,
            resumed_at: self.pace.first_step,
            damaged_checkpoints: self.folder.damaged,
        }
    }
}
