//! Files appear whole or not at all: written beside their place, synced, renamed into it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::error::ReportError;

/// Writes `bytes` to `path` so that a reader, or a crash, meets the old file or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    replace(path, |file| file.write_all(bytes))
}

/// Shortens `path` to its first `len` bytes, again whole or not at all.
pub(crate) fn keep_prefix(path: &Path, len: u64) -> Result<(), ReportError> {
    let source = File::open(path).map_err(ReportError::io("read", path))?;
    replace(path, |file| io::copy(&mut source.take(len), file).map(|_| ()))
}

fn replace(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), ReportError> {
    // A device or a pipe, such as `/dev/stdout`, is written to; a new file must not take its place.
    if fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        return File::options()
            .write(true)
            .open(path)
            .and_then(|mut device| fill(&mut device))
            .map_err(ReportError::io("write", path));
    }
    let beside = beside(path);
    let mut file = File::create(&beside).map_err(ReportError::io("create", &beside))?;
    fill(&mut file).and_then(|()| file.sync_all()).map_err(ReportError::io("write", &beside))?;
    drop(file);
    fs::rename(&beside, path).map_err(ReportError::io("replace", path))?;
    sync_folder_of(path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".partial");
    path.with_file_name(name)
}

/// Makes the names in the folder of `path` durable.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), ReportError> {
    // Only Unix lets a folder be opened and synced.
    #[cfg(unix)]
    {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(ReportError::io("sync", folder))?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_and_leaves_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        write_whole(&path, b"first, and longer").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        keep_prefix(&path, 3).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"sec");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn devices_are_written_to_and_stay_devices() {
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("full");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let error = write_whole(&full, b"page").unwrap_err().to_string();
        assert!(error.contains("full") && error.contains("No space left"), "{error}");
        assert!(!fs::metadata(&full).unwrap().is_file());
    }
}
