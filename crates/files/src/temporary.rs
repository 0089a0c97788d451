//! Unique temporary names beside a file or folder, and removing those that a crash left behind.
//!
//! A temporary file or folder is called `.NAME.XXXXXX.partial`, a folder on its way out
//! `.NAME.XXXXXX.old`, with six random characters. Its writer holds an advisory lock on it, which the
//! system releases when the process ends, however it ends. So whoever gets the lock of a temporary
//! knows that nobody is writing it any more.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::layer::FileLayer;

/// Ending of what is being written.
pub(crate) const PARTIAL: &str = ".partial";
/// Ending of a folder that was renamed away for its successor.
pub(crate) const OLD: &str = ".old";

/// Random characters of a temporary name.
const RANDOM: usize = 6;

/// The temporaries of this process that have not got their names yet, and whether each is a folder.
static UNFINISHED: Mutex<BTreeMap<PathBuf, bool>> = Mutex::new(BTreeMap::new());

fn unfinished() -> MutexGuard<'static, BTreeMap<PathBuf, bool>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes every file and folder that this process has begun and not finished, and ends it by `end`; for a program
/// that is told to end at once, from whatever thread hears of it. Meanwhile nothing gets its name any more, so that
/// what is there under its name is whole.
pub fn end_unfinished(end: impl FnOnce() -> Infallible) -> ! {
    let unfinished = unfinished();
    for (path, is_folder) in &*unfinished {
        // What cannot be removed is left to the next writer.
        let _ = if *is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    }
    match end() {}
}

/// A temporary file or folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary<'l> {
    layer: &'l dyn FileLayer,
    path: PathBuf,
    is_folder: bool,
    kept: bool,
    _lock: Option<File>,
}

impl<'l> Temporary<'l> {
    /// A new file beside `target`.
    pub(crate) fn file<F>(
        layer: &'l dyn FileLayer,
        target: &Path,
        make: impl FnMut(&Path) -> io::Result<F>,
    ) -> io::Result<(F, Self)> {
        Self::make(layer, target, false, make)
    }

    /// A new folder beside `target`.
    pub(crate) fn folder(layer: &'l dyn FileLayer, target: &Path) -> io::Result<Self> {
        Self::make(layer, target, true, |path| layer.create_dir(path)).map(|((), folder)| folder)
    }

    fn make<T>(
        layer: &'l dyn FileLayer,
        target: &Path,
        is_folder: bool,
        mut make: impl FnMut(&Path) -> io::Result<T>,
    ) -> io::Result<(T, Self)> {
        let mut unfinished = unfinished();
        let (made, path) = with_unique_name(target, PARTIAL, |path| {
            let made = make(path)?;
            Ok((made, lock_own(path)?))
        })?;
        let (made, lock) = made;
        unfinished.insert(path.clone(), is_folder);
        Ok((made, Self { layer, path, is_folder, kept: false, _lock: lock }))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name by `rename`, after which it is let be.
    pub(crate) fn name<T, E>(
        &mut self,
        rename: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut unfinished = unfinished();
        let named = rename(&self.path)?;
        unfinished.remove(&self.path);
        self.kept = true;
        Ok(named)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // The error that matters was returned before; what stays is removed by the next writer.
            let _ = if self.is_folder {
                self.layer.remove_dir_all(&self.path)
            } else {
                self.layer.remove_file(&self.path)
            };
            unfinished().remove(&self.path);
        }
    }
}

/// Calls `make` with names beside `target` until it finds one that is free, and returns that.
pub(crate) fn with_unique_name<T>(
    target: &Path,
    ending: &str,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(T, PathBuf)> {
    let prefix = prefix(target)?;
    let mut refused = None;
    let made = tempfile::Builder::new()
        .prefix(&prefix)
        .suffix(ending)
        .rand_bytes(RANDOM)
        .disable_cleanup(true)
        .make_in(parent(target), |path| match make(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                refused = Some(error);
                Err(io::ErrorKind::Other.into())
            }
            made => made,
        });
    match (refused, made) {
        // The system's own error, without the temporary name in its text.
        (Some(error), _) | (None, Err(error)) => Err(error),
        (None, Ok(made)) => {
            let path = made.path().to_owned();
            Ok((made.into_parts().0, path))
        }
    }
}

/// `.NAME.`, with which every temporary name of `target` begins.
fn prefix(target: &Path) -> io::Result<OsString> {
    let name = target
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    Ok(prefix)
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Locks a temporary that was just made; `AlreadyExists` if another process took it for a leftover
/// between its making and its locking, so that another name is tried.
fn lock_own(path: &Path) -> io::Result<Option<File>> {
    match lock(path) {
        Lock::Taken(lock) if fs::symlink_metadata(path).is_ok() => Ok(Some(lock)),
        Lock::Unavailable => Ok(None),
        Lock::Taken(_) | Lock::Held => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

/// What became of trying to lock a file or folder.
pub(crate) enum Lock {
    /// It is locked until the handle is dropped.
    Taken(File),
    /// Somebody else holds it.
    Held,
    /// There are no locks here.
    Unavailable,
}

/// Locks a file or folder without waiting.
pub(crate) fn lock(path: &Path) -> Lock {
    // Other systems open no folders, and keep all but the owner of a lock from writing.
    if !cfg!(unix) {
        return Lock::Unavailable;
    }
    let Ok(file) = File::open(path) else { return Lock::Held };
    match file.try_lock() {
        Ok(()) => Lock::Taken(file),
        Err(fs::TryLockError::WouldBlock) => Lock::Held,
        Err(fs::TryLockError::Error(_)) => Lock::Unavailable,
    }
}

/// The temporaries of `target` with this ending that no process is working on any more, locked where
/// there are locks. Where there are none, a folder on its way out counts as abandoned, since it may be
/// all that is left, and what is being written does not.
pub(crate) fn abandoned(target: &Path, ending: &str) -> Vec<(PathBuf, Option<File>)> {
    let Ok(prefix) = prefix(target) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(parent(target)) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_temporary(path.file_name().unwrap_or_default(), &prefix, ending))
        .filter_map(|path| match lock(&path) {
            Lock::Taken(lock) => Some((path, Some(lock))),
            Lock::Unavailable if ending == OLD => Some((path, None)),
            Lock::Held | Lock::Unavailable => None,
        })
        .collect()
}

/// Whether a file or folder of this name, beside `target`, is one that a writer of `target` has begun and not
/// finished.
pub fn is_unfinished(name: &OsStr, target: &Path) -> bool {
    prefix(target).is_ok_and(|prefix| is_temporary(name, &prefix, PARTIAL))
}

fn is_temporary(name: &OsStr, prefix: &OsStr, ending: &str) -> bool {
    let (name, prefix) = (name.as_encoded_bytes(), prefix.as_encoded_bytes());
    name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(ending.as_bytes())).is_some_and(
        |random| random.len() == RANDOM && random.iter().all(u8::is_ascii_alphanumeric),
    )
}

/// Removes what writers of `target` left that were stopped. Nothing depends on whether it succeeds.
pub(crate) fn remove_abandoned(layer: &dyn FileLayer, target: &Path, ending: &str) {
    for (path, _lock) in abandoned(target, ending) {
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|about| about.is_dir());
        let _ = if is_folder { layer.remove_dir_all(&path) } else { layer.remove_file(&path) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_target_are_taken_for_its_temporaries() {
        let prefix = prefix(Path::new("runs/final")).unwrap();
        let is = |name: &str| is_temporary(OsStr::new(name), &prefix, PARTIAL);
        assert!(is(".final.a1B2c3.partial"));
        for other in [
            "final",
            ".final.partial",
            ".final.a1B2c3.old",
            ".final.a1B2c3d.partial",
            ".final.json.a1B2c3.partial",
            ".final.a1/2c3.partial",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
