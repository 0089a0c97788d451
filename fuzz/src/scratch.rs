//! Files for readers that open paths: one folder a process, written anew for each input.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What stands between the files of an input that has several.
const BETWEEN: &[u8] = b"\n====\n";

/// The folder of this process. Whoever started it removes the folder that `TMPDIR` names.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder for files").keep())
}

/// Writes a file; returns its path.
pub(crate) fn file(name: &str, contents: &[u8]) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, contents).expect("a file in the scratch folder");
    path
}

/// Writes the parts of an input to files of these names, as many as there are.
pub(crate) fn files(names: &[&str], input: &[u8]) {
    let mut rest = Some(input);
    for name in names {
        let Some(input) = rest else {
            let _ = fs::remove_file(folder().join(name));
            continue;
        };
        let at = input.windows(BETWEEN.len()).position(|window| window == BETWEEN);
        let (part, after) = match at {
            Some(at) => (&input[..at], Some(&input[at + BETWEEN.len()..])),
            None => (input, None),
        };
        file(name, part);
        rest = after;
    }
}
