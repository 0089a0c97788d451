//! JSON-lines files that grow by whole lines and can be truncated to a step.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use bestof_files::{keep_prefix, sync_parent};
use serde::Deserialize;

use crate::error::ReportError;

/// No row of metrics and no sample comes near this.
const LONGEST_LINE: u64 = 64 << 20;

/// One line as it stands in a file.
pub(crate) struct Line<'a> {
    pub(crate) number: usize,
    pub(crate) bytes: &'a [u8],
    /// Offset of the first byte after the line and its line break.
    pub(crate) end: u64,
    /// Whether a line break ends it; only the last line of a file can lack one.
    pub(crate) ended: bool,
}

impl Line<'_> {
    pub(crate) fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// Hands every line of `path` to `visit`, in order, holding one at a time.
pub(crate) fn for_each_line(
    path: &Path,
    mut visit: impl FnMut(Line<'_>) -> Result<(), ReportError>,
) -> Result<(), ReportError> {
    let file = File::open(path).map_err(ReportError::io("read", path))?;
    let mut reader = BufReader::new(file);
    let mut buffer = Vec::new();
    let (mut number, mut end) = (0, 0);
    loop {
        buffer.clear();
        let read = (&mut reader)
            .take(LONGEST_LINE + 1)
            .read_until(b'\n', &mut buffer)
            .map_err(ReportError::io("read", path))?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        end += read as u64;
        if read as u64 > LONGEST_LINE {
            return Err(ReportError::LineTooLong {
                path: path.into(),
                line: number,
                limit: LONGEST_LINE,
            });
        }
        let ended = buffer.last() == Some(&b'\n');
        let bytes = &buffer[..read - usize::from(ended)];
        visit(Line { number, bytes, end, ended })?;
    }
}

/// Reads every row. The returned flag says whether the last line was incomplete, and left out.
pub(crate) fn read_rows<T: for<'de> Deserialize<'de>>(
    path: &Path,
) -> Result<(Vec<T>, bool), ReportError> {
    let mut rows = Vec::new();
    let mut torn = false;
    for_each_line(path, |line| {
        if line.is_blank() {
            return Ok(());
        }
        match serde_json::from_slice(line.bytes) {
            Ok(row) => rows.push(row),
            Err(_) if !line.ended => torn = true,
            Err(source) => {
                return Err(ReportError::BadLine { path: path.into(), line: line.number, source });
            }
        }
        Ok(())
    })?;
    Ok((rows, torn))
}

/// A JSON-lines file open for appending rows that carry their `step`.
#[derive(Debug)]
pub(crate) struct JsonLines {
    file: File,
    path: PathBuf,
    rows: u64,
}

#[derive(Deserialize)]
struct Step {
    step: u64,
}

impl JsonLines {
    /// Starts a file that must not exist yet.
    pub(crate) fn create(path: PathBuf) -> Result<Self, ReportError> {
        let file = match OpenOptions::new().append(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(source) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(ReportError::RunExists { path });
            }
            Err(source) => return Err(ReportError::Io { action: "create", path, source }),
        };
        sync_parent(&path)?;
        Ok(Self { file, path, rows: 0 })
    }

    /// Opens a file to continue after `step`: later rows and an incomplete or damaged end are removed.
    /// A missing file is created.
    pub(crate) fn resume(path: PathBuf, step: u64) -> Result<Self, ReportError> {
        if !path.try_exists().map_err(ReportError::io("read", &path))? {
            return Self::create(path);
        }
        let kept = kept_length(&path, step)?;
        let length = path.metadata().map_err(ReportError::io("read", &path))?.len();
        if kept.bytes < length {
            keep_prefix(&path, kept.bytes)?;
        }
        let file =
            OpenOptions::new().append(true).open(&path).map_err(ReportError::io("open", &path))?;
        let mut lines = Self { file, path, rows: 0 };
        if !kept.ended {
            lines.append(String::new())?;
        }
        lines.rows = kept.rows;
        Ok(lines)
    }

    /// Appends one line with a single write, so that only a crash of the system can leave it incomplete.
    pub(crate) fn append(&mut self, mut line: String) -> Result<(), ReportError> {
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(ReportError::io("append to", &self.path))?;
        self.rows += 1;
        Ok(())
    }

    /// Rows in the file.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns once all appended lines are on the disk.
    pub(crate) fn sync(&self) -> Result<(), ReportError> {
        self.file.sync_data().map_err(ReportError::io("sync", &self.path))
    }
}

struct Kept {
    bytes: u64,
    ended: bool,
    rows: u64,
}

fn kept_length(path: &Path, step: u64) -> Result<Kept, ReportError> {
    let mut kept = Kept { bytes: 0, ended: true, rows: 0 };
    let mut first_cut: Option<(usize, bool)> = None;
    for_each_line(path, |line| {
        let row = serde_json::from_slice::<Step>(line.bytes);
        let kept_row = line.is_blank() || row.as_ref().is_ok_and(|row| row.step <= step);
        match first_cut {
            None if kept_row => {
                let rows = kept.rows + u64::from(!line.is_blank());
                kept = Kept { bytes: line.end, ended: line.ended, rows };
            }
            None => first_cut = Some((line.number, row.is_err())),
            Some((damaged, true)) if kept_row && !line.is_blank() => {
                return Err(ReportError::DamagedHistory {
                    path: path.into(),
                    line: damaged,
                    resume_step: step,
                });
            }
            Some(_) => {}
        }
        Ok(())
    })?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn resumed(before: &[u8], step: u64) -> Result<String, ReportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, before).unwrap();
        JsonLines::resume(path.clone(), step)?;
        Ok(fs::read_to_string(path).unwrap())
    }

    #[test]
    fn cuts_later_rows_and_what_a_crash_tore() {
        let rows = "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n";
        assert_eq!(resumed(rows.as_bytes(), 2).unwrap(), "{\"step\":1}\n{\"step\":2}\n");
        assert_eq!(resumed(rows.as_bytes(), 3).unwrap(), rows);
        assert_eq!(resumed(b"{\"step\":1}\n{\"ste", 1).unwrap(), "{\"step\":1}\n");
        assert_eq!(resumed(b"{\"step\":1}\n\0\0\0\0\0", 1).unwrap(), "{\"step\":1}\n");
        assert_eq!(resumed(b"{\"step\":1}", 1).unwrap(), "{\"step\":1}\n");
        assert_eq!(resumed(b"", 1).unwrap(), "");
    }

    #[test]
    fn a_hole_in_the_kept_history_is_an_error() {
        let error = resumed(b"{\"step\":1}\nnonsense\n{\"step\":2}\n", 2).unwrap_err();
        assert!(
            matches!(error, ReportError::DamagedHistory { line: 2, resume_step: 2, .. }),
            "{error}"
        );
        // The same damage after the last kept row is only a tail to cut.
        let kept = resumed(b"{\"step\":1}\nnonsense\n{\"step\":2}\n", 1).unwrap();
        assert_eq!(kept, "{\"step\":1}\n");
    }
}
