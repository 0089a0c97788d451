//! Split GGUF files, as `llama-gguf-split` makes them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::error::GgufError;
use super::metadata::{Metadata, bad_value, required};

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

    /// Another part of the same model.
    pub(super) fn with_no(self, no: usize) -> Self {
        Self { no, ..self }
    }

    /// The error that says which part is in hand, and what is wrong with the others.
    pub(super) fn incomplete(self, problem: impl Into<String>) -> GgufError {
        GgufError::Shard { number: self.no + 1, count: self.count, problem: problem.into() }
    }

    /// The paths of all parts, from the path of this one.
    pub(super) fn paths(self, path: &Path) -> Result<Vec<PathBuf>, GgufError> {
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

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {} of {}", self.no + 1, self.count)
    }
}
