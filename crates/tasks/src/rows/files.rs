//! Which files a path stands for: a file, a folder of them or a pattern.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use bestof_files::FileKind;

use super::problem::RowsError;

/// Endings of files of rows, which a folder is searched for.
const ENDINGS: [&str; 6] = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"];

/// Endings of compressed files, behind the others.
const COMPRESSED: [&str; 3] = ["gz", "zst", "zstd"];

/// Files with these endings that hold no rows, in folders of data sets.
const OTHER_FILES: [&str; 3] = ["dataset_info.json", "dataset_dict.json", "state.json"];

/// The ending of a file's name in lower case, without that of a compression.
pub(super) fn endings_of(path: &Path) -> Option<String> {
    let ending = |path: &Path| path.extension().and_then(OsStr::to_str).map(str::to_lowercase);
    match ending(path) {
        Some(last) if COMPRESSED.contains(&last.as_str()) => ending(&path.with_extension("")),
        last => last,
    }
}

/// Whether a path is one of rows by its name: it ends as such files do, or is a folder or a pattern.
fn names_rows(path: &Path) -> bool {
    is_row_file(path) || path.is_dir() || is_pattern(path)
}

/// Whether a path ends as files of rows do.
fn is_row_file(path: &Path) -> bool {
    endings_of(path).is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// Whether a path that may hold running text holds rows: it [names them](names_rows), or is a Parquet file.
///
/// # Errors
/// The file cannot be read.
pub fn holds_rows(path: &Path) -> io::Result<bool> {
    Ok(names_rows(path) || FileKind::at(path)? == FileKind::Parquet)
}

/// The files that `path` stands for, in the order of their names: the file itself, those of a folder and the
/// folders in it that end as files of rows do, or those that a pattern with `*`, `?` or `[` fits.
///
/// # Errors
/// A folder cannot be read, or there is no such file in it; the pattern is none or fits nothing.
pub fn row_files(path: &Path) -> Result<Vec<PathBuf>, RowsError> {
    if path.is_dir() {
        let mut files = Vec::new();
        search(path, &mut files)?;
        files.sort();
        return found(files, path);
    }
    if !is_pattern(path) {
        return Ok(vec![path.to_owned()]);
    }
    let text = path.to_string_lossy();
    let paths = glob::glob(&text)
        .map_err(|source| RowsError::Pattern { path: path.to_owned(), source })?
        .map(|entry| {
            entry.map_err(|error| RowsError::Io {
                action: "read",
                path: error.path().to_owned(),
                source: error.into(),
            })
        });
    let mut files: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    files.retain(|file| !file.is_dir());
    found(files, path)
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '[']) && !path.exists()
}

fn found(files: Vec<PathBuf>, path: &Path) -> Result<Vec<PathBuf>, RowsError> {
    if files.is_empty() {
        let endings = ENDINGS.map(|ending| format!(".{ending}")).join(", ");
        return Err(RowsError::NoFiles { path: path.to_owned(), endings });
    }
    Ok(files)
}

fn search(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), RowsError> {
    let failed = |source| RowsError::Io { action: "read", path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if name.starts_with('.') || OTHER_FILES.contains(&&*name) {
            continue;
        }
        // A link to a folder could lead back here.
        if entry.file_type().map_err(failed)?.is_dir() {
            search(&path, files)?;
        } else if is_row_file(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}
