//! What a file is, from its first bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::Path;

/// Number of first bytes that [`FileKind::of`] looks at, at most.
const HEAD: usize = 1024;

/// What a file is, as far as its first bytes tell.
///
/// Displayed it says what it is and what to do about it where text was expected.
///
/// ```
/// use bestof_files::FileKind;
///
/// assert_eq!(FileKind::of(b"\x1f\x8b\x08\0"), FileKind::Gzip);
/// let pointer = FileKind::of(b"version https://git-lfs.github.com/spec/v1\noid sha256:");
/// assert_eq!(
///     pointer.to_string(),
///     "a Git LFS pointer in place of the file; fetch the file itself with `git lfs pull`"
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// No byte, or a byte order mark and nothing else.
    Empty,
    /// A folder.
    Folder,
    /// UTF-8 text that begins with `{`: JSON, or JSON lines.
    JsonObject,
    /// UTF-8 text that begins with `[`.
    JsonArray,
    /// Other text; UTF-8 as far as its first bytes tell, or an older encoding.
    Text,
    /// A text file of Git LFS that stands for one that was not fetched.
    LfsPointer,
    /// A web page, most often one that says why there was nothing to download.
    Html,
    /// UTF-16 text, with or without a byte order mark.
    Utf16,
    /// UTF-32 text with a byte order mark.
    Utf32,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with Zstandard.
    Zstd,
    /// Compressed with bzip2.
    Bzip2,
    /// Compressed with xz.
    Xz,
    /// Compressed with LZ4.
    Lz4,
    /// A zip archive of another kind than the next two.
    Zip,
    /// A file of `torch.save`.
    Torch,
    /// A workbook of a spreadsheet program.
    Workbook,
    /// A 7z archive.
    SevenZip,
    /// A tar archive.
    Tar,
    /// A Parquet file.
    Parquet,
    /// An Arrow file or stream, such as those in the cache of `datasets`.
    Arrow,
    /// An Avro file.
    Avro,
    /// An ORC file.
    Orc,
    /// An HDF5 file.
    Hdf5,
    /// An `SQLite` database.
    Sqlite,
    /// A numpy array.
    Numpy,
    /// A pickled Python object.
    Pickle,
    /// Tensors in GGUF.
    Gguf,
    /// Tensors in safetensors.
    Safetensors,
    /// A PNG, JPEG, GIF, BMP or WebP image.
    Image,
    /// A PDF document.
    Pdf,
    /// Bytes that are no text and none of the other kinds.
    Binary,
}

impl FileKind {
    /// What a file with these first bytes is; about a kilobyte of them is enough.
    pub fn of(head: &[u8]) -> Self {
        let head = &head[..head.len().min(HEAD)];
        by_magic(head).unwrap_or_else(|| by_content(head))
    }

    /// What is at `path`; a link is followed. A pipe, whose bytes cannot be read twice, counts as text:
    /// [`peek`] looks into one.
    ///
    /// # Errors
    /// Those of opening and reading.
    pub fn at(path: &Path) -> io::Result<Self> {
        // A pipe is not opened: that waits for its writer, who takes the closing for the reader's end.
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Ok(Self::Folder);
        }
        if !metadata.is_file() {
            return Ok(Self::Text);
        }
        let mut head = Vec::with_capacity(HEAD);
        File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(Self::of(&head))
    }

    /// What it is, with its article: `a gzip file`.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    /// What to do with it where text was expected.
    pub fn advice(self) -> &'static str {
        self.words().1
    }

    /// The error that refuses it: `it is a gzip file; unpack it with …`.
    pub fn refused(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, format!("it is {self}"))
    }

    /// Whether it is UTF-8 text, of whatever format, as far as its first bytes tell.
    pub fn is_text(self) -> bool {
        matches!(self, Self::JsonObject | Self::JsonArray | Self::Text)
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Empty => ("an empty file", "check what was to write it"),
            Self::Folder => ("a folder", "name a file in it"),
            Self::JsonObject => ("a JSON file or JSON lines", "name a file of the expected format"),
            Self::JsonArray => {
                ("a JSON array", "write one value a line, as with `jq -c '.[]' FILE`")
            }
            Self::Text => ("a text file", "name a file of the expected format"),
            Self::LfsPointer => (
                "a Git LFS pointer in place of the file",
                "fetch the file itself with `git lfs pull`",
            ),
            Self::Html => (
                "a web page (HTML)",
                "download the file itself; a page that asks to log in or reports an error was saved in its place",
            ),
            Self::Utf16 => ("UTF-16 text", "convert it, as with `iconv -f UTF-16 -t UTF-8`"),
            Self::Utf32 => ("UTF-32 text", "convert it, as with `iconv -f UTF-32 -t UTF-8`"),
            Self::Gzip => ("a gzip file", "unpack it with `gunzip`"),
            Self::Zstd => ("a Zstandard file", "unpack it with `unzstd`"),
            Self::Bzip2 => ("a bzip2 file", "unpack it with `bunzip2`"),
            Self::Xz => ("an xz file", "unpack it with `unxz`"),
            Self::Lz4 => ("an LZ4 file", "unpack it with `unlz4`"),
            Self::Zip => ("a zip archive", "unpack it with `unzip`"),
            Self::Torch => (
                "a PyTorch file",
                "load it in Python with `torch.load` and save what is needed in another format",
            ),
            Self::Workbook => ("a workbook of a spreadsheet program", "export its sheet as CSV"),
            Self::SevenZip => ("a 7z archive", "unpack it with `7z x`"),
            Self::Tar => ("a tar archive", "unpack it with `tar -xf`"),
            Self::Parquet => (
                "a Parquet file",
                "write it as JSON lines, in Python with \
                 `pandas.read_parquet(FILE).to_json(OUT, orient=\"records\", lines=True)`",
            ),
            Self::Arrow => (
                "an Arrow file",
                "write it as Parquet, in Python with `datasets.Dataset.from_file(FILE).to_parquet(OUT)`",
            ),
            Self::Avro => ("an Avro file", "write it as JSON lines, as with `avro-tools tojson`"),
            Self::Orc => ("an ORC file", "write it as Parquet, in Python with `pandas.read_orc`"),
            Self::Hdf5 => ("an HDF5 file", "write it as JSON lines, CSV or Parquet"),
            Self::Sqlite => ("an SQLite database", "export the table as CSV, with `.mode csv`"),
            Self::Numpy => ("a numpy array", "write it as JSON lines or CSV"),
            Self::Pickle => (
                "a pickled Python object",
                "load it in Python, if you trust it, and save what is needed in another format",
            ),
            Self::Gguf => ("a GGUF file of tensors", "name it where a model is expected"),
            Self::Safetensors => {
                ("a safetensors file of tensors", "name its folder where a model is expected")
            }
            Self::Image => ("an image", "name the file that was meant"),
            Self::Pdf => ("a PDF document", "extract its text, as with `pdftotext`"),
            Self::Binary => ("a binary file of an unknown format", "name the file that was meant"),
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, advice) = self.words();
        write!(f, "{name}; {advice}")
    }
}

/// A source whose first bytes were looked at and are read again.
pub type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Looks at the first bytes of a source, which gives them again afterwards.
///
/// ```
/// use std::io::Read;
///
/// let (kind, mut source) = bestof_files::peek(&b"[1, 2]"[..])?;
/// let mut text = String::new();
/// source.read_to_string(&mut text)?;
/// assert_eq!((kind, text.as_str()), (bestof_files::FileKind::JsonArray, "[1, 2]"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn peek<R: Read>(mut source: R) -> io::Result<(FileKind, Peeked<R>)> {
    let mut head = Vec::with_capacity(HEAD);
    source.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    Ok((FileKind::of(&head), Cursor::new(head).chain(source)))
}

/// Beginnings that only one kind of file has.
const MAGIC: &[(&[u8], FileKind)] = &[
    (b"\x1f\x8b", FileKind::Gzip),
    (b"\x28\xb5\x2f\xfd", FileKind::Zstd),
    (b"\xfd7zXZ\0", FileKind::Xz),
    (b"\x04\x22\x4d\x18", FileKind::Lz4),
    (b"7z\xbc\xaf\x27\x1c", FileKind::SevenZip),
    (b"PAR1", FileKind::Parquet),
    (b"ARROW1\0\0", FileKind::Arrow),
    (b"\xff\xff\xff\xff", FileKind::Arrow),
    (b"Obj\x01", FileKind::Avro),
    (b"ORC\x0a", FileKind::Orc),
    (b"\x89HDF\r\n\x1a\n", FileKind::Hdf5),
    (b"SQLite format 3\0", FileKind::Sqlite),
    (b"\x93NUMPY", FileKind::Numpy),
    (b"GGUF", FileKind::Gguf),
    (b"\x89PNG\r\n\x1a\n", FileKind::Image),
    (b"\xff\xd8\xff", FileKind::Image),
    (b"GIF87a", FileKind::Image),
    (b"GIF89a", FileKind::Image),
    (b"%PDF-", FileKind::Pdf),
    (b"version https://git-lfs.github.com/spec/", FileKind::LfsPointer),
    (b"\xff\xfe\0\0", FileKind::Utf32),
    (b"\0\0\xfe\xff", FileKind::Utf32),
    (b"\xff\xfe", FileKind::Utf16),
    (b"\xfe\xff", FileKind::Utf16),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileKind::Workbook),
];

fn by_magic(head: &[u8]) -> Option<FileKind> {
    if let Some((_, kind)) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(*kind);
    }
    let within = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    // A frame that Zstandard readers skip, with which parallel writers begin.
    if matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        return Some(FileKind::Zstd);
    }
    if matches!(head, [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]) {
        return Some(FileKind::Bzip2);
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return Some(if within(b"/data.pkl") {
            FileKind::Torch
        } else if within(b"[Content_Types].xml") || within(b"opendocument.spreadsheet") {
            FileKind::Workbook
        } else {
            FileKind::Zip
        });
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(FileKind::Tar);
    }
    if head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
        return Some(FileKind::Image);
    }
    if matches!(head, [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..]) {
        return Some(FileKind::Image);
    }
    // A length in eight bytes, below the hundred megabytes that the format allows, and a JSON header.
    if let Some([low @ .., 0, 0, 0, 0, b'{']) = head.get(..9)
        && low != [0; 4]
    {
        return Some(FileKind::Safetensors);
    }
    if matches!(head, [0x80, 2..=5, b'}' | b']' | b'c' | b'(' | 0x8a | 0x95, ..]) {
        return Some(FileKind::Pickle);
    }
    None
}

fn by_content(head: &[u8]) -> FileKind {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if text.is_empty() {
        return FileKind::Empty;
    }
    if text.contains(&0) {
        return if is_utf16(text) { FileKind::Utf16 } else { FileKind::Binary };
    }
    let text = text.trim_ascii_start();
    let begins =
        |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    match text.first() {
        Some(b'{') => FileKind::JsonObject,
        Some(b'[') => FileKind::JsonArray,
        _ if begins(b"<!doctype html") || begins(b"<html") => FileKind::Html,
        _ => FileKind::Text,
    }
}

/// Text of mostly Latin letters in two bytes each: one byte of a pair is zero, the other never.
fn is_utf16(text: &[u8]) -> bool {
    let zeros = |side: usize| text.chunks_exact(2).filter(|pair| pair[side] == 0).count();
    let (first, second, pairs) = (zeros(0), zeros(1), text.len() / 2);
    first.min(second) == 0 && first.max(second) * 3 >= pairs * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_what_a_file_is() {
        let utf16: Vec<u8> = "{\"a\": 1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "text,stars\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, kind) in [
            (&b""[..], FileKind::Empty),
            (b"\xef\xbb\xbf", FileKind::Empty),
            (b"\n \n", FileKind::Text),
            (b"{\"a\": 1}", FileKind::JsonObject),
            (b"\xef\xbb\xbf\r\n {\"a\": 1}", FileKind::JsonObject),
            (b" [\n{", FileKind::JsonArray),
            (b"text,stars\nGood,5", FileKind::Text),
            (b"caf\xe9,5", FileKind::Text),
            (b"<!DOCTYPE html><html>", FileKind::Html),
            (b"\n<HTML lang=en>", FileKind::Html),
            (b"version https://git-lfs.github.com/spec/v1\n", FileKind::LfsPointer),
            (b"\xff\xfe{\0", FileKind::Utf16),
            (b"\xff\xfe\0\0{\0\0\0", FileKind::Utf32),
            (&utf16, FileKind::Utf16),
            (&big, FileKind::Utf16),
            (b"\x1f\x8b\x08\0", FileKind::Gzip),
            (b"\x28\xb5\x2f\xfd\x04", FileKind::Zstd),
            (b"\x50\x2a\x4d\x18", FileKind::Zstd),
            (b"BZh91AY&SY", FileKind::Bzip2),
            (b"\xfd7zXZ\0\0", FileKind::Xz),
            (b"PK\x03\x04\x14\0rows.jsonl", FileKind::Zip),
            (b"PK\x03\x04\0\0archive/data.pkl", FileKind::Torch),
            (b"PK\x03\x04\0\0[Content_Types].xml", FileKind::Workbook),
            (&tar, FileKind::Tar),
            (b"PAR1\x15\x04", FileKind::Parquet),
            (b"ARROW1\0\0", FileKind::Arrow),
            (b"\xff\xff\xff\xff\x10\x01", FileKind::Arrow),
            (b"GGUF\x03\0\0\0", FileKind::Gguf),
            (b"\x58\x01\0\0\0\0\0\0{\"__metadata__\"", FileKind::Safetensors),
            (b"\x80\x02}q\0", FileKind::Pickle),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", FileKind::Image),
            (b"\xff\xd8\xff\xe0", FileKind::Image),
            (b"%PDF-1.7", FileKind::Pdf),
            (b"\x7fELF\x02\x01\x01\0", FileKind::Binary),
        ] {
            assert_eq!(FileKind::of(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn every_kind_says_what_to_do() {
        for (_, kind) in MAGIC {
            assert!(!kind.name().is_empty() && !kind.advice().is_empty());
        }
        assert_eq!(FileKind::Gzip.to_string(), "a gzip file; unpack it with `gunzip`");
    }

    #[test]
    fn folders_and_files_of_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(FileKind::at(folder.path()).unwrap(), FileKind::Folder);
        let file = folder.path().join("rows");
        assert!(FileKind::at(&file).is_err());
        std::fs::write(&file, b"\x1f\x8b".repeat(4000)).unwrap();
        assert_eq!(FileKind::at(&file).unwrap(), FileKind::Gzip);
        let (kind, mut source) = peek(File::open(&file).unwrap()).unwrap();
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).unwrap();
        assert_eq!((kind, bytes.len()), (FileKind::Gzip, 8000));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_known_without_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let (say, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || say.send(FileKind::at(&pipe).unwrap()));
        let kind = heard.recv_timeout(std::time::Duration::from_secs(10));
        assert_eq!(kind, Ok(FileKind::Text));
    }
}
