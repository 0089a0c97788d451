//! Records of a file in whatever format it has.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use bestof_files::{FileKind, peek};
use flate2::read::MultiGzDecoder;

use super::array::Array;
use super::lines::Lines;
use super::options::ReadOptions;
#[cfg(feature = "parquet")]
use super::parquet_rows::ParquetRecords;
use super::problem::RowsError;
use super::record::Next;
use super::table::{Table, delimiter_of_table};

/// Size of a read buffer in bytes.
const BUFFER: usize = 1 << 16;

/// Formats inside formats that are unpacked: a Parquet file in a gzip file is two.
const MAX_LAYERS: usize = 3;

/// What a compressed source holds; its errors say how it is compressed.
struct Unpacked<R> {
    kind: FileKind,
    from: R,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.from.read(out).map_err(|error| {
            let problem = format!("as {} it is damaged: {error}", self.kind.name());
            io::Error::new(error.kind(), problem)
        })
    }
}

/// The records of one source.
pub(super) enum Records<'s> {
    Lines(Lines<Box<dyn BufRead + 's>>),
    Array(Array<Box<dyn BufRead + 's>>),
    Table(Table<Box<dyn BufRead + 's>>),
    #[cfg(feature = "parquet")]
    Parquet(ParquetRecords),
}

impl<'s> Records<'s> {
    /// The records of the file at `path`.
    pub(super) fn open(path: &Path, options: &ReadOptions) -> Result<Self, RowsError> {
        let failed = |action| move |source| RowsError::Io { action, path: path.to_owned(), source };
        let mut file = File::open(path).map_err(failed("open"))?;
        let metadata = file.metadata().map_err(failed("open"))?;
        if metadata.is_dir() {
            return Err(failed("open")(io::ErrorKind::IsADirectory.into()));
        }
        if metadata.is_file() {
            let (kind, _) = peek(&file).map_err(failed("read"))?;
            file.rewind().map_err(failed("read"))?;
            if kind == FileKind::Parquet {
                return Self::of_parquet(file, path);
            }
        }
        Self::of_source(file, path, options)
    }

    /// The records of a source that `name` stands for.
    pub(super) fn of_source(
        source: impl Read + 's,
        name: &Path,
        options: &ReadOptions,
    ) -> Result<Self, RowsError> {
        let failed = |source| RowsError::Io { action: "read", path: name.to_owned(), source };
        let mut source: Box<dyn BufRead + 's> = Box::new(BufReader::with_capacity(BUFFER, source));
        let mut kind = FileKind::Empty;
        for _ in 0..MAX_LAYERS {
            let peeked = peek(source).map_err(failed)?;
            kind = peeked.0;
            let unpacked: Box<dyn Read + 's> = match kind {
                FileKind::Gzip => Box::new(MultiGzDecoder::new(peeked.1)),
                #[cfg(not(feature = "zstd"))]
                FileKind::Zstd => {
                    let path = name.to_owned();
                    return Err(RowsError::LeftOut { path, kind, feature: "zstd" });
                }
                #[cfg(feature = "zstd")]
                FileKind::Zstd => Box::new(zstd::Decoder::with_buffer(peeked.1).map_err(failed)?),
                _ => return Self::of_kind(kind, Box::new(peeked.1), name, options),
            };
            source = Box::new(BufReader::with_capacity(BUFFER, Unpacked { kind, from: unpacked }));
        }
        Err(RowsError::OtherKind { path: name.to_owned(), kind })
    }

    fn of_kind(
        kind: FileKind,
        mut source: Box<dyn BufRead + 's>,
        name: &Path,
        options: &ReadOptions,
    ) -> Result<Self, RowsError> {
        let failed = |source| RowsError::Io { action: "read", path: name.to_owned(), source };
        let longest = options.max_line_bytes;
        match kind {
            FileKind::Parquet => {
                // Its end says where everything is, so that the whole of it has to be there.
                let mut file = tempfile::tempfile().map_err(failed)?;
                io::copy(&mut source, &mut file).map_err(failed)?;
                file.rewind().map_err(failed)?;
                Self::of_parquet(file, name)
            }
            FileKind::JsonArray => Ok(Self::Array(Array::new(source, longest))),
            FileKind::JsonObject | FileKind::Empty => Ok(Self::Lines(Lines::new(source, longest))),
            FileKind::Text => {
                let start = source.fill_buf().map_err(failed)?;
                match delimiter_of_table(start, name) {
                    Some(delimiter) => {
                        Table::open(source, delimiter, longest, name).map(Self::Table)
                    }
                    None => Ok(Self::Lines(Lines::new(source, longest))),
                }
            }
            kind => Err(RowsError::OtherKind { path: name.to_owned(), kind }),
        }
    }

    #[cfg(feature = "parquet")]
    fn of_parquet(file: File, name: &Path) -> Result<Self, RowsError> {
        ParquetRecords::open(file, name).map(Self::Parquet)
    }

    #[cfg(not(feature = "parquet"))]
    fn of_parquet(_: File, name: &Path) -> Result<Self, RowsError> {
        let path = name.to_owned();
        Err(RowsError::LeftOut { path, kind: FileKind::Parquet, feature: "parquet" })
    }

    /// The next record; blank lines are passed over.
    pub(super) fn advance(&mut self) -> io::Result<Option<Next>> {
        match self {
            Self::Lines(records) => records.advance(),
            Self::Array(records) => records.advance(),
            Self::Table(records) => records.advance(),
            #[cfg(feature = "parquet")]
            Self::Parquet(records) => records.advance(),
        }
    }
}
