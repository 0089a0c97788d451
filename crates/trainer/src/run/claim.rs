//! A run's folder for one process, and for nothing but a run.

use std::fs;
use std::path::Path;

use bestof_files::{FolderLock, is_unfinished};

use crate::error::TrainError;

/// What makes a folder that of a run: its settings, or its checkpoints.
pub(super) const CONFIG_FILE: &str = "config.toml";
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// A run's folder that no other process writes to while this lives.
#[derive(Debug)]
pub struct Claim {
    _lock: FolderLock,
}

impl Claim {
    /// Takes the folder `dir` for a new run, or for one to `resume`; it is made if absent.
    ///
    /// # Errors
    /// [`TrainError::FolderNotOfRun`] if it holds anything and no run, [`TrainError::FolderInUse`] if it holds a run
    /// that is not to be resumed, and [`TrainError::Locked`] if another process has it. Nothing in it was changed
    /// then.
    pub fn take(dir: &Path, resume: bool) -> Result<Self, TrainError> {
        if !is_run(dir)
            && let Some(name) = foreign(dir)?
        {
            return Err(TrainError::FolderNotOfRun { path: dir.to_owned(), name });
        }
        fs::create_dir_all(dir).map_err(TrainError::io("cannot make", dir))?;
        let lock = FolderLock::take(dir)?;
        if is_run(dir) && !resume {
            return Err(TrainError::FolderInUse { path: dir.to_owned() });
        }
        Ok(Self { _lock: lock })
    }
}

fn is_run(dir: &Path) -> bool {
    dir.join(CONFIG_FILE).exists() || dir.join(CHECKPOINTS).exists()
}

/// Something in the folder, other than the lock of a run that never began and what a killed one was writing.
fn foreign(dir: &Path) -> Result<Option<String>, TrainError> {
    if !dir.exists() {
        return Ok(None);
    }
    for entry in fs::read_dir(dir).map_err(TrainError::io("cannot list", dir))? {
        let entry = entry.map_err(TrainError::io("cannot list", dir))?;
        let name = entry.file_name();
        if name != FolderLock::FILE && !is_unfinished(&name, Path::new(CONFIG_FILE)) {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_else_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["metrics.jsonl", "final", "notes.txt"] {
            let run = dir.path().join(name);
            fs::create_dir_all(run.join("x")).unwrap();
            fs::rename(run.join("x"), run.join(name)).unwrap();
            for resume in [false, true] {
                let error = Claim::take(&run, resume).unwrap_err();
                let TrainError::FolderNotOfRun { name: found, .. } = &error else {
                    panic!("{error}")
                };
                assert_eq!(found, name);
            }
            assert_eq!(fs::read_dir(&run).unwrap().count(), 1, "not even a lock was left");
        }
    }

    #[test]
    fn a_folder_is_one_process_s_and_empty_ones_are_taken_again() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("runs/new");
        let claim = Claim::take(&run, false).unwrap();
        let error = Claim::take(&run, true).unwrap_err();
        assert!(matches!(error, TrainError::Locked(_)), "{error}");
        drop(claim);
        fs::write(run.join(".config.toml.a1B2c3.partial"), "").unwrap();
        drop(Claim::take(&run, false).unwrap());
        fs::write(run.join(CONFIG_FILE), "").unwrap();
        let error = Claim::take(&run, false).unwrap_err();
        assert!(matches!(error, TrainError::FolderInUse { .. }), "{error}");
        Claim::take(&run, true).unwrap();
    }
}
