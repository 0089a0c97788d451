//! GGUF to a Hugging Face folder, a few rows of a tensor at a time.

use std::path::Path;

use bestof_files::StagedFolder;

use super::architecture::Change;
use super::opened::OpenedGguf;
use crate::conversion::{ConvertOptions, Converted, Progress, count};
use crate::error::CheckpointError;
use crate::stored::TensorInfo;
use crate::writer::WeightsWriter;

/// Number of values decoded at a time.
const CHUNK_VALUES: usize = 1 << 20;

/// Converts a GGUF file to a model folder in the Hugging Face layout: configuration, weights,
/// tokenizer, chat template and generation settings.
///
/// Of a split file any part may be given, with all others beside it.
///
/// The folder appears whole at the end or not at all. Weights are decoded to `f32` and rounded to
/// `options.dtype`; at most a few rows of one tensor are in memory.
///
/// # Errors
/// The file is damaged or truncated, its architecture, tokenizer or a tensor type is not known,
/// metadata or a tensor is missing, the file has a tensor that the architecture does not, or
/// `out` exists and is not an empty folder.
pub fn convert(
    input: &Path,
    out: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Converted, CheckpointError> {
    if options.dtype.torch_name().is_none() {
        return Err(CheckpointError::UnwritableType { found: options.dtype });
    }
    let opened = OpenedGguf::open(input)?;
    let staged = StagedFolder::new(out)?;
    let (model_type, warnings) = opened.write_companions(staged.path(), options.dtype)?;
    let parameters = write_weights(&opened, staged.path(), options, progress)?;
    staged.commit()?;
    Ok(Converted {
        dir: out.to_path_buf(),
        model_type,
        parameters,
        tensors: opened.tensors.len(),
        source_types: count_types(&opened),
        warnings,
    })
}

fn write_weights(
    opened: &OpenedGguf,
    dir: &Path,
    options: &ConvertOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<u64, CheckpointError> {
    let (plan, sizes) = (&opened.tensors, opened.sizes);
    let mut file = opened.file();
    let infos: Vec<TensorInfo> = plan
        .iter()
        .map(|tensor| TensorInfo {
            name: tensor.name.clone(),
            dtype: options.dtype,
            shape: tensor.entry.shape.clone(),
        })
        .collect();
    let values_total = infos.iter().map(|info| info.len() as u64).sum();
    let mut values_done = 0;
    let mut writer = WeightsWriter::create(dir, infos, options.max_shard_bytes)?;
    let (mut bytes, mut values, mut scratch) = (Vec::new(), Vec::new(), Vec::new());
    for tensor in plan {
        let entry = &tensor.entry;
        let rows = match tensor.change {
            Change::Unpair => tensor.head_row(sizes.head_dim),
            _ => (CHUNK_VALUES / entry.row_values()).max(1),
        };
        for first in (0..entry.rows()).step_by(rows) {
            let rows = rows.min(entry.rows() - first);
            file.read_rows(entry, first, rows, &mut bytes, &mut values)?;
            tensor.apply(sizes.head_dim, &mut values, &mut scratch);
            writer.push(&tensor.name, &values)?;
            values_done += values.len() as u64;
        }
        progress(Progress { tensor: &tensor.name, values_done, values_total });
    }
    writer.finish()?;
    Ok(values_total)
}

fn count_types(opened: &OpenedGguf) -> Vec<(String, usize)> {
    let mut counts = Vec::new();
    for tensor in &opened.tensors {
        count(&mut counts, tensor.entry.ggml_type.name().to_owned());
    }
    counts
}
