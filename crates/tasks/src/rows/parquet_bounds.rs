//! What a Parquet file claims, held to what it has, before its reader allocates for it.
//!
//! The reader makes room for as many items, values and bytes as headers say. A damaged or hostile file of some KiB
//! says billions.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use parquet::basic::{Encoding, Type};
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::thrift::{Compact, Fields};

/// Bytes that one compressed byte may become, and those that are granted anyway: gzip reaches 1032.
const RATIO: u64 = 2_000;
const GRANTED: u64 = 16 << 20;
/// Bytes of a page's header, which may hold its smallest and largest value.
const HEADER: u64 = 16 << 20;

/// A reader of the file, whose claims fit its size.
///
/// # Errors
/// The file is no Parquet file, is damaged, or claims more than it can hold.
pub fn open_parquet(mut file: File) -> Result<SerializedFileReader<File>> {
    let length = file.metadata()?.len();
    check_footer(&mut file, length)?;
    let reader = SerializedFileReader::new(file.try_clone()?)?;
    for (group, metadata) in reader.metadata().row_groups().iter().enumerate() {
        for (index, column) in metadata.columns().iter().enumerate() {
            if check_pages(&mut file, length, column)? {
                let mut pages = reader.get_row_group(group)?.get_column_page_reader(index)?;
                while let Some(page) = pages.get_next_page()? {
                    check_lengths(&page, column.column_descr())?;
                }
            }
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(reader)
}

fn wrong<T>(message: String) -> Result<T> {
    Err(ParquetError::General(message))
}

fn check_footer(file: &mut File, length: u64) -> Result<()> {
    let mut end = [0; 8];
    if length < 12 {
        return wrong(format!("it has {length} bytes, at least 12 are needed"));
    }
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut end)?;
    let footer = u64::from(u32::from_le_bytes([end[0], end[1], end[2], end[3]]));
    if footer > length - 12 {
        return wrong(format!("its footer claims {footer} bytes, the file has {length}"));
    }
    if &end[4..] == b"PAR1" {
        file.seek(SeekFrom::Start(length - 8 - footer))?;
        let mut bytes = vec![0; footer as usize];
        file.read_exact(&mut bytes)?;
        if (Compact { rest: &bytes }).structure().is_none() {
            return wrong(
                "its footer is damaged, or claims more items than it has bytes".to_owned(),
            );
        }
    }
    Ok(())
}

/// Walks the headers of a column's pages. Says whether there are lengths inside that have to be looked at too.
fn check_pages(file: &mut File, length: u64, column: &ColumnChunkMetaData) -> Result<bool> {
    let name = column.column_path().string();
    let first = column.dictionary_page_offset().filter(|at| *at > 0);
    let start = first.map_or(column.data_page_offset(), |at| at.min(column.data_page_offset()));
    let sizes = (u64::try_from(start), u64::try_from(column.compressed_size()));
    let end = match sizes {
        (Ok(start), Ok(size)) => start.checked_add(size).filter(|end| *end <= length),
        _ => None,
    };
    let Some(end) = end else {
        let size = column.compressed_size();
        return wrong(format!(
            "column {name} claims {size} bytes at {start}, the file has {length}"
        ));
    };
    let (mut at, mut has_lengths, mut values) = (start as u64, false, 0);
    while at < end && values < column.num_values() {
        let (header, size) = page_header(file, at, end).map_err(|_| {
            ParquetError::General(format!("column {name}: the page at {at} has no whole header"))
        })?;
        let page = |field| header.integer(field).and_then(|size| u64::try_from(size).ok());
        let (Some(plain), Some(stored)) = (page(2), page(3)) else {
            return wrong(format!("column {name}: the page at {at} has no size"));
        };
        if stored > end - at - size {
            return wrong(format!(
                "column {name}: the page at {at} claims {stored} bytes, {} are left",
                end - at - size
            ));
        }
        if plain > GRANTED.saturating_add(stored.saturating_mul(RATIO)) {
            return wrong(format!(
                "column {name}: the page at {at} claims that its {stored} bytes become {plain}, \
                 which no compression reaches"
            ));
        }
        // Dictionary, data, data of version 2.
        let count = |field| header.fields(field).and_then(|page| page.integer(1));
        if let Some(entries) = count(7) {
            let least = if column.column_type() == Type::BYTE_ARRAY { 4 } else { 1 };
            if u64::try_from(entries).is_ok_and(|entries| entries.saturating_mul(least) > plain)
                || entries < 0
            {
                return wrong(format!(
                    "column {name}: the dictionary at {at} claims {entries} entries in {plain} bytes"
                ));
            }
        }
        for (field, encoding) in [(5, 2), (8, 4)] {
            values += count(field).unwrap_or(0).max(0);
            // DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
            let encoding = header.fields(field).and_then(|page| page.integer(encoding));
            has_lengths |= matches!(encoding, Some(6 | 7));
        }
        at += size + stored;
    }
    Ok(has_lengths)
}

/// The header of the page at a place, and its length.
fn page_header(file: &mut File, at: u64, end: u64) -> Result<(Fields, u64)> {
    for most in [1 << 10, HEADER] {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.by_ref().take(most.min(end - at)).read_to_end(&mut bytes)?;
        let mut reader = Compact { rest: &bytes };
        if let Some(header) = reader.structure() {
            return Ok((header, (bytes.len() - reader.rest.len()) as u64));
        }
    }
    wrong(String::new())
}

/// Holds the numbers of lengths inside a page to the number of its values.
fn check_lengths(page: &Page, column: &ColumnDescriptor) -> Result<()> {
    let encoding = page.encoding();
    if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
        return Ok(());
    }
    let mut bytes = Compact { rest: page.buffer() };
    let values = u64::from(page.num_values());
    let read = match page {
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            bytes.take((def_levels_byte_len + rep_levels_byte_len) as usize).map(drop)
        }
        _ => [column.max_rep_level(), column.max_def_level()].into_iter().try_for_each(|levels| {
            if levels > 0 {
                let length = bytes.take(4)?;
                bytes.take(u32::from_le_bytes(length.try_into().ok()?) as usize)?;
            }
            Some(())
        }),
    };
    let lists = if encoding == Encoding::DELTA_BYTE_ARRAY { 2 } else { 1 };
    let fits = read.and_then(|()| (0..lists).try_for_each(|_| lengths(&mut bytes, values)));
    if fits.is_none() {
        let name = column.path().string();
        return wrong(format!(
            "column {name}: a page of {values} values claims more lengths than it has values or bytes"
        ));
    }
    Ok(())
}

/// Passes one list of lengths (`DELTA_BINARY_PACKED`) by; `None` if there are more than `most`.
fn lengths(bytes: &mut Compact<'_>, most: u64) -> Option<()> {
    let (block, parts, count) = (bytes.number()?, bytes.number()?, bytes.number()?);
    bytes.integer()?;
    let in_part = block.checked_div(parts).filter(|_| count <= most && block < 1 << 24)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        bytes.integer()?;
        for width in bytes.take(usize::try_from(parts).ok()?)? {
            if left > 0 {
                bytes.take(usize::try_from(in_part * u64::from(*width) / 8).ok()?)?;
                left = left.saturating_sub(in_part.max(1));
            }
        }
    }
    Some(())
}
