//! The weights that a completions server draws with: how old they are, and handing it newer ones.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bestof_files::StagedFolder;

use crate::communicator::Ranks;
use crate::error::TrainError;

/// Writes a model, or its adapter, into an empty folder.
pub type WriteWeights<M> = Box<dyn Fn(&M, &Path) -> Result<(), TrainError>>;

/// How weights get to a completions server.
pub struct WeightSync<M> {
    /// A program and its arguments. It is run with the folder of the weights as one argument more, and has handed them
    /// over when it ends with status 0.
    pub command: Vec<String>,
    /// Steps from one time to the next, at least 1.
    pub every: u64,
    /// Where the folders of weights are written, `step-000012` for those after step 12.
    pub folder: PathBuf,
    /// Writes the weights.
    pub write: WriteWeights<M>,
}

impl<M> fmt::Debug for WeightSync<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeightSync").field("command", &self.command).finish_non_exhaustive()
    }
}

/// The weights of a run's completions server.
#[derive(Debug)]
pub struct ServedWeights<M> {
    sync: Option<WeightSync<M>>,
    max_lag: Option<u64>,
    /// The step after which the server's weights were the run's; unknown until the run has seen to it.
    step: Option<u64>,
}

impl<M> ServedWeights<M> {
    /// A server that is handed weights by `sync`, or has the first ones for ever, and whose weights may be `max_lag`
    /// steps old.
    pub fn new(sync: Option<WeightSync<M>>, max_lag: Option<u64>) -> Self {
        Self { sync, max_lag, step: None }
    }

    /// Refuses what cannot hold for so many steps.
    ///
    /// # Errors
    /// [`TrainError::Setting`].
    pub fn check(&self, steps: u64) -> Result<(), TrainError> {
        let (oldest, expected) = match &self.sync {
            Some(sync) => (
                sync.every.min(steps).saturating_sub(1),
                "at least `rollout.sync_steps` less 1: so old do the server's weights become between two times that they are \
                 handed over",
            ),
            None => (
                steps.saturating_sub(1),
                "at least the steps of the run less 1: without `rollout.sync_command` the server keeps the first weights",
            ),
        };
        match self.max_lag {
            Some(most) if most < oldest => Err(TrainError::Setting {
                setting: "rollout.max_lag",
                found: most.to_string(),
                expected,
            }),
            _ => Ok(()),
        }
    }

    /// Sees to the server's weights before a step, `step` steps being done: they are handed over when they are
    /// due, and, since nobody knows what a server holds, when the run begins or goes on. Gives their age in steps.
    ///
    /// # Errors
    /// [`TrainError::Sync`], or weights that cannot be written.
    pub fn before_step(
        &mut self,
        model: &M,
        step: u64,
        ranks: Ranks<'_>,
    ) -> Result<u64, TrainError> {
        if let Some(sync) = &self.sync
            && self.step.is_none_or(|held| step.saturating_sub(held) >= sync.every)
        {
            sync.hand_over_once(model, step, ranks)?;
            self.step = Some(step);
        }
        Ok(step.saturating_sub(self.step.unwrap_or(0)))
    }

    /// Sees to it that an evaluation is one of the weights as they are. Whether the server has them then: not
    /// without a command that hands them over.
    ///
    /// # Errors
    /// As [`before_step`](Self::before_step).
    pub fn before_evaluation(
        &mut self,
        model: &M,
        step: u64,
        ranks: Ranks<'_>,
    ) -> Result<bool, TrainError> {
        let Some(sync) = &self.sync else { return Ok(false) };
        if self.step != Some(step) {
            sync.hand_over_once(model, step, ranks)?;
            self.step = Some(step);
        }
        Ok(true)
    }
}

impl<M> WeightSync<M> {
    /// Rank 0 hands the weights over, which all ranks have, and the others wait for it.
    fn hand_over_once(&self, model: &M, step: u64, ranks: Ranks<'_>) -> Result<(), TrainError> {
        ranks.agree(if ranks.is_first() { self.hand_over(model, step) } else { Ok(()) })
    }

    /// Writes the weights, whole before anything sees them, and runs the command.
    fn hand_over(&self, model: &M, step: u64) -> Result<(), TrainError> {
        let name = format!("step-{step:06}");
        let folder = std::path::absolute(self.folder.join(&name))
            .map_err(TrainError::io("cannot tell the path of", &self.folder))?;
        let staged = StagedFolder::replace(&folder)?;
        (self.write)(model, staged.path())?;
        staged.commit()?;
        let failed = |reason| TrainError::Sync {
            command: self.command.join(" "),
            reason,
            step,
            folder: folder.clone(),
        };
        let Some((program, arguments)) = self.command.split_first() else {
            return Err(failed("names no program".to_owned()));
        };
        // Files and not pipes: the end of a pipe comes only when all that the command left running has ended.
        let unkept = |error: io::Error| failed(format!("has no file for its output: {error}"));
        let mut errors = tempfile::tempfile().map_err(unkept)?;
        let mut output = tempfile::tempfile().map_err(unkept)?;
        let mut command = Command::new(program);
        // Ctrl-C is for the run, which needs the command's success to end its step.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let status = command
            .args(arguments)
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(unkept)?)
            .stderr(errors.try_clone().map_err(unkept)?)
            .status()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        if !status.success() {
            let mut said = last_of(&mut errors).map_err(unkept)?;
            if said.is_empty() {
                said = last_of(&mut output).map_err(unkept)?;
            }
            return Err(failed(format!("failed ({status}): {said}")));
        }
        tracing::info!(step, folder = %folder.display(), "the server has new weights");
        self.remove_others(&name);
        Ok(())
    }

    /// Removes the weights of other steps, which no server reads any more.
    fn remove_others(&self, name: &str) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for entry in entries {
            let found = entry.file_name();
            let other =
                found.to_str().is_some_and(|found| found.starts_with("step-") && found != name);
            if other && let Err(error) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(folder = %entry.path().display(), "old weights stay: {error}");
            }
        }
    }
}

/// The last of what a program wrote.
fn last_of(output: &mut File) -> io::Result<String> {
    const SHOWN: u64 = 500;
    let length = output.seek(SeekFrom::End(0))?;
    output.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
    let mut end = Vec::new();
    output.take(SHOWN).read_to_end(&mut end)?;
    // The first character may be cut in two.
    Ok(String::from_utf8_lossy(&end).trim_start_matches('\u{fffd}').trim().to_owned())
}
