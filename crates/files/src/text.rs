//! Text files that are read whole.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::kind::FileKind;

/// The longest file that [`read_text`] reads, in bytes. The longest there are, of tokenizers with
/// large vocabularies, have a third of it.
pub const LONGEST_TEXT: u64 = 128 << 20;

/// The text of a whole file, without a byte order mark.
///
/// ```
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("config.json");
/// std::fs::write(&path, b"\x1f\x8b\x08\0")?;
/// let error = bestof_files::read_text(&path).unwrap_err();
/// assert_eq!(error.to_string(), "it is a gzip file; unpack it with `gunzip`");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// Those of opening and reading, as for a file that is not there; a folder, and a file that is no UTF-8
/// text or longer than [`LONGEST_TEXT`], by an error that says what it is.
pub fn read_text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(FileKind::Folder.refused());
    }
    if found.len() > LONGEST_TEXT {
        return Err(too_long(found.len()));
    }
    let mut bytes = Vec::with_capacity(found.len() as usize);
    // A pipe has no length beforehand.
    let read = file.take(LONGEST_TEXT + 1).read_to_end(&mut bytes)? as u64;
    let kind = FileKind::of(&bytes);
    if !kind.is_text() {
        return Err(kind.refused());
    }
    if read > LONGEST_TEXT {
        return Err(too_long(read));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let problem = format!("it is no UTF-8 text: the byte at position {at} begins no character");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Refuses a file where a folder is expected, by what it is; what is not there passes.
///
/// # Errors
/// It is a file, or cannot be looked at.
pub fn expect_folder(path: &Path) -> io::Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let kind = FileKind::at(path)?;
    let problem = format!("a folder is expected, and it is {}", kind.name());
    Err(io::Error::new(io::ErrorKind::NotADirectory, problem))
}

fn too_long(found: u64) -> io::Error {
    let problem = format!("it has {found} bytes or more; at most {LONGEST_TEXT} are read as text");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_no_text_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let refused = |bytes: &[u8], words: &str| {
            fs::write(&path, bytes).unwrap();
            let error = read_text(&path).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(b"", "it is an empty file");
        refused(b"\x89PNG\r\n\x1a\n", "it is an image");
        refused(b"a\xff", "position 1");
        assert!(read_text(dir.path()).unwrap_err().to_string().contains("it is a folder"));
        assert_eq!(
            read_text(&dir.path().join("absent")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        // Sparse: no byte of it is written or read.
        File::create(&path).unwrap().set_len(LONGEST_TEXT + 1).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("134217729 bytes"));
        let error = expect_folder(&path).unwrap_err().to_string();
        assert_eq!(error, "a folder is expected, and it is a binary file of an unknown format");
        expect_folder(dir.path()).unwrap();
        expect_folder(&dir.path().join("absent")).unwrap();
        fs::write(&path, "\u{feff}{}").unwrap();
        assert_eq!(read_text(&path).unwrap(), "{}");
    }
}
