//! TensorBoard event files, read back by a decoder that shares nothing with the writer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::{Path, PathBuf};

use bestof_report::{MetricRow, MetricsWriter};

/// CRC-32C, one bit at a time from its polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = u64::from(crc32c(bytes));
    (((crc >> 15) + (crc << 17) + 0xa282_ead8) % (1 << 32)) as u32
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a protobuf message by number, in order.
fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let field = match key % 8 {
            0 => Field::Number(varint(&mut message)),
            1 => {
                let (bytes, rest) = message.split_at(8);
                message = rest;
                Field::Number(u64::from_le_bytes(bytes.try_into().unwrap()))
            }
            2 => {
                let size = varint(&mut message) as usize;
                let (bytes, rest) = message.split_at(size);
                message = rest;
                Field::Bytes(bytes.to_vec())
            }
            5 => {
                let (bytes, rest) = message.split_at(4);
                message = rest;
                Field::Number(u64::from(u32::from_le_bytes(bytes.try_into().unwrap())))
            }
            other => panic!("wire type {other}"),
        };
        found.push((key / 8, field));
    }
    found
}

/// Payloads of all records of a file; panics on a wrong checksum or a torn record.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let size = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        let number = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        assert_eq!(number(8), masked(&rest[..8]));
        let payload = &rest[12..12 + size];
        assert_eq!(number(12 + size), masked(payload));
        payloads.push(payload.to_vec());
        rest = &rest[16 + size..];
    }
    payloads
}

fn event_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains("tfevents")).collect()
}

/// Step, tag and value of every scalar.
fn scalars(path: &Path) -> Vec<(u64, String, f32)> {
    let mut found = Vec::new();
    for event in records(path).iter().skip(1) {
        let event = fields(event);
        let Some((_, Field::Number(step))) = event.iter().find(|(number, _)| *number == 2) else {
            panic!("an event without a step");
        };
        let Some((_, Field::Bytes(summary))) = event.iter().find(|(number, _)| *number == 5) else {
            panic!("an event without a summary");
        };
        for (number, value) in fields(summary) {
            assert_eq!(number, 1);
            let Field::Bytes(value) = value else { panic!("a value that is no message") };
            let value = fields(&value);
            let [(1, Field::Bytes(tag)), (2, Field::Number(bits))] = value.as_slice() else {
                panic!("a value with fields {value:?}");
            };
            let number = f32::from_bits(u32::try_from(*bits).unwrap());
            found.push((*step, String::from_utf8(tag.clone()).unwrap(), number));
        }
    }
    found
}

fn write(metrics: &mut MetricsWriter, steps: std::ops::RangeInclusive<u64>) {
    for step in steps {
        let mut row = MetricRow::new(step).with("loss", 1.0 / step as f64);
        row.push_eval([("loss", 0.25)]);
        metrics.write(&row).unwrap();
    }
}

#[test]
fn the_decoder_knows_the_published_checksum() {
    // RFC 3720 B.4: 32 bytes of ones.
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
}

#[test]
fn scalars_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut metrics = MetricsWriter::create(dir.path()).unwrap();
    write(&mut metrics, 1..=2);
    metrics.write(&MetricRow::new(300).with("loss", f64::NAN)).unwrap();
    let files = event_files(dir.path());
    assert_eq!(files.len(), 1);

    let header = fields(&records(&files[0])[0]);
    assert!(header.contains(&(3, Field::Bytes(b"brain.Event:2".to_vec()))));

    let found = scalars(&files[0]);
    let expected = [
        (1, "train/loss", 1.0),
        (1, "eval/loss", 0.25),
        (2, "train/loss", 0.5),
        (2, "eval/loss", 0.25),
    ];
    for ((step, tag, value), expected) in found.iter().zip(expected) {
        assert_eq!((*step, tag.as_str(), *value), expected);
    }
    assert_eq!(found.len(), 5);
    assert_eq!(found[4].0, 300);
    assert!(found[4].2.is_nan());
}

#[test]
fn resuming_cuts_later_events_and_torn_ones() {
    let whole = tempfile::tempdir().unwrap();
    write(&mut MetricsWriter::create(whole.path()).unwrap(), 1..=8);
    let expected = scalars(&event_files(whole.path())[0]);

    for lost in [0, 1, 13, 60, 200] {
        let dir = tempfile::tempdir().unwrap();
        write(&mut MetricsWriter::create(dir.path()).unwrap(), 1..=7);
        let path = event_files(dir.path()).remove(0);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - lost]).unwrap();
        let mut metrics = MetricsWriter::resume(dir.path(), 3).unwrap();
        write(&mut metrics, 4..=8);
        let files = event_files(dir.path());
        assert_eq!(files.len(), 1);
        assert_eq!(scalars(&files[0]), expected, "{lost} bytes lost");
    }
}

#[test]
fn a_damaged_event_file_is_cut_at_the_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(&mut MetricsWriter::create(dir.path()).unwrap(), 1..=5);
    let path = event_files(dir.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    // A length that reaches far beyond the file is neither trusted nor allocated.
    bytes.extend(u64::MAX.to_le_bytes());
    bytes.extend(masked(&u64::MAX.to_le_bytes()).to_le_bytes());
    bytes.extend([0; 40]);
    fs::write(&path, &bytes).unwrap();
    MetricsWriter::resume(dir.path(), 5).unwrap();
    assert_eq!(scalars(&path).len(), 10);

    // With nothing whole left, a new file is started.
    fs::write(&path, b"nonsense, and enough of it to be read").unwrap();
    write(&mut MetricsWriter::resume(dir.path(), 5).unwrap(), 6..=6);
    let files = event_files(dir.path());
    assert_eq!(files.len(), 1);
    assert_eq!(scalars(&files[0]).len(), 2);
}
