//! Reading a whole file that may not be there.

use std::path::Path;

use bestof_files::read_text;

use crate::error::ReportError;

/// The text of a file; `None` when there is no such file.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, ReportError> {
    if !path.is_file() {
        return Ok(None);
    }
    read_text(path).map(Some).map_err(ReportError::io("read", path))
}
