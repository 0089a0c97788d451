//! Saving an encoder, or a module that contains one, as a checkpoint.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use bestof_checkpoints::{CheckpointError, StoredType, TensorInfo, WeightsWriter};
use bestof_kernels::host_values;
use burn::module::Module;
use serde_json::Value;

use super::error::BertError;
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
) -> Result<(), BertError> {
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
    write_config(dir, &config)?;
    Ok(())
}

/// Replaces `config.json` in one step.
fn write_config(dir: &Path, config: &Value) -> Result<(), CheckpointError> {
    let path = dir.join("config.json");
    let beside = dir.join(format!(".config.json.partial-{}", std::process::id()));
    let write = || {
        let mut file = File::create(&beside)?;
        file.write_all(format!("{config:#}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&beside);
        CheckpointError::Io { action: "write", path: path.clone(), source }
    })
}
