//! One folder, one process: a lock that the system releases when its holder ends, however it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Why a folder could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "{} is in use by {}; wait for its end, or choose another folder",
        path.display(),
        pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// The file of the lock cannot be made.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Holds a folder for this process until it is dropped, against all others that ask for it.
///
/// The lock is an advisory one (`flock`) on a file `.lock` in the folder, which tells who holds it and stays when
/// the lock is gone. Where the file system has no locks, nothing is held.
///
/// ```
/// use bestof_files::{FolderLock, LockError};
///
/// let folder = tempfile::tempdir()?;
/// let lock = FolderLock::take(folder.path())?;
/// assert!(matches!(FolderLock::take(folder.path()), Err(LockError::InUse { .. })));
/// drop(lock);
/// FolderLock::take(folder.path())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Name of the file that is locked.
    pub const FILE: &str = ".lock";

    /// Takes the folder `dir`, which must exist, without waiting.
    ///
    /// # Errors
    /// [`LockError::InUse`] with the process that holds it; what the system says; a `.lock` that is no plain file.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(Self::FILE);
        let failed = |source| LockError::Io { path: path.clone(), source };
        // What a link leads to is not ours to write to.
        if fs::symlink_metadata(&path).is_ok_and(|about| !about.is_file()) {
            return Err(failed(io::Error::other("it is no plain file; remove it")));
        }
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(failed)?;
        match file.try_lock() {
            // Without locks nobody can be told from anybody.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only its name is lost if it cannot be read.
                let _ = (&file).take(20).read_to_string(&mut holder);
                return Err(LockError::InUse {
                    path: dir.to_owned(),
                    pid: holder.trim().parse().ok(),
                });
            }
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_the_process_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(dir.path()).unwrap();
        let error = FolderLock::take(dir.path()).unwrap_err();
        let LockError::InUse { path, pid } = &error else { panic!("{error}") };
        assert_eq!((path.as_path(), *pid), (dir.path(), Some(std::process::id())));
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(lock);
        FolderLock::take(dir.path()).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join(FolderLock::FILE)).unwrap();
        FolderLock::take(dir.path()).unwrap_err();
        assert_eq!(fs::read_to_string(other).unwrap(), "precious");
    }
}
