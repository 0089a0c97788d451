//! Saving an encoder, or a module that contains one, as a checkpoint.

use std::path::Path;

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, WeightsWriter};
use bestof_files::write_file;
use bestof_kernels::host_values;
use burn::module::Module;
use serde_json::Value;

use super::error::EncoderError;
use crate::parameters::{self, ParameterInfo};

/// Writes `config.json` and the parameters of `module`, sorted by name, into `dir`, which is
/// created. One parameter at a time is in host memory.
///
/// # Errors
/// A file cannot be written.
pub fn save<M: Module>(
    module: &M,
    config: &Value,
    dir: &Path,
    dtype: StoredType,
) -> Result<(), EncoderError> {
    let infos = parameters::all(module)
        .into_iter()
        .map(|ParameterInfo { name, shape }| TensorInfo { name, dtype, shape })
        .collect::<Vec<_>>();
    let mut writer = WeightsWriter::create(dir, infos.clone(), None)?;
    for TensorInfo { name, .. } in &infos {
        writer.push(name, &host_values(parameters::values(module, name)?))?;
    }
    writer.finish()?;
    let mut config = config.clone();
    if let (Some(fields), Some(dtype)) = (config.as_object_mut(), dtype.torch_name()) {
        fields.remove("torch_dtype");
        fields.insert("dtype".into(), dtype.into());
    }
    let text = format!("{config:#}\n");
    write_file(&dir.join("config.json"), text.as_bytes()).map_err(CheckpointError::from)?;
    Ok(())
}
