//! Parquet files that claim more than they have: refused before the reader makes room for it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs::File;
use std::sync::Arc;

use bestof_tasks::rows::{ReadOptions, TextRow, open_parquet, read_rows};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A file with a column `text`.
fn file(texts: &[&str], properties: WriterProperties) -> Vec<u8> {
    let schema =
        Arc::new(parse_message_type("message rows { optional binary text (UTF8); }").unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = texts.iter().map(|text| ByteArray::from(*text)).collect();
    let levels = vec![1; values.len()];
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

/// The texts of a file, or the error, which names it.
fn read(bytes: &[u8]) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    std::fs::write(&path, bytes).unwrap();
    match read_rows::<TextRow>(&path, &ReadOptions::default()) {
        Ok(rows) => Ok(rows.rows.into_iter().map(|row| row.text.last_text().to_owned()).collect()),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("rows.parquet"), "{said}");
            Err(said)
        }
    }
}

/// The error of opening a file.
fn refused(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.parquet");
    std::fs::write(&path, bytes).unwrap();
    open_parquet(File::open(&path).unwrap()).map(|_| ()).unwrap_err().to_string()
}

fn plain() -> WriterProperties {
    WriterProperties::builder().set_dictionary_enabled(false).build()
}

/// The file with bytes replaced, where they are found first.
fn patched(mut bytes: Vec<u8>, found: &[u8], by: &[u8]) -> Vec<u8> {
    let at = bytes.windows(found.len()).position(|window| window == found).unwrap();
    bytes[at..at + by.len()].copy_from_slice(by);
    bytes
}

#[test]
fn pages_do_not_grow_beyond_what_compression_reaches() {
    let long = "a".repeat(2_000_000);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let properties =
        WriterProperties::builder().set_dictionary_enabled(false).set_compression(zstd);
    let bytes = file(&[&long], properties.build());
    assert_eq!(read(&bytes).unwrap(), [long]);
    // The page header: its type (field 1) and the plain size (field 2), 2,000,010 as a zigzag varint.
    let bytes = patched(
        bytes,
        &[0x15, 0, 0x15, 0x94, 0x92, 0xf4, 0x01],
        &[0x15, 0, 0x15, 0xfe, 0xff, 0xff, 0x7f],
    );
    let said = refused(&bytes);
    assert!(said.contains("column text") && said.contains("become 134217727"), "{said}");
    assert!(read(&bytes).unwrap_err().contains("no compression reaches"));
}

#[test]
fn dictionaries_do_not_have_more_entries_than_bytes() {
    let bytes = file(&["a", "b", "a"], WriterProperties::default());
    assert_eq!(read(&bytes).unwrap(), ["a", "b", "a"]);
    // The dictionary's header (field 7 of the page): 2 entries become 63.
    let said = refused(&patched(bytes, &[0x4c, 0x15, 4], &[0x4c, 0x15, 126]));
    assert!(said.contains("the dictionary at 4 claims 63 entries in 10 bytes"), "{said}");
}

#[test]
fn lengths_are_not_more_than_values() {
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        let properties =
            WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding);
        let texts: Vec<String> = (0..200).map(|i| format!("text {i}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let bytes = file(&texts, properties.build());
        assert_eq!(read(&bytes).unwrap(), texts);
        // Blocks of 128 in four parts, 200 lengths: 16,383.
        let header = [0x80, 1, 4, 0xc8, 1];
        let claim = [0x80, 1, 4, 0xff, 0x7f];
        let said = refused(&patched(bytes.clone(), &header, &claim));
        assert!(said.contains("column text: a page of 200 values claims more lengths"), "{said}");
        // The second list, of the suffixes.
        let last = bytes.windows(5).rposition(|window| window == header).unwrap();
        let mut second = bytes;
        second[last..last + 5].copy_from_slice(&claim);
        assert!(refused(&second).contains("claims more lengths"));
    }
}

#[test]
fn footers_and_chunks_fit_the_file() {
    let bytes = file(&["a"], plain());
    let mut long = bytes.clone();
    let end = long.len();
    long[end - 8..end - 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(refused(&long).contains("footer claims 4294967295 bytes"), "{}", refused(&long));
    // The list of the schema (field 2): 2 structures become 2^28.
    let at = bytes.windows(2).rposition(|window| window == [0x19, 0x2c]).unwrap();
    let mut list = bytes[..=at].to_vec();
    list.extend([0xfc, 0x80, 0x80, 0x80, 0x80, 0x01]);
    list.extend(&bytes[at + 2..end - 8]);
    let footer = u32::from_le_bytes(bytes[end - 8..end - 4].try_into().unwrap()) + 5;
    list.extend(footer.to_le_bytes());
    list.extend(b"PAR1");
    assert!(refused(&list).contains("more items than it has bytes"), "{}", refused(&list));
    assert!(refused(b"PAR1").contains("at least 12"));
}

#[test]
fn any_byte_may_be_wrong() {
    for bytes in [
        file(&["a", "b", "a"], WriterProperties::default()),
        include_bytes!("fixtures/messages.parquet").to_vec(),
    ] {
        for at in 0..bytes.len() {
            for wrong in [0x7f, 0xfc, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                // Rows or an error that names the file, never a panic.
                let _ = read(&bytes);
            }
            let _ = read(&bytes[..at]);
        }
    }
}
