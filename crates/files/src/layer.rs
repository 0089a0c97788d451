//! The few file operations that change the disk, replaceable so that a test can make each of them fail.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// A file being written.
pub trait SyncedFile: Write + Send {
    /// Returns once everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

impl SyncedFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// What changes the disk. [`Disk`] is the real one, [`FaultyDisk`](crate::FaultyDisk) one that fails.
///
/// Every method returns the operating system's error.
pub trait FileLayer: Debug + Send + Sync {
    /// Makes a folder and those above it that are missing.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder that does not exist yet.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes an empty file that does not exist yet; a symbolic link of that name is not followed.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn SyncedFile>>;

    /// Gives a file or folder another name. A file of that name is replaced in one step, an empty
    /// folder on Unix too.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Swaps the names of two files or folders in one step.
    ///
    /// `Unsupported` where the system or the file system cannot.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Returns once the contents of a file, or the names in a folder, are on the disk.
    fn sync(&self, path: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and everything in it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
}

/// The real disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl FileLayer for Disk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn SyncedFile>> {
        Ok(Box::new(File::create_new(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(target_os = "linux")]
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;

        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|error| match error {
            Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => io::ErrorKind::Unsupported.into(),
            error => error.into(),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn exchange(&self, _one: &Path, _other: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        // Elsewhere folders cannot be opened, nor files synced that were opened for reading only; a
        // rename is as durable there as the system makes it.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }
}
