//! Reading a whole file that may be of any length.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::ReportError;

/// Longest file that is read, in bytes; runs write none that comes near it.
const LONGEST_FILE: u64 = 64 << 20;

/// The bytes of a file of at most [`LONGEST_FILE`]; `None` when there is no such file.
pub(crate) fn read_bounded(path: &Path) -> Result<Option<Vec<u8>>, ReportError> {
    if !path.is_file() {
        return Ok(None);
    }
    let file = File::open(path).map_err(ReportError::io("read", path))?;
    let found = file.metadata().map_err(ReportError::io("read", path))?.len();
    if found > LONGEST_FILE {
        return Err(ReportError::FileTooLong { path: path.into(), found, limit: LONGEST_FILE });
    }
    let mut bytes = Vec::new();
    file.take(LONGEST_FILE).read_to_end(&mut bytes).map_err(ReportError::io("read", path))?;
    Ok(Some(bytes))
}
