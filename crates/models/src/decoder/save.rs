//! Writing decoders as checkpoints.

use std::path::{Path, PathBuf};

use bestof_checkpoints::{StoredType, TensorInfo, WeightsWriter};

use super::Decoder;
use crate::error::ModelError;
use crate::vocabulary::floats;

impl Decoder {
    /// Writes the weights, adapters merged in, under their names in the checkpoint they came
    /// from, sorted by name, and returns the files. The other files of a model folder are
    /// [`bestof_checkpoints::ModelFolder::copy_companions`]'s.
    ///
    /// # Errors
    /// A folder or file that cannot be written.
    pub fn save(
        &self,
        dir: &Path,
        dtype: StoredType,
        max_shard_bytes: Option<u64>,
    ) -> Result<Vec<PathBuf>, ModelError> {
        let mut infos = Vec::new();
        self.visit_parameters(|parameter| {
            if !parameter.name.contains(".lora_") {
                infos.push((
                    parameter.name.to_owned(),
                    TensorInfo {
                        name: self.names.in_checkpoint(parameter.name),
                        dtype,
                        shape: parameter.shape.to_vec(),
                    },
                ));
            }
        });
        infos.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let (names, infos): (Vec<String>, Vec<TensorInfo>) = infos.into_iter().unzip();
        let stored: Vec<String> = infos.iter().map(|info| info.name.clone()).collect();
        let mut writer = WeightsWriter::create(dir, infos, max_shard_bytes)?;
        for (name, stored) in names.iter().zip(&stored) {
            writer.push(stored, &self.merged_values(name)?)?;
        }
        Ok(writer.finish()?)
    }

    /// The values of a parameter as the model computes with it.
    fn merged_values(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        use crate::causal_lm::Trainable;
        if !self.merged
            && let Some(path) = name.strip_suffix(".weight")
            && let Some(projection) = self.projection(path)
            && projection.lora_A.is_some()
        {
            return Ok(floats(projection.merged_weight()));
        }
        Ok(floats(self.parameter(name)?))
    }
}
