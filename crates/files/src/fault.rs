//! A disk that fails after a number of operations or bytes, for the tests of code that writes.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::layer::{Disk, FileLayer, SyncedFile};

/// What happens once the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Everything fails from then on, except removing: a full disk.
    FullDisk,
    /// Everything fails from then on: the machine lost power, or the process was killed.
    PowerCut,
}

/// The real disk until it fails.
///
/// Each change of the disk counts as one operation: making a file or folder, each piece written, each
/// sync, rename, exchange and (for [`Fault::PowerCut`]) removal. The write that fails still puts half
/// of its bytes on the disk.
///
/// ```
/// use bestof_files::{Disk, Fault, FaultyDisk, write_file_on};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("settings.json");
/// write_file_on(&Disk, &path, b"old")?;
/// for operations in 0.. {
///     let disk = FaultyDisk::new(Fault::PowerCut, operations);
///     let outcome = write_file_on(&disk, &path, b"new");
///     let found = std::fs::read(&path)?;
///     assert!(found == b"old" || found == b"new");
///     if outcome.is_ok() {
///         break;
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    fault: Fault,
    budget: Budget,
    piece: usize,
    exchanges: bool,
}

#[derive(Debug, Clone)]
struct Budget {
    operations: Arc<AtomicUsize>,
    bytes: Arc<AtomicUsize>,
}

impl FaultyDisk {
    /// A disk that fails after this many operations.
    pub fn new(fault: Fault, operations: usize) -> Self {
        let budget = Budget {
            operations: Arc::new(AtomicUsize::new(operations)),
            bytes: Arc::new(AtomicUsize::new(usize::MAX)),
        };
        Self { fault, budget, piece: usize::MAX, exchanges: true }
    }

    /// A full disk with room for this many bytes more.
    pub fn with_room(bytes: usize) -> Self {
        let disk = Self::new(Fault::FullDisk, usize::MAX);
        disk.budget.bytes.store(bytes, Ordering::SeqCst);
        disk
    }

    /// The disk that writes at most this many bytes at a time, so that one file takes several
    /// operations.
    #[must_use]
    pub fn pieces_of(mut self, bytes: usize) -> Self {
        self.piece = bytes.max(1);
        self
    }

    /// The disk that cannot exchange two names in one step.
    #[must_use]
    pub fn without_exchange(mut self) -> Self {
        self.exchanges = false;
        self
    }

    /// Spends an operation on `change`, or fails.
    fn change<T>(&self, change: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.budget.spend()?;
        change()
    }

    fn remove(&self, remove: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.fault {
            Fault::FullDisk => remove(),
            Fault::PowerCut => self.change(remove),
        }
    }
}

impl Budget {
    fn spend(&self) -> io::Result<()> {
        self.operations
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
            .map(|_| ())
            .map_err(|_| failure())
    }
}

fn failure() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on device")
}

impl FileLayer for FaultyDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(|| Disk.create_dir_all(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.change(|| Disk.create_dir(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn SyncedFile>> {
        let inner = self.change(|| Disk.create_new(path))?;
        Ok(Box::new(FaultyFile { inner, budget: self.budget.clone(), piece: self.piece }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| Disk.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if !self.exchanges {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.change(|| Disk.exchange(one, other))
    }

    fn sync(&self, path: &Path) -> io::Result<()> {
        self.change(|| Disk.sync(path))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.remove(|| Disk.remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.remove(|| Disk.remove_dir_all(path))
    }
}

struct FaultyFile {
    inner: Box<dyn SyncedFile>,
    budget: Budget,
    piece: usize,
}

impl Write for FaultyFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = self.budget.bytes.load(Ordering::SeqCst);
        if room == 0 && !buffer.is_empty() {
            return Err(failure());
        }
        if let Err(error) = self.budget.spend() {
            self.inner.write_all(&buffer[..buffer.len() / 2])?;
            return Err(error);
        }
        let written = self.inner.write(&buffer[..buffer.len().min(self.piece).min(room)])?;
        self.budget.bytes.store(room - written, Ordering::SeqCst);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl SyncedFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.budget.spend()?;
        self.inner.sync()
    }
}
