//! On which line of a table a record begins.

use std::collections::VecDeque;

/// What was seen of the bytes that a CSV reader took, which is ahead of the records it gives.
///
/// Line ends are `\n`, `\r` and `\r\n`, inside of quotation marks too.
#[derive(Debug, Default)]
pub(super) struct RecordLines {
    /// Bytes since the last record.
    since: u64,
    /// Bytes of all.
    bytes: u64,
    /// Line ends after the last record's start: their offset, and whether a line begins behind them.
    ends: VecDeque<(u64, bool)>,
    after_return: bool,
    /// Line ends before the last record.
    lines: u64,
}

impl RecordLines {
    /// Takes note of bytes that the reader took.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || byte == b'\r' {
                // `\r\n` is one end.
                self.ends.push_back((self.bytes, byte == b'\r' || !self.after_return));
            }
            self.after_return = byte == b'\r';
            self.bytes += 1;
        }
        self.since += bytes.len() as u64;
    }

    /// Takes note that the reader gave a record.
    pub(super) fn record_ended(&mut self) {
        self.since = 0;
    }

    /// The number of bytes taken since the last record.
    pub(super) fn bytes_of_record(&self) -> u64 {
        self.since
    }

    /// The line, counted from 1, of the record that begins at `start` or behind line ends there.
    pub(super) fn line_at(&mut self, mut start: u64) -> u64 {
        while let Some(&(offset, ends)) = self.ends.front()
            && offset <= start
        {
            self.ends.pop_front();
            self.lines += u64::from(ends);
            if offset == start {
                start += 1;
            }
        }
        self.lines + 1
    }
}
