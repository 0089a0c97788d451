//! What ranks exchange: whether all can go on, their gradients, the weights they start from.

use bestof_models::{Gradients, Trainable};
use burn::tensor::{Tensor, TensorData};

use super::{Trainer, TrainingRun};
use crate::error::TrainError;
use crate::model_files::values_of;

impl<R: TrainingRun> Trainer<'_, R> {
    /// Lets all ranks stop when one of them cannot go on.
    pub(super) fn agree_on<T>(&self, outcome: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.communicator.size() == 1 {
            return outcome;
        }
        let mut failed = [f64::from(u8::from(outcome.is_err()))];
        self.communicator.all_reduce_f64(&mut failed)?;
        if outcome.is_ok() && failed[0] > 0.0 {
            return Err(TrainError::Communication { reason: "another rank stopped".to_owned() });
        }
        outcome
    }

    pub(super) fn reduce_gradients(&self, gradients: &mut Gradients) -> Result<(), TrainError> {
        if self.communicator.size() == 1 {
            return Ok(());
        }
        let model = self.run.model();
        let mut reduced = Gradients::new();
        for info in model.trainable_parameters() {
            let device = model.parameter(&info.name)?.device();
            let mut values =
                gradients.remove(&info.name).map_or_else(|| vec![0.0; info.len()], values_of);
            self.communicator.all_reduce_f32(&mut values)?;
            let data = TensorData::new(values, [info.len()]);
            reduced.add_to(info.name, Tensor::from_data(data, &device.inner()));
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
        self.run.model_mut().update_parameters(&mut |_, parameter| {
            let device = parameter.device();
            let mut values = values_of(parameter);
            if outcome.is_ok() {
                outcome = communicator.broadcast_f32(0, &mut values);
            }
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        });
        outcome
    }
}
