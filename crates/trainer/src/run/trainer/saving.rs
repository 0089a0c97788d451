//! Writing the state of a run to a checkpoint and putting it back.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bestof_models::parameters;

use super::setup::Trainer;
use crate::checkpoint::{CheckpointWriter, WholeCheckpoint};
use crate::error::TrainError;
use crate::model_files::{OPTIMIZER_FILE, read_optimizer, save_optimizer};
use crate::optimizer::OptimizerState;
use crate::run::TrainingRun;
use crate::state::{RunState, VERSION};

const STATE_FILE: &str = "state.json";
const KEPT_FILE: &str = "reference.safetensors";

/// The files that every checkpoint of this run has to have.
pub(super) fn files_of<R: TrainingRun>(run: &R) -> Vec<&'static str> {
    vec![STATE_FILE, OPTIMIZER_FILE, run.model_files().weights_file()]
}

impl<R: TrainingRun> Trainer<'_, R> {
    /// Writes a checkpoint. All ranks take part, as each has a part of the optimiser's state.
    pub(super) fn save(&mut self) -> Result<PathBuf, TrainError> {
        let started = Instant::now();
        self.state.extra = self.run.save_state();
        self.state.has_reference = self.run.kept_model().is_some();
        if let Some(metrics) = &self.folder.metrics {
            self.state.metrics_rows = metrics.rows();
        }
        let outcome = self.write_checkpoint();
        self.pace.spent.checkpoints += started.elapsed().as_secs_f64();
        let path = self.ranks.agree(outcome)?;
        self.progress.saved(self.state.step);
        Ok(path)
    }

    fn write_checkpoint(&mut self) -> Result<PathBuf, TrainError> {
        let step = self.state.step;
        let (run, state, optimizer) = (&*self.run, &self.state, &self.optimizer);
        let states: Vec<OptimizerState<'_>> = optimizer.state().collect();
        let lengths: BTreeMap<String, usize> = parameters::trainable(run.model())
            .into_iter()
            .map(|info| (info.name.clone(), info.len()))
            .collect();
        let named = |state: &OptimizerState<'_>| {
            (state.name.to_owned(), lengths.get(state.name).copied().unwrap_or_default())
        };
        let names: Vec<(String, usize)> = states.iter().map(named).collect();
        let taken = Cell::new(0);
        let (shards, ranks) = (&self.shards, self.ranks);
        let values = |index: usize| {
            taken.set(index + 1);
            let state = &states[index / 2];
            let mine = if index.is_multiple_of(2) { &state.mean } else { &state.square };
            match shards {
                Some(shards) => shards.gathered(state.name, mine, ranks).map(Cow::Owned),
                None => Ok(Cow::Borrowed(&**mine)),
            }
        };
        let written = match (&mut self.folder.metrics, &mut self.folder.samples) {
            (None, _) => Ok(self.folder.store.folder(step)),
            (Some(metrics), samples) => (|| {
                metrics.sync()?;
                if let Some(samples) = samples {
                    samples.sync()?;
                }
                self.folder.store.save(step, |writer| {
                    run.model_files().save(run.model(), writer)?;
                    let values =
                        |index| values(index).map_err(|error| io::Error::other(error.to_string()));
                    save_optimizer(optimizer.step_count(), &names, values, writer)?;
                    if let Some(kept) = run.kept_model() {
                        run.model_files().save_weights(kept, KEPT_FILE, writer)?;
                    }
                    writer.json(STATE_FILE, state)
                })
            })(),
        };
        // The ranks give their parts also where the first could not write, or had written before.
        if shards.is_some() {
            for index in taken.get()..2 * states.len() {
                values(index)?;
            }
        }
        written
    }

    /// Keeps the weights of the best evaluation, if they are to be gone back to.
    pub(super) fn keep_best(&mut self) -> Result<(), TrainError> {
        if !self.settings.load_best_model_at_end || self.folder.metrics.is_none() {
            return Ok(());
        }
        let run = &*self.run;
        let write = |writer: &mut CheckpointWriter<'_>| run.model_files().save(run.model(), writer);
        self.folder.best.save(self.state.step, write)?;
        Ok(())
    }

    /// Goes back to the weights of the best evaluation, if that is asked for.
    pub(super) fn restore_best(&mut self) -> Result<(), TrainError> {
        let Some(best) = &self.state.best else { return Ok(()) };
        if !self.settings.load_best_model_at_end || best.step == self.state.step {
            return Ok(());
        }
        let files = self.run.model_files().clone();
        let path =
            self.folder.best.checked(best.step, &[files.weights_file()]).map_err(|damage| {
                TrainError::BestDamaged {
                    path: self.folder.best.folder(best.step),
                    reason: damage.to_string(),
                    last: self.folder.store.folder(self.state.step),
                }
            })?;
        files.restore(self.run.model_mut(), &path)
    }

    fn restore_optimizer(&mut self, step: u64, folder: &Path) -> Result<(), TrainError> {
        let model = self.run.model();
        if let Some(shards) = &self.shards {
            let own = |name: &str, values: Vec<f32>| values[shards.own(name)].to_vec();
            self.optimizer.restore_parts(step, read_optimizer(model, folder, own)?);
        } else if let Some(first) = parameters::trainable(model).first() {
            let device = parameters::values(model, &first.name)?.device();
            let states = read_optimizer(model, folder, |_, values| values)?;
            self.optimizer.restore(step, states, &device);
        }
        Ok(())
    }

    pub(super) fn restore(&mut self, checkpoint: &WholeCheckpoint) -> Result<(), TrainError> {
        let unusable =
            |reason: String| TrainError::Unusable { path: checkpoint.path.clone(), reason };
        let path = checkpoint.path.join(STATE_FILE);
        let text = std::fs::read(&path).map_err(TrainError::io("cannot read", &path))?;
        let state: RunState =
            serde_json::from_slice(&text).map_err(|error| unusable(error.to_string()))?;
        if state.version != VERSION {
            return Err(unusable(format!("state version {} is not known here", state.version)));
        }
        if state.fingerprint != self.state.fingerprint {
            return Err(TrainError::DataChanged {
                found: self.state.fingerprint.clone(),
                expected: state.fingerprint,
            });
        }
        if let (Some(found), Some(expected)) = (&self.state.base, &state.base)
            && found != expected
        {
            return Err(TrainError::BaseChanged {
                found: found.clone(),
                expected: expected.clone(),
            });
        }
        if (state.total_steps, state.seed) != (self.state.total_steps, self.state.seed) {
            return Err(unusable(format!(
                "it is of a run of {} steps with seed {}, this one has {} and {}",
                state.total_steps, state.seed, self.state.total_steps, self.state.seed
            )));
        }
        let files = self.run.model_files().clone();
        files.restore(self.run.model_mut(), &checkpoint.path)?;
        let kept = checkpoint.path.join(KEPT_FILE);
        if state.has_reference && !kept.exists() {
            return Err(unusable(format!("`{KEPT_FILE}` is missing")));
        }
        if kept.exists() {
            let mut model = self.run.model().clone();
            files.restore_weights(&mut model, &kept)?;
            self.run.restore_kept_model(model);
        }
        self.restore_optimizer(state.optimizer_step, &checkpoint.path)?;
        self.run.restore_state(&state.extra).map_err(unusable)?;
        self.order = self.order.resumed(state.order)?;
        (self.pace.first_step, self.pace.logged_step) = (state.step, state.step);
        (self.last_train, self.last_eval) = self.folder.last_rows(state.step)?;
        if let Some(metrics) = &self.folder.metrics
            && metrics.rows() < state.metrics_rows
        {
            self.progress.notice(&format!(
                "{} has {} of the {} rows that it had when the checkpoint of step {} was written; \
                 the curves of the report begin with what is left",
                bestof_report::METRICS_FILE,
                metrics.rows(),
                state.metrics_rows,
                state.step
            ));
        }
        self.state = state;
        tracing::info!(step = self.state.step, "resumed");
        Ok(())
    }
}
