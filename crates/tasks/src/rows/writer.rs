//! Writing rows so that a file is either whole or not there.

use std::io::{self, Write};
use std::path::Path;

use bestof_files::fill_file;
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
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), RowsError> {
    fill_file(path, fill).map_err(|error| RowsError::Io {
        action: "write",
        path: path.to_owned(),
        source: error.into_io(),
    })
}
