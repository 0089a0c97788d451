//! Folders that appear or are replaced whole: filled beside, synced, exchanged with the old one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{FileError, Step};
use crate::file::sync_parent_on;
use crate::layer::{Disk, FileLayer};
use crate::temporary::{
    OLD, PARTIAL, Temporary, abandoned, lock, parent, remove_abandoned, with_unique_name,
};

/// A folder under construction beside its final path; dropped before [`commit`](Self::commit), it is
/// removed and what was there before stays.
///
/// ```
/// use bestof_files::StagedFolder;
///
/// let runs = tempfile::tempdir()?;
/// let target = runs.path().join("final");
/// for model in ["first", "second"] {
///     let folder = StagedFolder::replace(&target)?;
///     std::fs::write(folder.path().join("model"), model)?;
///     folder.commit()?;
/// }
/// assert_eq!(std::fs::read_to_string(target.join("model"))?, "second");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StagedFolder<'l> {
    layer: &'l dyn FileLayer,
    temporary: Temporary<'l>,
    target: PathBuf,
    replaces: bool,
}

impl StagedFolder<'static> {
    /// An empty folder that will be called `target`, which must not exist or be an empty folder.
    /// Missing parent folders are made.
    pub fn new(target: &Path) -> Result<Self, FileError> {
        Self::create(&Disk, target, false)
    }

    /// Checks that [`new`](StagedFolder::new) would take `target`, and makes nothing.
    pub fn check(target: &Path) -> Result<(), FileError> {
        if is_occupied(target, false) {
            return Err(FileError::Occupied { path: target.to_owned() });
        }
        Ok(())
    }

    /// An empty folder that will take the place of the folder `target`, if there is one. Missing parent
    /// folders are made.
    pub fn replace(target: &Path) -> Result<Self, FileError> {
        Self::create(&Disk, target, true)
    }
}

impl<'l> StagedFolder<'l> {
    /// [`replace`](StagedFolder::replace) on another layer.
    pub fn replace_on(layer: &'l dyn FileLayer, target: &Path) -> Result<Self, FileError> {
        Self::create(layer, target, true)
    }

    fn create(layer: &'l dyn FileLayer, target: &Path, replaces: bool) -> Result<Self, FileError> {
        let failed = |error| FileError::io(Step::Create, target)(error);
        recover_on(layer, target).map_err(FileError::io(Step::Rename, target))?;
        if is_occupied(target, replaces) {
            return Err(FileError::Occupied { path: target.to_owned() });
        }
        remove_abandoned(layer, target, PARTIAL);
        layer.create_dir_all(parent(target)).map_err(failed)?;
        let temporary = Temporary::folder(layer, target).map_err(failed)?;
        Ok(Self { layer, temporary, target: target.to_owned(), replaces })
    }

    /// Where to write until the folder is committed.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Syncs everything in the folder and puts it in place.
    ///
    /// An older folder of the name is exchanged for it in one step where the system can, and is renamed
    /// away just before otherwise; [`recover_folder`] repairs what a crash leaves between those two
    /// renames. After an error of [`Step::Sync`] the new folder may already be in place.
    pub fn commit(self) -> Result<(), FileError> {
        sync_tree(self.layer, self.path())?;
        let Self { layer, mut temporary, target, replaces } = self;
        let old = temporary.name(|new| put_in_place(layer, new, &target, replaces))?;
        sync_parent_on(layer, &target)?;
        if let Some(old) = old {
            // It is out of the way; if it cannot go now, the next writer removes it.
            let _ = layer.remove_dir_all(&old);
        }
        Ok(())
    }
}

/// Gives a new folder its name; the name that the old one has then, if there was one.
fn put_in_place(
    layer: &dyn FileLayer,
    new: &Path,
    target: &Path,
    replaces: bool,
) -> Result<Option<PathBuf>, FileError> {
    let failed = FileError::io(Step::Rename, target);
    // A folder may appear there between looking and renaming, so that the renaming comes first.
    match layer.rename(new, target) {
        Ok(()) => Ok(None),
        Err(_) if is_occupied(target, replaces) => {
            Err(FileError::Occupied { path: target.to_owned() })
        }
        Err(_) if target.is_dir() => exchange(layer, new, target).map(Some).map_err(failed),
        Err(error) => Err(failed(error)),
    }
}

/// Swaps the new folder and the old one, and returns the name that the old one has then.
fn exchange(layer: &dyn FileLayer, new: &Path, target: &Path) -> io::Result<PathBuf> {
    match layer.exchange(new, target) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
        Ok(()) => return Ok(new.to_owned()),
    }
    // Locked, nobody takes the old folder for one that a crash left behind.
    let _lock = lock(target);
    let ((), old) = with_unique_name(target, OLD, |old| {
        if fs::symlink_metadata(old).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        layer.rename(target, old)
    })?;
    if let Err(error) = layer.rename(new, target) {
        let _ = layer.rename(&old, target);
        return Err(error);
    }
    Ok(old)
}

/// Puts a folder back that a crash left under its temporary name while it was being replaced. Does
/// nothing if `target` exists, or if another process is replacing it right now.
///
/// Writers call this themselves. A reader calls it where `target` is missing.
pub fn recover_folder(target: &Path) -> Result<(), FileError> {
    if fs::symlink_metadata(target).is_ok() {
        return Ok(());
    }
    recover_on(&Disk, target).map_err(FileError::io(Step::Rename, target))
}

fn recover_on(layer: &dyn FileLayer, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(target).is_err() {
        let modified = |path: &Path| fs::metadata(path).and_then(|about| about.modified()).ok();
        let newest = abandoned(target, OLD).into_iter().max_by_key(|(path, _)| modified(path));
        if let Some((old, _lock)) = newest {
            layer.rename(&old, target)?;
        }
    }
    remove_abandoned(layer, target, OLD);
    Ok(())
}

/// Whether something is at `target` that the new folder may not take the place of.
fn is_occupied(target: &Path, replaces: bool) -> bool {
    match fs::read_dir(target) {
        Ok(mut entries) => !replaces && entries.next().is_some(),
        Err(_) => fs::symlink_metadata(target).is_ok(),
    }
}

/// Forces every file and every name under `folder` onto the disk.
fn sync_tree(layer: &dyn FileLayer, folder: &Path) -> Result<(), FileError> {
    for entry in fs::read_dir(folder).map_err(FileError::io(Step::Read, folder))? {
        let entry = entry.map_err(FileError::io(Step::Read, folder))?;
        let (path, kind) = (entry.path(), entry.file_type());
        match kind.map_err(FileError::io(Step::Read, &path))? {
            kind if kind.is_dir() => sync_tree(layer, &path)?,
            kind if kind.is_file() => {
                layer.sync(&path).map_err(FileError::io(Step::Sync, &path))?;
            }
            _ => {}
        }
    }
    layer.sync(folder).map_err(FileError::io(Step::Sync, folder))
}
