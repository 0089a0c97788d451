//! What ranks agree on before the first step: folder, checkpoint, rows and weights.

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use bestof_kernels::host_values;
use bestof_models::parameters;
use burn::tensor::{Tensor, TensorData};

use super::setup::Trainer;
use super::sharded::InFlight;
use super::step_sum::StepSum;
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::progress::Progress;
use crate::run::folder::RunFolder;
use crate::run::options::TrainOptions;
use crate::run::overlap::Overlap;
use crate::run::settings::TrainSettings;
use crate::run::{StepContext, TrainingRun};

/// The run folder, in which a checkpoint is whole with the files `required`. The first rank makes or recognises it before the others look, so that none of
/// them takes what it just wrote for an earlier run's.
pub(super) fn open_folder(
    settings: &TrainSettings,
    options: &TrainOptions<'_>,
    required: &[&str],
    progress: &mut dyn Progress,
) -> Result<RunFolder, TrainError> {
    let ranks = options.ranks;
    let layer = &options.file_layer;
    let folder = if ranks.is_first() {
        let folder = options.claimed(&settings.dir).and_then(|options| {
            RunFolder::prepare(settings, options.claim, required, layer, progress)
        });
        ranks.agree(folder)?
    } else {
        ranks.agree(Ok(()))?;
        RunFolder::prepare(settings, None, required, layer, progress)?
    };
    let seen = folder.resume_from.as_ref().map(|checkpoint| checkpoint.step);
    let all = ranks.gather(seen)?;
    let named = |seen: Option<u64>| {
        seen.map_or("no checkpoint".to_owned(), |step| format!("its checkpoint of step {step}"))
    };
    match all.iter().position(|of_rank| *of_rank != all[0]) {
        None => Ok(folder),
        Some(rank) => Err(TrainError::RanksDiffer {
            rank,
            reason: format!(
                "in {} it sees {}, and rank 0 {}; `output.dir` has to be on a file system that all ranks share",
                settings.dir.display(),
                named(all[rank]),
                named(all[0])
            ),
        }),
    }
}

impl<'a, R: TrainingRun> Trainer<'a, R> {
    /// Refuses ranks that were given other rows, settings or trained parameters than rank 0.
    pub(super) fn check_same_run(&self) -> Result<(), TrainError> {
        if self.ranks.is_alone() {
            return Ok(());
        }
        let trained = parameters::trainable(self.run.model());
        let trained: Vec<(String, Vec<usize>)> =
            trained.into_iter().map(|info| (info.name, info.shape)).collect();
        let mine = (self.state.fingerprint.clone(), self.settings.recorded(), trained);
        let all = self.ranks.gather(mine)?;
        let what = |rank: usize| {
            let ((rows, settings, trained), (rows_0, settings_0, trained_0)) =
                (&all[rank], &all[0]);
            let other = [
                ("it reads other rows than rank 0", rows != rows_0),
                ("it has other settings than rank 0", settings != settings_0),
                ("it trains other parameters than rank 0", trained != trained_0),
            ];
            other.into_iter().find_map(|(what, differs)| differs.then_some(what))
        };
        match (0..all.len()).find_map(|rank| Some((rank, what(rank)?))) {
            None => Ok(()),
            Some((rank, reason)) => Err(TrainError::RanksDiffer {
                rank,
                reason: format!("{reason}; give all the same files"),
            }),
        }
    }

    /// Adds the micro-batches of these rows, whose gradients are on their way to the ranks that add them when it is
    /// over: those of the last micro-batch while its backward pass goes on. They are sent whatever the outcome, as
    /// other ranks wait for them.
    pub(super) fn accumulate_and_send(
        &mut self,
        rows: &[usize],
        context: StepContext<'_>,
        sum: &mut StepSum,
    ) -> Result<(Result<(), TrainError>, InFlight<'a>), TrainError> {
        let size = self.settings.per_device_train_batch_size;
        let (first, last) = rows.split_at(rows.len().saturating_sub(1) / size * size);
        let outcome = self.accumulate(first, &context, sum);
        let Some(shards) = &self.shards else { unreachable!("there are other ranks") };
        let mut outbox = shards.outbox(self.ranks.communicator());
        if outcome.is_err() || last.is_empty() {
            return Ok((outcome, outbox.finish(NamedGradients::default())?));
        }
        let (sums, heard) = channel();
        let overlap = Overlap::new(self.run.model(), std::mem::take(&mut sum.gradients), sums);
        std::thread::scope(|scope| {
            // A panic in the pass must not leave the other thread waiting.
            let _closing = overlap.closing();
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
                    (Ok(()), parameters::named_gradients(self.run.model(), gradients))
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
