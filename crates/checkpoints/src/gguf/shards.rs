//! Split GGUF files, as `llama-gguf-split` makes them: the parts found and joined.

use std::path::{Path, PathBuf};

use super::error::GgufError;
use super::file::GgufFile;
use super::metadata::{Metadata, bad_value, required};
use crate::error::CheckpointError;

/// `split.count` has 16 bits in llama.cpp.
const MOST_PARTS: usize = 0xffff;

/// Which part of how many a file is; `no` counts from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    no: usize,
    count: usize,
}

impl Shard {
    /// What `split.no` and `split.count` say; `None` for a file that is whole.
    pub(super) fn of(metadata: &Metadata) -> Result<Option<Self>, GgufError> {
        let count = metadata.count("split.count")?.unwrap_or(1);
        if count <= 1 {
            return Ok(None);
        }
        if count > MOST_PARTS {
            let expected = format!("at most {MOST_PARTS}");
            return Err(bad_value("split.count", count.to_string(), &expected));
        }
        let no = required(metadata.count("split.no")?, "split.no")?;
        if no >= count {
            let expected = format!("less than split.count, which is {count}");
            return Err(bad_value("split.no", no.to_string(), &expected));
        }
        Ok(Some(Self { no, count }))
    }

    /// The error that says which part is in hand, and what is wrong with the others.
    pub(super) fn incomplete(self, problem: impl Into<String>) -> GgufError {
        GgufError::Shard { number: self.no + 1, count: self.count, problem: problem.into() }
    }

    /// The paths of all parts, from the path of this one.
    fn paths(self, path: &Path) -> Result<Vec<PathBuf>, GgufError> {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let end = self.end(self.no);
        let Some(stem) = name.strip_suffix(&end) else {
            return Err(self.incomplete(format!(
                "its name has to end in {end} for the other parts to be found"
            )));
        };
        Ok((0..self.count)
            .map(|no| path.with_file_name(format!("{stem}{}", self.end(no))))
            .collect())
    }

    fn end(self, no: usize) -> String {
        format!("-{:05}-of-{:05}.gguf", no + 1, self.count)
    }
}

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
            if part.shard != Some(Shard { no, ..shard }) {
                let found = part.shard.map_or("a whole file".to_owned(), |found| {
                    format!("shard {} of {}", found.no + 1, found.count)
                });
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
