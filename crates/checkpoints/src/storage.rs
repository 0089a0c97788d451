//! Files that appear whole or not at all: written beside, synced, renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::CheckpointError;

/// The few file operations that writing needs, so that a test can make any of them fail.
pub(crate) trait Storage {
    /// A new file, cut to nothing if it exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn SyncWrite>>;
    /// Replaces `to` by `from` in one step.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Makes the renames inside a folder last through a power cut.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// A file that can be forced onto the disk.
pub(crate) trait SyncWrite: Write {
    /// Returns once the contents are on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SyncWrite>> {
        Ok(Box::new(BufWriter::with_capacity(1 << 20, File::create(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        // Folders cannot be opened as files everywhere; where they cannot, there is nothing to sync.
        if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
    }
}

impl SyncWrite for BufWriter<File> {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.get_ref().sync_all()
    }
}

/// A file under construction beside its final place; dropped unfinished, it is removed.
pub(crate) struct StagedFile {
    writer: Option<Box<dyn SyncWrite>>,
    beside: PathBuf,
    path: PathBuf,
    renamed: bool,
}

impl StagedFile {
    pub(crate) fn create(storage: &dyn Storage, path: &Path) -> Result<Self, CheckpointError> {
        let beside = beside(path);
        let writer = storage.create(&beside).map_err(CheckpointError::io("create", &beside))?;
        Ok(Self { writer: Some(writer), beside, path: path.to_path_buf(), renamed: false })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        match &mut self.writer {
            Some(writer) => {
                writer.write_all(bytes).map_err(CheckpointError::io("write", &self.path))
            }
            None => Ok(()),
        }
    }

    /// Forces the contents onto the disk and closes the file, which keeps its temporary name.
    pub(crate) fn sync(&mut self) -> Result<(), CheckpointError> {
        match self.writer.take() {
            Some(mut writer) => writer.sync().map_err(CheckpointError::io("write", &self.path)),
            None => Ok(()),
        }
    }

    /// Puts the synced file in its place.
    pub(crate) fn rename(mut self, storage: &dyn Storage) -> Result<(), CheckpointError> {
        self.sync()?;
        storage
            .rename(&self.beside, &self.path)
            .map_err(CheckpointError::io("rename", &self.path))?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.renamed {
            self.writer = None;
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// A folder under construction beside its final place; dropped uncommitted, it is removed.
///
/// Everything in it appears at once with [`StagedDir::commit`], or never.
#[derive(Debug)]
pub struct StagedDir {
    beside: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl StagedDir {
    /// An empty folder beside `target`, whose parent folders are created.
    ///
    /// # Errors
    /// `target` exists and is not an empty folder, or a folder cannot be created.
    pub fn new(target: &Path) -> Result<Self, CheckpointError> {
        let occupied = match fs::read_dir(target) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => target.exists(),
        };
        if occupied {
            return Err(CheckpointError::OutputExists { path: target.to_path_buf() });
        }
        let beside = beside(target);
        if beside.exists() {
            fs::remove_dir_all(&beside).map_err(CheckpointError::io("remove", &beside))?;
        }
        fs::create_dir_all(&beside).map_err(CheckpointError::io("create", &beside))?;
        Ok(Self { beside, target: target.to_path_buf(), committed: false })
    }

    /// Where to write until the folder is committed.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Puts the folder in its place and syncs it and its parent.
    ///
    /// # Errors
    /// A folder cannot be synced or renamed.
    pub fn commit(mut self) -> Result<(), CheckpointError> {
        Disk.sync_dir(&self.beside).map_err(CheckpointError::io("sync", &self.beside))?;
        if self.target.is_dir() {
            fs::remove_dir(&self.target).map_err(CheckpointError::io("replace", &self.target))?;
        }
        Disk.rename(&self.beside, &self.target)
            .map_err(CheckpointError::io("rename", &self.target))?;
        self.committed = true;
        let parent = parent(&self.target);
        Disk.sync_dir(parent).map_err(CheckpointError::io("sync", parent))
    }
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_dir_all(&self.beside);
        }
    }
}

/// Writes a small file whole or not at all.
pub(crate) fn write_file(path: &Path, contents: &[u8]) -> Result<(), CheckpointError> {
    let mut file = StagedFile::create(&Disk, path)?;
    file.write(contents)?;
    file.rename(&Disk)
}

/// The folder that holds `path`.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// A hidden name in the same folder, with the process number so that two runs never share one.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    parent(path).join(format!(".{name}.partial-{}", std::process::id()))
}
