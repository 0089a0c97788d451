//! Writing rows so that a file is either whole or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::problem::RowsError;

/// Writes `rows` as JSON lines to `path`: beside it first, synced, then renamed over it.
///
/// # Errors
/// The old file stays as it was after every error.
pub fn write_rows<'a, R: Serialize + 'a>(
    path: &Path,
    rows: impl IntoIterator<Item = &'a R>,
) -> Result<usize, RowsError> {
    let mut count = 0;
    let mut unwritable = None;
    let written = write_beside(path, |out| {
        for row in rows {
            match serde_json::to_vec(row) {
                Ok(line) => out.write_all(&line)?,
                Err(source) => {
                    unwritable = Some(source);
                    return Err(io::Error::other("a row is no JSON"));
                }
            }
            out.write_all(b"\n")?;
            count += 1;
        }
        Ok(())
    });
    match unwritable {
        Some(source) => {
            Err(RowsError::NotWritable { path: path.to_owned(), row: count + 1, source })
        }
        None => written.map(|()| count),
    }
}

/// Lets `fill` write a new file that takes the place of `path` only when it is whole.
///
/// What is no file, such as `/dev/stdout` or a named pipe, is written to as it goes.
pub fn write_beside(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), RowsError> {
    let failed = |source| RowsError::Io { action: "write", path: path.to_owned(), source };
    if is_device(path) {
        return fill_device(path, fill).map_err(failed);
    }
    let beside = beside(path).map_err(failed)?;
    let result = fill_and_rename(&beside, path, fill);
    if result.is_err() {
        // The error that matters is the one above; a leftover is only untidy.
        let _ = fs::remove_file(&beside);
    }
    result.map_err(failed)
}

/// Whether the path names something that a new file must not take the place of.
fn is_device(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

fn fill_device(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::options().write(true).open(path)?);
    fill(&mut out)?;
    out.flush()
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.partial", std::process::id()));
    Ok(path.with_file_name(hidden))
}

fn fill_and_rename(
    beside: &Path,
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(beside)?);
    fill(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    fs::rename(beside, path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
