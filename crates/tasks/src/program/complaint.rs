//! What a process writes to its error output.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes that are kept of the beginning, and as many of the end.
const KEPT: usize = 1024;

/// The first and the last of an error output, which is read all the time so that writing to it never blocks.
#[derive(Debug)]
pub(super) struct Complaint {
    kept: Arc<Mutex<Kept>>,
    closed: Receiver<()>,
}

#[derive(Debug, Default)]
struct Kept {
    first: Vec<u8>,
    last: VecDeque<u8>,
    /// Bytes between the two.
    between: u64,
}

impl Complaint {
    pub(super) fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (sender, closed) = mpsc::channel();
        let ours = kept.clone();
        thread::spawn(move || {
            let _closes = sender;
            let mut buffer = [0; 1 << 14];
            loop {
                match pipe.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => {
                        let mut kept = ours.lock().unwrap_or_else(PoisonError::into_inner);
                        kept.add(&buffer[..read]);
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return,
                }
            }
        });
        Self { kept, closed }
    }

    /// All that was written, shortened in the middle. It waits for the end of the output.
    pub(super) fn text(&self) -> String {
        // Nothing is ever sent.
        let _ = self.closed.recv();
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).text()
    }
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(KEPT - self.first.len()));
        self.first.extend(first);
        self.last.extend(rest);
        let surplus = self.last.len().saturating_sub(KEPT);
        self.last.drain(..surplus);
        self.between += surplus as u64;
    }

    fn text(&mut self) -> String {
        let last = self.last.make_contiguous();
        if self.between == 0 {
            return String::from_utf8_lossy(&[&self.first, &*last].concat()).trim().to_owned();
        }
        let (first, last) = (String::from_utf8_lossy(&self.first), String::from_utf8_lossy(last));
        // A character may be cut in two.
        let cut = char::REPLACEMENT_CHARACTER;
        let (first, last) = (first.trim_end_matches(cut), last.trim_start_matches(cut));
        format!("{} [{} bytes more] {}", first.trim(), self.between, last.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_kilobyte_are_kept() {
        let text = |written: &str| Complaint::of(std::io::Cursor::new(written.to_owned())).text();
        assert_eq!(text("\nit broke\n"), "it broke");
        let whole = "é".repeat(KEPT);
        assert_eq!(text(&whole), whole, "a character across the middle is whole");
        let long = text(&format!("x{}é{}y", "é".repeat(40_000), "é".repeat(40_000)));
        let (first, last) = ("é".repeat(511), "é".repeat(511));
        assert_eq!(long, format!("x{first} [{} bytes more] {last}y", 160_004 - 2048));
    }
}
