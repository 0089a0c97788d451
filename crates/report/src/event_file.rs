//! TensorBoard event files: scalars only, written as framed protobuf records.
//!
//! A record is `length: u64, masked CRC-32C of length, payload, masked CRC-32C of payload`, all
//! little-endian. The payload is TensorFlow's `Event` message, of which five fields are needed.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use bestof_files::keep_prefix;

use crate::error::ReportError;

const PREFIX: &str = "events.out.tfevents.";
const FRAME_BYTES: u64 = 8 + 4 + 4;

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const BYTES: u64 = 2;
const FIXED_32: u64 = 5;

/// An event file open for appending.
#[derive(Debug)]
pub(crate) struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Starts a new event file in `dir`, named after the time.
    pub(crate) fn create(dir: &Path) -> Result<Self, ReportError> {
        let seconds = now().as_secs();
        let mut path = dir.join(format!("{PREFIX}{seconds:010}.bestof"));
        let mut attempt = 0;
        let file = loop {
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => break file,
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    attempt += 1;
                    path = dir.join(format!("{PREFIX}{seconds:010}.bestof.{attempt}"));
                }
                Err(source) => return Err(ReportError::Io { action: "create", path, source }),
            }
        };
        let mut events = Self { file, path };
        let mut header = Message::default();
        header.fixed_64(1, now().as_secs_f64().to_bits());
        header.bytes(3, b"brain.Event:2");
        events.append(&header.0)?;
        Ok(events)
    }

    /// Continues after `step`: later events and an incomplete end are removed from the event files in `dir`.
    pub(crate) fn resume(dir: &Path, step: u64) -> Result<Self, ReportError> {
        let mut newest = None;
        for path in event_files(dir)? {
            let length = path.metadata().map_err(ReportError::io("read", &path))?.len();
            let kept = kept_length(&path, length, step)?;
            if kept == 0 {
                fs::remove_file(&path).map_err(ReportError::io("remove", &path))?;
                continue;
            }
            if kept < length {
                keep_prefix(&path, kept)?;
            }
            newest = Some(path);
        }
        let Some(path) = newest else { return Self::create(dir) };
        let file =
            OpenOptions::new().append(true).open(&path).map_err(ReportError::io("open", &path))?;
        Ok(Self { file, path })
    }

    /// Appends one event with a scalar for each pair of tag and value.
    pub(crate) fn scalars<'a>(
        &mut self,
        step: u64,
        values: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<(), ReportError> {
        let mut summary = Message::default();
        for (name, value) in values {
            let mut scalar = Message::default();
            scalar.bytes(1, tag(name).as_bytes());
            scalar.fixed_32(2, (value as f32).to_bits());
            summary.bytes(1, &scalar.0);
        }
        let mut event = Message::default();
        event.fixed_64(1, now().as_secs_f64().to_bits());
        event.varint(2, step);
        event.bytes(5, &summary.0);
        self.append(&event.0)
    }

    /// Returns once all appended events are on the disk.
    pub(crate) fn sync(&self) -> Result<(), ReportError> {
        self.file.sync_data().map_err(ReportError::io("sync", &self.path))
    }

    fn append(&mut self, payload: &[u8]) -> Result<(), ReportError> {
        let length = (payload.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(payload.len() + FRAME_BYTES as usize);
        record.extend(length);
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(payload);
        record.extend(masked_crc(payload).to_le_bytes());
        self.file.write_all(&record).map_err(ReportError::io("append to", &self.path))
    }
}

/// `eval_loss` becomes `eval/loss`, everything else goes under `train/`: TRL's grouping, so that
/// the curves of both lie over each other in TensorBoard.
fn tag(name: &str) -> String {
    match name.strip_prefix("eval_") {
        Some(rest) => format!("eval/{rest}"),
        None => format!("train/{name}"),
    }
}

/// CRC-32C, rotated and offset as TensorFlow's record format asks.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The event files of a folder, oldest first by name.
fn event_files(dir: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(ReportError::io("read", dir))? {
        let entry = entry.map_err(ReportError::io("read", dir))?;
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Length of the whole, undamaged records before the first one of a step after `step`.
fn kept_length(path: &Path, length: u64, step: u64) -> Result<u64, ReportError> {
    let mut reader = BufReader::new(File::open(path).map_err(ReportError::io("read", path))?);
    let mut kept = 0;
    let mut payload = Vec::new();
    while length - kept >= FRAME_BYTES {
        let mut head = [0; 12];
        reader.read_exact(&mut head).map_err(ReportError::io("read", path))?;
        let size = u64::from_le_bytes(take(&head[..8]));
        let intact = u32::from_le_bytes(take(&head[8..])) == masked_crc(&head[..8]);
        if !intact || size > length - kept - FRAME_BYTES {
            break;
        }
        payload.resize(size as usize + 4, 0);
        reader.read_exact(&mut payload).map_err(ReportError::io("read", path))?;
        let (event, crc) = payload.split_at(size as usize);
        if u32::from_le_bytes(take(crc)) != masked_crc(event) {
            break;
        }
        match step_of(event) {
            Some(found) if found <= step => kept += size + FRAME_BYTES,
            _ => break,
        }
    }
    Ok(kept)
}

fn take<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}

/// The step of an event; `None` when the bytes are no message.
fn step_of(mut message: &[u8]) -> Option<u64> {
    let mut step = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        match key & 7 {
            VARINT => {
                let value = read_varint(&mut message)?;
                if key >> 3 == 2 {
                    step = value;
                }
            }
            FIXED_64 => message = message.get(8..)?,
            BYTES => {
                let size = usize::try_from(read_varint(&mut message)?).ok()?;
                message = message.get(size..)?;
            }
            FIXED_32 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(step)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A protobuf message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.raw_varint(field << 3 | wire_type);
    }

    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, VARINT);
        self.raw_varint(value);
    }

    fn fixed_64(&mut self, field: u64, bits: u64) {
        self.key(field, FIXED_64);
        self.0.extend(bits.to_le_bytes());
    }

    fn fixed_32(&mut self, field: u64, bits: u32) {
        self.key(field, FIXED_32);
        self.0.extend(bits.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.raw_varint(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_matches_published_vectors() {
        // CRC-32C of 32 zero bytes, RFC 3720 B.4; then its halves swapped at bit 15, plus the offset.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc(&[0; 32]), 0x0fd7_fffa);
    }

    #[test]
    fn steps_are_read_from_what_was_written() {
        for step in [0, 1, 127, 128, 300, u64::from(u32::MAX) + 1, u64::MAX] {
            let mut event = Message::default();
            event.fixed_64(1, 0);
            event.varint(2, step);
            event.bytes(5, b"summary");
            assert_eq!(step_of(&event.0), Some(step));
        }
        assert_eq!(step_of(&[0x2a, 0xff]), None);
        assert_eq!(step_of(&[0x80; 12]), None);
    }

    #[test]
    fn evaluation_has_its_own_group() {
        assert_eq!(tag("eval_rewards/chosen"), "eval/rewards/chosen");
        assert_eq!(tag("rewards/chosen"), "train/rewards/chosen");
    }
}
