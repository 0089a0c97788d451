//! Files that appear whole or not at all: written beside, synced, renamed into place.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{FileError, Step};
use crate::layer::{Disk, FileLayer, SyncedFile};
use crate::temporary::{PARTIAL, Temporary, parent, remove_abandoned};

const BUFFER_BYTES: usize = 1 << 16;

/// A file under construction beside the one it will replace; dropped before
/// [`persist`](Self::persist), it is removed and the old file stays.
///
/// ```
/// use std::io::Write;
/// use bestof_files::StagedFile;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rows.jsonl");
/// let mut file = StagedFile::create(&path)?;
/// for row in 0..1000 {
///     writeln!(file, "{row}")?;
/// }
/// assert!(!path.exists());
/// file.persist()?;
/// assert!(path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StagedFile<'l> {
    layer: &'l dyn FileLayer,
    out: Option<BufWriter<Box<dyn SyncedFile>>>,
    temporary: Temporary<'l>,
    target: PathBuf,
}

impl StagedFile<'static> {
    /// A new file that will be called `target`; its folder must exist.
    pub fn create(target: &Path) -> Result<Self, FileError> {
        Self::create_on(&Disk, target)
    }
}

impl<'l> StagedFile<'l> {
    /// The same on another layer.
    pub fn create_on(layer: &'l dyn FileLayer, target: &Path) -> Result<Self, FileError> {
        remove_abandoned(layer, target, PARTIAL);
        let (file, temporary) = Temporary::file(layer, target, |path| layer.create_new(path))
            .map_err(FileError::io(Step::Create, target))?;
        let out = Some(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { layer, out, temporary, target: target.to_owned() })
    }

    /// The name that the file will have.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Adds bytes at the end; the same as [`Write::write_all`] with a typed error.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.write_all(bytes).map_err(FileError::io(Step::Write, &self.target))
    }

    /// Forces the contents onto the disk. Several files can be synced before the first gets its name.
    pub fn sync(&mut self) -> Result<(), FileError> {
        let Some(out) = &mut self.out else { return Ok(()) };
        out.flush().map_err(FileError::io(Step::Write, &self.target))?;
        out.get_mut().sync().map_err(FileError::io(Step::Sync, &self.target))
    }

    /// Syncs the file, puts it in place of an older one and syncs the folder.
    ///
    /// After an error of [`Step::Sync`] the new file may already be in place.
    pub fn persist(mut self) -> Result<(), FileError> {
        self.sync()?;
        self.temporary
            .name(|path| self.layer.rename(path, &self.target))
            .map_err(FileError::io(Step::Rename, &self.target))?;
        sync_parent_on(self.layer, &self.target)
    }
}

impl Write for StagedFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl std::fmt::Debug for StagedFile<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedFile").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Drop for StagedFile<'_> {
    fn drop(&mut self) {
        // Taken apart, it does not write out what is still in the buffer.
        drop(self.out.take().map(BufWriter::into_parts));
    }
}

/// Writes `contents` to `path`, in place of an older file.
///
/// What is no file, such as `/dev/stdout` or a named pipe, is written to as it goes and stays what it is.
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), FileError> {
    fill_file(path, |out| out.write_all(contents))
}

/// The same on another layer, and always to a file.
pub fn write_file_on(layer: &dyn FileLayer, path: &Path, contents: &[u8]) -> Result<(), FileError> {
    let mut file = StagedFile::create_on(layer, path)?;
    file.push(contents)?;
    file.persist()
}

/// Writes what `fill` produces to `path`, in place of an older file, which stays if `fill` fails.
///
/// What is no file, such as `/dev/stdout` or a named pipe, is written to as it goes and stays what it is.
pub fn fill_file(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let mut out = Output::create(path)?;
    fill(&mut out).map_err(FileError::io(Step::Write, path))?;
    out.finish()
}

/// What a user names to be written to: a [`StagedFile`], unless something is there that is no file, such as
/// `/dev/stdout` or a named pipe. That is written to as it goes and stays what it is.
#[derive(Debug)]
pub struct Output(Kind);

#[derive(Debug)]
enum Kind {
    File(StagedFile<'static>),
    Device(BufWriter<File>, PathBuf),
}

impl Output {
    /// Begins to write to `path`.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
            let opened = File::options().write(true).open(path);
            let device = BufWriter::new(opened.map_err(FileError::io(Step::Write, path))?);
            return Ok(Self(Kind::Device(device, path.to_owned())));
        }
        Ok(Self(Kind::File(StagedFile::create(path)?)))
    }

    /// Gives the file its name, or the device what it has not got yet. Dropped before, a file is removed, and the one
    /// that was there stays.
    pub fn finish(self) -> Result<(), FileError> {
        match self.0 {
            Kind::File(file) => file.persist(),
            Kind::Device(mut out, path) => out.flush().map_err(FileError::io(Step::Write, &path)),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::File(file) => file.write(bytes),
            Kind::Device(device, _) => device.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::File(file) => file.flush(),
            Kind::Device(device, _) => device.flush(),
        }
    }
}

/// Shortens a file to its first `len` bytes, whole or not at all.
pub fn keep_prefix(path: &Path, len: u64) -> Result<(), FileError> {
    let source = File::open(path).map_err(FileError::io(Step::Read, path))?;
    fill_file(path, |out| io::copy(&mut source.take(len), out).map(|_| ()))
}

/// Makes the name of `path` in its folder last through a power cut.
pub fn sync_parent(path: &Path) -> Result<(), FileError> {
    sync_parent_on(&Disk, path)
}

pub(crate) fn sync_parent_on(layer: &dyn FileLayer, path: &Path) -> Result<(), FileError> {
    layer.sync(parent(path)).map_err(FileError::io(Step::Sync, path))
}
