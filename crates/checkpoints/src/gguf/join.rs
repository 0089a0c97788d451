//! The parts of a split GGUF file, joined.

use std::path::Path;

use super::file::GgufFile;
use crate::error::CheckpointError;

impl GgufFile {
    /// Opens a model: a whole file, or any part of a split one whose other parts lie beside it.
    ///
    /// Metadata are those of the first part, which has all of them.
    pub(super) fn open_joined(path: &Path) -> Result<Self, CheckpointError> {
        let file = Self::open_part(path)?;
        let Some(shard) = file.shard else { return Ok(file) };
        let bad =
            |source| CheckpointError::Gguf { path: path.to_path_buf(), source: Box::new(source) };
        let paths = shard.paths(path).map_err(bad)?;
        let missing: Vec<String> = paths
            .iter()
            .filter(|part| !part.is_file())
            .filter_map(|part| Some(part.file_name()?.to_string_lossy().into_owned()))
            .collect();
        if !missing.is_empty() {
            let few = missing.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = if missing.len() > 5 { ", …" } else { "" };
            let problem = format!(
                "{} of the others missing beside it: {few}{more}; put all parts into one folder",
                missing.len()
            );
            return Err(bad(shard.incomplete(problem)));
        }
        let mut joined: Option<Self> = None;
        for (no, part_path) in paths.iter().enumerate() {
            let part = Self::open_part(part_path)?;
            if part.shard != Some(shard.with_no(no)) {
                let found = part.shard.map_or("a whole file".to_owned(), |found| found.to_string());
                let problem = format!("{} is {found}", part_path.display());
                return Err(bad(shard.incomplete(problem)));
            }
            match &mut joined {
                None => joined = Some(part),
                Some(whole) => whole.append(part)?,
            }
        }
        let joined = joined.unwrap_or(file);
        let total = joined.metadata.count("split.tensors.count").map_err(bad)?;
        let found = joined.tensors.len();
        if let Some(total) = total.filter(|total| *total != found) {
            let problem = format!("split.tensors.count is {total}, the parts have {found} tensors");
            return Err(bad(shard.incomplete(problem)));
        }
        Ok(joined)
    }
}
