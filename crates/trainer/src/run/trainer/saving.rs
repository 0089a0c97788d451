//! Writing the state of a run to a checkpoint and putting it back.

use std::path::PathBuf;

use super::setup::Trainer;
use crate::checkpoint::{CheckpointWriter, WholeCheckpoint};
use crate::error::TrainError;
use crate::model_files::{restore_optimizer, save_optimizer};
use crate::run::TrainingRun;
use crate::state::{RunState, VERSION};

const STATE_FILE: &str = "state.json";
const KEPT_FILE: &str = "reference.safetensors";

impl<R: TrainingRun> Trainer<'_, R> {
    pub(super) fn save(&mut self) -> Result<PathBuf, TrainError> {
        let step = self.state.step;
        let Some(metrics) = &mut self.folder.metrics else {
            return Ok(self.folder.store.folder(step));
        };
        metrics.sync()?;
        if let Some(samples) = &mut self.folder.samples {
            samples.sync()?;
        }
        self.state.extra = self.run.save_state();
        let (run, state, optimizer) = (&*self.run, &self.state, &self.optimizer);
        let path = self.folder.store.save(step, |writer| {
            run.model_files().save(run.model(), writer)?;
            save_optimizer(optimizer, writer)?;
            if let Some(kept) = run.kept_model() {
                run.model_files().save_weights(kept, KEPT_FILE, writer)?;
            }
            writer.json(STATE_FILE, state)
        })?;
        self.progress.saved(step);
        Ok(path)
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
        let path = self.folder.best.folder(best.step);
        let files = self.run.model_files().clone();
        files.restore(self.run.model_mut(), &path)
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
        if (state.total_steps, state.seed) != (self.state.total_steps, self.state.seed) {
            return Err(unusable(format!(
                "it is of a run of {} steps with seed {}, this one has {} and {}",
                state.total_steps, state.seed, self.state.total_steps, self.state.seed
            )));
        }
        let files = self.run.model_files().clone();
        files.restore(self.run.model_mut(), &checkpoint.path)?;
        let kept = checkpoint.path.join(KEPT_FILE);
        if kept.exists() {
            let mut model = self.run.model().clone();
            files.restore_weights(&mut model, &kept)?;
            self.run.restore_kept_model(model);
        }
        let model = self.run.model();
        restore_optimizer(&mut self.optimizer, state.optimizer_step, model, &checkpoint.path)?;
        self.run.restore_state(&state.extra).map_err(unusable)?;
        self.order = self.order.resumed(state.order)?;
        self.pace.first_step = state.step;
        (self.last_train, self.last_eval) = self.folder.last_rows(state.step)?;
        self.state = state;
        tracing::info!(step = self.state.step, "resumed");
        Ok(())
    }
}
