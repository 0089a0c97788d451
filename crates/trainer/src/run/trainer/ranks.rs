//! What ranks exchange: whether all can go on, their gradients, the weights they start from.

use bestof_kernels::host_values;
use bestof_models::parameters;
use burn::tensor::{Tensor, TensorData};

use super::setup::Trainer;
use crate::communicator::Communicator;
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::progress::Progress;
use crate::run::TrainingRun;
use crate::run::folder::RunFolder;
use crate::run::options::TrainOptions;
use crate::run::settings::TrainSettings;

/// Lets all ranks stop when one of them cannot go on.
fn agree<T>(
    communicator: &dyn Communicator,
    outcome: Result<T, TrainError>,
) -> Result<T, TrainError> {
    if communicator.size() == 1 {
        return outcome;
    }
    let mut failed = [f64::from(u8::from(outcome.is_err()))];
    communicator.all_reduce_f64(&mut failed)?;
    if outcome.is_ok() && failed[0] > 0.0 {
        return Err(TrainError::Communication { reason: "another rank stopped".to_owned() });
    }
    outcome
}

/// The run folder. The first rank makes or recognises it before the others look, so that none of
/// them takes what it just wrote for an earlier run's.
pub(super) fn open_folder(
    settings: &TrainSettings,
    options: &TrainOptions<'_>,
    progress: &mut dyn Progress,
) -> Result<RunFolder, TrainError> {
    let communicator = options.communicator;
    let layer = &options.file_layer;
    if communicator.rank() == 0 {
        let folder = RunFolder::prepare(settings, options.resume, true, layer, progress);
        let folder = agree(communicator, folder)?;
        agree(communicator, Ok(folder))
    } else {
        agree(communicator, Ok(()))?;
        agree(communicator, RunFolder::prepare(settings, true, false, layer, progress))
    }
}

impl<R: TrainingRun> Trainer<'_, R> {
    /// Lets all ranks stop when one of them cannot go on.
    pub(super) fn agree_on<T>(&self, outcome: Result<T, TrainError>) -> Result<T, TrainError> {
        agree(self.communicator, outcome)
    }

    pub(super) fn reduce_gradients(
        &self,
        gradients: &mut NamedGradients,
    ) -> Result<(), TrainError> {
        if self.communicator.size() == 1 {
            return Ok(());
        }
        let model = self.run.model();
        let mut reduced = NamedGradients::default();
        for info in parameters::trainable(model) {
            let device = parameters::values(model, &info.name)?.device();
            let mut values =
                gradients.remove(&info.name).map_or_else(|| vec![0.0; info.len()], host_values);
            self.communicator.all_reduce_f32(&mut values)?;
            let data = TensorData::new(values, [info.len()]);
            reduced.add(info.name, Tensor::from_data(data, &device.inner()));
        }
        *gradients = reduced;
        Ok(())
    }

    pub(super) fn share_initial_weights(&mut self) -> Result<(), TrainError> {
        if self.communicator.size() == 1 {
            return Ok(());
        }
        let communicator = self.communicator;
        let mut outcome = Ok(());
        parameters::update(self.run.model_mut(), &mut |_, parameter| {
            let device = parameter.device();
            let mut values = host_values(parameter);
            if outcome.is_ok() {
                outcome = communicator.broadcast_f32(0, &mut values);
            }
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        });
        outcome
    }
}
