//! Under which names trained weights are stored in a checkpoint, and reading them back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use bestof_checkpoints::Weights;
use bestof_kernels::host_values;
use bestof_models::parameters::{self, ParameterInfo};
use bestof_models::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::checkpoint::CheckpointWriter;
use crate::error::TrainError;
use crate::tensor_file::{self, Entry};

/// Name of the optimiser's state in a checkpoint.
pub(crate) const OPTIMIZER_FILE: &str = "optimizer.safetensors";

/// The files that hold a run's trained weights.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelFiles {
    /// Every weight, under its own name, in `model.safetensors`.
    Full {
        /// Contents of `config.json`, so that the checkpoint loads as a model.
        config: serde_json::Value,
    },
    /// Adapters only, under PEFT's names, in `adapter_model.safetensors`.
    Adapter {
        /// Text of `adapter_config.json`.
        config: String,
        /// PEFT's names of the trained parameters, by their own.
        names: BTreeMap<String, String>,
    },
}

impl ModelFiles {
    /// Name of the trained weights in a checkpoint.
    pub(crate) fn weights_file(&self) -> &'static str {
        match self {
            Self::Full { .. } => "model.safetensors",
            Self::Adapter { .. } => ADAPTER_WEIGHTS,
        }
    }

    fn stored_name(&self, parameter: &str) -> String {
        let stored = match self {
            Self::Full { .. } => None,
            Self::Adapter { names, .. } => names.get(parameter),
        };
        stored.map_or(parameter, String::as_str).to_owned()
    }

    /// Adds weights and configuration to a checkpoint.
    pub(crate) fn save<M: Module>(
        &self,
        model: &M,
        writer: &mut CheckpointWriter<'_>,
    ) -> io::Result<()> {
        match self {
            Self::Full { config } => writer.json("config.json", config)?,
            Self::Adapter { config, .. } => {
                writer.file(ADAPTER_CONFIG, |out| out.write_all(config.as_bytes()))?;
            }
        }
        self.save_weights(model, self.weights_file(), writer)
    }

    /// Adds the trained weights of a model to a checkpoint, under a name of their own.
    pub(crate) fn save_weights<M: Module>(
        &self,
        model: &M,
        name: &str,
        writer: &mut CheckpointWriter<'_>,
    ) -> io::Result<()> {
        let trained = parameters::trainable(model);
        let entries: Vec<Entry> = trained
            .iter()
            .map(|info| Entry { name: self.stored_name(&info.name), shape: info.shape.clone() })
            .collect();
        writer.file(name, |out| {
            let mut failed = None;
            let written = tensor_file::write(out, &[], &entries, |index| {
                Cow::Owned(match parameters::values(model, &trained[index].name) {
                    Ok(tensor) => host_values(tensor),
                    Err(error) => {
                        failed = Some(error);
                        Vec::new()
                    }
                })
            });
            failed.map_or(written, |error| Err(io::Error::other(error.to_string())))
        })
    }

    /// Puts the weights of a checkpoint folder into the model.
    pub(crate) fn restore<M: Module>(
        &self,
        model: &mut M,
        folder: &Path,
    ) -> Result<(), TrainError> {
        self.restore_weights(model, &folder.join(self.weights_file()))
    }

    /// Puts the weights of a file into the model.
    pub(crate) fn restore_weights<M: Module>(
        &self,
        model: &mut M,
        file: &Path,
    ) -> Result<(), TrainError> {
        let weights = Weights::open(file)?;
        let mut values = BTreeMap::new();
        for ParameterInfo { name, shape } in parameters::trainable(model) {
            let stored = weights.read_f32(&self.stored_name(&name), &shape)?;
            values.insert(name, stored);
        }
        parameters::update(model, &mut |name, old| match values.remove(name) {
            Some(values) => {
                let len = values.len();
                Tensor::from_data(TensorData::new(values, [len]), &old.device())
            }
            None => old,
        });
        Ok(())
    }
}

/// The tensors of an optimiser's state: the running means of each parameter, in the order of the names.
fn optimizer_entries(names: &[(String, usize)]) -> Vec<Entry> {
    names
        .iter()
        .flat_map(|(name, len)| {
            ["exp_avg", "exp_avg_sq"]
                .map(|kind| Entry { name: format!("{name}.{kind}"), shape: vec![*len] })
        })
        .collect()
}

/// Adds the state of an optimiser after `step` steps to a checkpoint: of parameters by name, with their numbers of
/// values, the two running means, which `values` is asked for one after the other.
pub(crate) fn save_optimizer<'a>(
    step: u64,
    names: &[(String, usize)],
    mut values: impl FnMut(usize) -> io::Result<Cow<'a, [f32]>>,
    writer: &mut CheckpointWriter<'_>,
) -> io::Result<()> {
    let notes = [("step", step.to_string())];
    writer.file(OPTIMIZER_FILE, |out| {
        let mut failed = None;
        let written = tensor_file::write(out, &notes, &optimizer_entries(names), |index| {
            values(index).unwrap_or_else(|error| {
                failed = Some(error);
                Cow::Borrowed(&[])
            })
        });
        failed.map_or(written, Err)
    })
}

/// A parameter's name, and the running means of its gradient and of the gradient's square.
pub(crate) type NamedMoments = (String, Vec<f32>, Vec<f32>);

/// The two running means of the model's parameters in a checkpoint; of each what `own` says.
pub(crate) fn read_optimizer<M: Module>(
    model: &M,
    folder: &Path,
    own: impl Fn(&str, Vec<f32>) -> Vec<f32>,
) -> Result<Vec<NamedMoments>, TrainError> {
    let weights = Weights::open(&folder.join(OPTIMIZER_FILE))?;
    let mut states = Vec::new();
    for info in parameters::trainable(model) {
        let read = |kind: &str| {
            let name = format!("{}.{kind}", info.name);
            if weights.contains(&name) {
                weights.read_f32(&name, &[info.len()]).map(|values| Some(own(&info.name, values)))
            } else {
                Ok(None)
            }
        };
        if let (Some(mean), Some(square)) = (read("exp_avg")?, read("exp_avg_sq")?) {
            states.push((info.name.clone(), mean, square));
        }
    }
    Ok(states)
}
