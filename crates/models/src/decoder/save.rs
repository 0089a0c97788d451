//! Writing decoders as checkpoints.

use std::path::{Path, PathBuf};

use bestof_checkpoints::{StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_kernels::host_values;

use super::lora_config::PROJECTIONS;
use super::model::Decoder;
use super::unused;
use crate::block::projection::Projection;
use crate::error::ModelError;
use crate::parameters;

impl Decoder {
    /// Writes the weights, adapters merged in, under their names in the checkpoint they came
    /// from, sorted by name, and returns the files. The other files of a model folder are
    /// [`bestof_checkpoints::ModelFolder::copy_companions`]'s.
    ///
    /// # Errors
    /// A folder or file that cannot be written, or biases of adapters where the configuration has
    /// none.
    pub fn save(
        &self,
        dir: &Path,
        dtype: StoredType,
        max_shard_bytes: Option<u64>,
    ) -> Result<Vec<PathBuf>, ModelError> {
        self.write(dir, dtype, max_shard_bytes, None)
    }

    /// The same with what was left out of the checkpoint that the model came from: the other half of a
    /// multimodal model.
    ///
    /// # Errors
    /// As [`Decoder::save`], and a checkpoint that cannot be read.
    pub fn save_with_other_half(
        &self,
        dir: &Path,
        dtype: StoredType,
        max_shard_bytes: Option<u64>,
        checkpoint: &Weights,
    ) -> Result<Vec<PathBuf>, ModelError> {
        self.write(dir, dtype, max_shard_bytes, Some(checkpoint))
    }

    fn write(
        &self,
        dir: &Path,
        dtype: StoredType,
        max_shard_bytes: Option<u64>,
        checkpoint: Option<&Weights>,
    ) -> Result<Vec<PathBuf>, ModelError> {
        self.check_mergeable()?;
        // Parameters by their names; a tensor of the checkpoint has none.
        let mut tensors: Vec<(Option<String>, TensorInfo)> = self
            .tensors()
            .into_iter()
            .filter(|info| !info.name.contains(".lora_"))
            .map(|info| {
                let name = self.names.in_checkpoint(&info.name);
                (Some(info.name), TensorInfo { name, dtype, shape: info.shape })
            })
            .collect();
        let others = checkpoint.into_iter().flat_map(Weights::infos);
        let others = others.filter(|info| unused::is_of_other_half(&info.name, self.names));
        tensors.extend(others.map(|info| (None, TensorInfo { dtype, ..info.clone() })));
        tensors.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let infos = tensors.iter().map(|(_, info)| info.clone()).collect();
        let mut writer = WeightsWriter::create(dir, infos, max_shard_bytes)?;
        for (parameter, info) in &tensors {
            let values = match (parameter, checkpoint) {
                (Some(name), _) => self.merged_values(name)?,
                (None, Some(checkpoint)) => checkpoint.read_f32(&info.name, &info.shape)?,
                (None, None) => continue,
            };
            writer.push(&info.name, &values)?;
        }
        Ok(writer.finish()?)
    }

    /// Whether the adapters can be written into the weights: a model of this configuration has no
    /// place for biases that it does not call for.
    ///
    /// # Errors
    /// Biases of adapters on linear layers without any.
    pub fn check_mergeable(&self) -> Result<(), ModelError> {
        let config = self.config();
        for index in 0..config.layers.len() {
            for path in PROJECTIONS {
                let called_for = match path {
                    "self_attn.o_proj" => config.output_bias,
                    _ if path.starts_with("mlp.") => config.mlp_bias,
                    _ => config.qkv_bias,
                };
                let projection = self.projection(&format!("model.layers.{index}.{path}"));
                if !called_for && projection.is_some_and(Projection::has_merged_bias) {
                    return Err(ModelError::Adapters {
                        found: "the adapters have biases (`lora_bias`), and linear layers of the model have none to \
                                put them into",
                        fix: "keep the adapters apart, or train them without `lora_bias`",
                    });
                }
            }
        }
        Ok(())
    }

    /// The values of a parameter as the model computes with it.
    fn merged_values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        if !self.merged
            && let Some(path) = name.strip_suffix(".weight")
            && let Some(projection) = self.projection(path)
            && projection.lora_A.is_some()
        {
            return Ok(host_values(projection.merged_weight()));
        }
        if !self.merged
            && let Some(path) = name.strip_suffix(".bias")
            && let Some(bias) = self.projection(path).and_then(Projection::merged_bias)
        {
            return Ok(host_values(bias));
        }
        match self.widened(name) {
            Some(values) => Ok(host_values(values)),
            None => Ok(host_values(parameters::values(self, name)?)),
        }
    }
}
