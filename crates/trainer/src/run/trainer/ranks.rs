//! What ranks agree on before the first step: folder, checkpoint, rows and weights.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::channel;

use bestof_kernels::host_values;
use bestof_models::parameters;
use burn::tensor::{Tensor, TensorData};

use super::setup::Trainer;
use super::sharded::InFlight;
use super::step_sum::StepSum;
use crate::communicator::Ranks;
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::progress::Progress;
use crate::run::folder::RunFolder;
use crate::run::options::TrainOptions;
use crate::run::overlap::Overlap;
use crate::run::settings::TrainSettings;
use crate::run::{StepContext, StepRows, TrainingRun};

/// The run folder. The first rank makes or recognises it before the others look, so that none of
/// them takes what it just wrote for an earlier run's.
pub(super) fn open_folder(
    settings: &TrainSettings,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<RunFolder, TrainError> {
    let ranks = Ranks::new(options.communicator);
    let layer = &options.file_layer;
    let folder = if ranks.is_first() {
        let folder = RunFolder::prepare(settings, options.resume, true, layer, progress);
        ranks.agree(folder)?
    } else {
        ranks.agree(Ok(()))?;
        RunFolder::prepare(settings, true, false, layer, progress)?
    };
    let seen = folder.resume_from.as_ref().map(|checkpoint| checkpoint.step);
    same_everywhere(ranks, seen, &settings.dir, |step| match step {
        Some(step) => format!("its checkpoint of step {step}"),
        None => "no checkpoint".to_owned(),
    })?;
    Ok(folder)
}

/// Refuses ranks that do not see one folder.
fn same_everywhere(
    ranks: Ranks<'_>,
    seen: Option<u64>,
    dir: &std::path::Path,
    named: impl Fn(Option<u64>) -> String,
) -> Result<(), TrainError> {
    let all = ranks.gather(seen)?;
    match all.iter().position(|of_rank| *of_rank != all[0]) {
        None => Ok(()),
        Some(rank) => Err(TrainError::RanksDiffer {
            rank,
            reason: format!(
                "in {} it sees {}, and rank 0 {}; `output.dir` has to be on a file system that all ranks share",
                PathBuf::from(dir).display(),
                named(all[rank]),
                named(all[0])
            ),
        }),
    }
}

impl<'a, R: TrainingRun> Trainer<'a, R> {
    /// Refuses ranks that were given other rows or settings than rank 0.
    pub(super) fn check_same_run(&self) -> Result<(), TrainError> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let mine = (self.state.fingerprint.clone(), self.settings.recorded());
        let all = self.ranks.gather(mine)?;
        let what = |rank: usize| match (&all[rank], &all[0]) {
            ((rows, _), (first, _)) if rows != first => Some("it reads other rows than rank 0"),
            ((_, settings), (_, first)) if settings != first => {
                Some("it has other settings than rank 0")
            }
            _ => None,
        };
        match (0..all.len()).find_map(|rank| Some((rank, what(rank)?))) {
            None => Ok(()),
            Some((rank, reason)) => Err(TrainError::RanksDiffer {
                rank,
                reason: format!("{reason}; give all the same files"),
            }),
        }
    }

    /// The micro-batches of this rank, whose gradients are on their way to the ranks that add them when it is
    /// over: of the last micro-batch while its backward pass goes on. They are sent whatever the outcome, as
    /// other ranks wait for them.
    pub(super) fn accumulate_and_send(
        &mut self,
        rows: StepRows<'_>,
        update: usize,
    ) -> Result<(Result<StepSum, TrainError>, InFlight<'a>), TrainError> {
        let Some(shards) = &self.shards else { unreachable!("there are other ranks") };
        let size = self.settings.per_device_train_batch_size;
        let before = rows.mine.len().saturating_sub(1) / size * size;
        let (first, last) = rows.mine.split_at(before);
        let context = self.context(rows, update);
        let mut sum = StepSum::default();
        let outcome = first.chunks(size).try_for_each(|micro_batch| {
            let part = self.run.accumulate(micro_batch, &context)?;
            sum.add(self.run.model(), part);
            Ok::<(), TrainError>(())
        });
        let mut outbox = shards.outbox(self.ranks.communicator());
        if outcome.is_err() || last.is_empty() {
            return Ok((outcome.map(|()| sum), outbox.finish(NamedGradients::default())?));
        }
        let (sums, heard) = channel();
        let overlap = Overlap::new(self.run.model(), std::mem::take(&mut sum.gradients), sums);
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let sent = heard
                    .iter()
                    .try_for_each(|(name, values): (String, Vec<f32>)| outbox.put(name, &values));
                sent.map(|()| outbox)
            });
            let context = StepContext { overlap: Some(&overlap), ..context };
            let outcome = self.run.accumulate(last, &context);
            let (outcome, gradients) = match outcome {
                Ok(mut part) => {
                    let gradients = std::mem::take(&mut part.gradients);
                    sum.add(self.run.model(), part);
                    (Ok(sum), parameters::named_gradients(self.run.model(), gradients))
                }
                Err(error) => (Err(error), BTreeMap::new()),
            };
            let rest = overlap.rest(gradients);
            let outbox = sending.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            Ok((outcome, outbox.finish(rest)?))
        })
    }

    /// Gives all ranks the trained weights of the first.
    pub(super) fn share_initial_weights(&mut self) -> Result<(), TrainError> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let communicator = self.ranks.communicator();
        let mut outcome = Ok(());
        parameters::update(self.run.model_mut(), &mut |_, parameter| {
            if outcome.is_err() {
                return parameter;
            }
            let (device, len) = (parameter.device(), parameter.dims()[0]);
            match communicator.broadcast(0, host_values(parameter.clone())) {
                Ok(values) => Tensor::from_data(TensorData::new(values, [len]), &device),
                Err(error) => {
                    outcome = Err(error);
                    parameter
                }
            }
        });
        outcome
    }
}
