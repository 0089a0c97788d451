//! Rows that say the same as an earlier one, exactly or but for case, spaces and punctuation.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use bestof_files::Sha256Hasher;
use bestof_tasks::rows::{Content, PreferenceRow};
use serde::Serialize;

/// Matches that are listed one by one.
const LISTED: usize = 10;

/// How often rows repeat or contradict each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// Rows equal to an earlier row.
    pub exact: usize,
    /// Rows equal to an earlier row but for case, white space and punctuation.
    pub near: usize,
    /// Rows whose prompt stood in an earlier row, with another answer.
    pub same_prompt: usize,
    /// Answers that one row prefers and another row of the same prompt rejects.
    pub contradictions: usize,
    /// The first repeated rows.
    pub first: Vec<Match>,
}

/// A row and the earlier row that it repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Match {
    /// Line of the repetition, from 1.
    pub line: usize,
    /// Line of the first such row.
    pub earlier: usize,
    /// Whether every character is the same.
    pub exact: bool,
}

/// Fingerprints of the rows so far: sixteen bytes each, whatever their length.
#[derive(Debug, Default)]
pub(super) struct Seen {
    exact: HashMap<u128, usize>,
    near: HashMap<u128, usize>,
    prompts: HashSet<u128>,
    chosen: HashSet<u128>,
    rejected: HashSet<u128>,
    found: Duplicates,
}

impl Seen {
    /// Notes a pair.
    pub(super) fn pair(&mut self, line: usize, row: &PreferenceRow) {
        self.texts(line, &[&row.prompt, &row.chosen, &row.rejected]);
        self.chosen.insert(fingerprint(&[&row.prompt, &row.chosen], Some));
        self.rejected.insert(fingerprint(&[&row.prompt, &row.rejected], Some));
    }

    /// Notes a row by its parts, the prompt first.
    pub(super) fn texts(&mut self, line: usize, parts: &[&Content]) {
        let exact = fingerprint(parts, Some);
        let near = fingerprint(parts, normalised);
        let known_prompt = parts.len() > 1 && !self.prompts.insert(fingerprint(&parts[..1], Some));
        let repeated = if let Some(&earlier) = self.exact.get(&exact) {
            self.found.exact += 1;
            Some(Match { line, earlier, exact: true })
        } else if let Some(&earlier) = self.near.get(&near) {
            self.found.near += 1;
            Some(Match { line, earlier, exact: false })
        } else {
            self.found.same_prompt += usize::from(known_prompt);
            None
        };
        self.found.first.extend(repeated.filter(|_| self.found.first.len() < LISTED));
        self.exact.entry(exact).or_insert(line);
        self.near.entry(near).or_insert(line);
    }

    /// What was found.
    pub(super) fn found(self) -> Duplicates {
        let contradictions = self.chosen.intersection(&self.rejected).count();
        Duplicates { contradictions, ..self.found }
    }
}

/// Letters and digits of any script, lower case.
fn normalised(symbol: char) -> Option<char> {
    symbol.is_alphanumeric().then(|| symbol.to_lowercase().next().unwrap_or(symbol))
}

/// Sixteen bytes of the SHA-256 of the parts' characters, as `keep` changes or drops them.
fn fingerprint(parts: &[&Content], keep: fn(char) -> Option<char>) -> u128 {
    let mut hash = Sha256Hasher::new();
    let mut buffer = String::new();
    let mut text = |text: &str| {
        buffer.clear();
        buffer.extend(text.chars().filter_map(keep));
        let length = buffer.len();
        let _ = write!(buffer, "\u{0}{length}\u{0}");
        hash.update(buffer.as_bytes());
    };
    for part in parts {
        match part {
            Content::Text(content) => text(content),
            Content::Messages(messages) => {
                for message in messages {
                    text(message.role());
                    text(message.text());
                    for field in message.speaking_fields().filter_map(|name| message.field(name)) {
                        text(&serde_json::to_string(field).unwrap_or_default());
                    }
                }
            }
        }
        text("");
    }
    let digest = hash.bytes();
    let mut first = [0; 16];
    first.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &str, chosen: &str, rejected: &str) -> PreferenceRow {
        PreferenceRow::new(prompt, chosen, rejected)
    }

    #[test]
    fn repetitions_and_contradictions_are_told_apart() {
        let mut seen = Seen::default();
        for (line, row) in [
            (1, pair("Why?", "Because.", "No.")),
            (2, pair("Why?", "Because.", "No.")),
            (4, pair("why", "because", "NO")),
            (5, pair("Why?", "No.", "Because.")),
            (6, pair("How?", "Because.", "No.")),
        ] {
            seen.pair(line, &row);
        }
        let found = seen.found();
        assert_eq!((found.exact, found.near, found.same_prompt), (1, 1, 1));
        // Both of line 5's answers have the other role in line 1.
        assert_eq!(found.contradictions, 2);
        assert_eq!(
            found.first,
            [
                Match { line: 2, earlier: 1, exact: true },
                Match { line: 4, earlier: 1, exact: false }
            ]
        );
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let of = |parts: &[&str]| {
            let contents: Vec<Content> = parts.iter().map(|&part| part.into()).collect();
            fingerprint(&contents.iter().collect::<Vec<_>>(), Some)
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
