//! What can go wrong while a run is written or read back.

use std::io;
use std::path::PathBuf;

use bestof_files::FileError;

/// Why a run could not be written, or not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: "create", "read", "append to", ...
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The named run folder does not exist.
    #[error("no run folder at {}; check the path, or start the run that should write it", path.display())]
    NoSuchFolder {
        /// The path given.
        path: PathBuf,
    },
    /// The folder exists but no run wrote it.
    #[error(
        "{} is not a run folder: it has neither config.toml nor metrics.jsonl; name the output folder of a run",
        path.display()
    )]
    NotARun {
        /// The path given.
        path: PathBuf,
    },
    /// A fresh run was started in a folder that holds another one.
    #[error("{} already exists; resume that run, or give this one a new folder", path.display())]
    RunExists {
        /// The file that is in the way.
        path: PathBuf,
    },
    /// A whole line of a JSON-lines file does not say what it should.
    #[error("{} line {line}: {source}; correct or delete that line", path.display())]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// A line is longer than any run writes.
    #[error("{} line {line} is longer than {limit} bytes; no run wrote this file", path.display())]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Its line, counted from 1.
        line: usize,
        /// The longest line that is read.
        limit: u64,
    },
    /// A row up to the step to resume from is damaged, so that rows would be missing.
    #[error(
        "{} line {line} is damaged, and rows up to step {resume_step} follow it; resume from a checkpoint before that line, or delete the line",
        path.display()
    )]
    DamagedHistory {
        /// The file.
        path: PathBuf,
        /// The damaged line, counted from 1.
        line: usize,
        /// The step the run resumes from.
        resume_step: u64,
    },
    /// A row was written for a step before the last one.
    #[error(
        "a row for step {found} came after step {last}; rows are written in the order of steps"
    )]
    StepWentBack {
        /// The last step written.
        last: u64,
        /// The step that followed it.
        found: u64,
    },
    /// A metric has a name that the file format needs for itself.
    #[error("a metric may not be called {name:?}: that field of the row has its own meaning")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A JSON file of the run is not what it should be.
    #[error("{}: {source}; delete the file and the report is made without it", path.display())]
    BadJson {
        /// The file.
        path: PathBuf,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// A value cannot be written as JSON.
    #[error("cannot write {what} as JSON: {source}")]
    NotJson {
        /// Which value.
        what: &'static str,
        /// What the JSON serialiser says.
        source: serde_json::Error,
    },
}

impl From<FileError> for ReportError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io { step, path, source } => {
                Self::Io { action: step.as_str(), path, source }
            }
            FileError::Occupied { path } => Self::RunExists { path },
        }
    }
}

impl ReportError {
    /// A closure that wraps an I/O error with what was tried on which path.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
