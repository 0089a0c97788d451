//! What can go wrong while a file or a folder is written.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a file or folder could not be written or read.
///
/// What was there before is untouched, unless the step is [`Step::Sync`]: then the new file or folder may
/// be in place already. The variants are all there are, since callers turn them into errors of their own.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused a step.
    #[error("cannot {step} {}: {source}", path.display())]
    Io {
        /// The step that failed.
        step: Step,
        /// The file or folder that was asked for, not its temporary name.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The path of a new folder is taken by something that may not be replaced.
    #[error("{} exists already; remove it or choose another path", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
}

impl FileError {
    /// Wraps an error of the operating system, for `map_err`.
    pub(crate) fn io(step: Step, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { step, path: path.to_owned(), source }
    }

    /// The error of the operating system behind this one.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Io { source, .. } => source,
            Self::Occupied { .. } => io::Error::new(io::ErrorKind::AlreadyExists, self.to_string()),
        }
    }
}

/// A step of writing a file or folder, in the order in which they happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Making the temporary file or folder.
    Create,
    /// Reading what is there.
    Read,
    /// Writing the contents.
    Write,
    /// Forcing contents or names onto the disk.
    Sync,
    /// Giving the temporary file or folder its name.
    Rename,
}

impl Step {
    /// The step as a verb: `create`, `read`, `write`, `sync` or `rename`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::Rename => "rename",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
