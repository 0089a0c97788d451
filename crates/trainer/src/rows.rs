//! Encoded rows with the places they come from.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bestof_files::Sha256Hasher;
use bestof_losses::Label;
use bestof_tasks::rng::SeededRng;

use crate::data::{EncodedCompletion, EncodedLabelled, EncodedPair, Loaded};

/// Stream of the draw that holds rows out; epochs take the small numbers.
const HOLD_OUT_STREAM: u64 = u64::MAX;

/// Where a row comes from, shown as `file:line`. The rows of a file share its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowName {
    file: Arc<str>,
    /// From 1; 0 where there are no lines.
    line: usize,
}

impl RowName {
    /// The line in its file, from 1, if the name has one.
    pub fn line(&self) -> Option<usize> {
        (self.line > 0).then_some(self.line)
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line() {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

impl From<&str> for RowName {
    fn from(name: &str) -> Self {
        let place = name.rsplit_once(':').and_then(|(file, line)| Some((file, line.parse().ok()?)));
        let (file, line) = place.unwrap_or((name, 0));
        Self { file: file.into(), line }
    }
}

impl From<String> for RowName {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

/// Encoded rows and the name of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowSet<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where each comes from.
    pub names: Vec<RowName>,
}

impl<T> From<Loaded<T>> for RowSet<T> {
    fn from(loaded: Loaded<T>) -> Self {
        let mut last: Option<(&Arc<Path>, Arc<str>)> = None;
        let mut names = Vec::with_capacity(loaded.lines.len());
        for (path, &line) in loaded.files.iter().zip(&loaded.lines) {
            let same = last.take().filter(|(known, _)| Arc::ptr_eq(known, path));
            let (_, file) =
                last.insert(same.unwrap_or_else(|| (path, path.to_string_lossy().into())));
            names.push(RowName { file: Arc::clone(file), line });
        }
        Self { items: loaded.items, names }
    }
}

impl<T> RowSet<T> {
    /// A set without rows.
    pub fn empty() -> Self {
        Self { items: Vec::new(), names: Vec::new() }
    }

    /// Puts the rows of another set behind these.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.items.extend(other.items);
        self.names.extend(other.names);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Splits off a share of the rows, drawn by `seed`; both parts keep the order of the file.
    ///
    /// At least one row stays on each side if there are two and the share is above 0.
    pub fn hold_out(self, share: f64, seed: u64) -> (Self, Self) {
        if share <= 0.0 || self.len() < 2 {
            return (self, Self::empty());
        }
        let count = ((share * self.len() as f64).round() as usize).clamp(1, self.len() - 1);
        let mut order: Vec<usize> = (0..self.len()).collect();
        SeededRng::new(seed, HOLD_OUT_STREAM).shuffle(&mut order);
        let mut held = vec![false; self.len()];
        for &row in &order[..count] {
            held[row] = true;
        }
        let (mut kept, mut out) = (Self::empty(), Self::empty());
        for ((item, name), held) in self.items.into_iter().zip(self.names).zip(held) {
            let side = if held { &mut out } else { &mut kept };
            side.items.push(item);
            side.names.push(name);
        }
        (kept, out)
    }
}

/// A row that can be hashed by the tokens it trains on.
pub trait TokenRow {
    /// The lists of tokens the row is made of, in a fixed order.
    fn token_lists(&self) -> Vec<&[u32]>;

    /// What else decides the training on this row, such as the answer of a problem.
    fn text(&self) -> Option<&str> {
        None
    }
}

impl TokenRow for EncodedPair {
    fn token_lists(&self) -> Vec<&[u32]> {
        vec![&self.prompt_ids, &self.chosen_ids, &self.rejected_ids]
    }
}

impl TokenRow for EncodedCompletion {
    fn token_lists(&self) -> Vec<&[u32]> {
        let mut lists: Vec<&[u32]> = vec![&self.prompt_ids, &self.completion_ids];
        if !self.skipped.is_empty() {
            lists.push(&self.skipped);
        }
        lists
    }
}

impl TokenRow for EncodedLabelled {
    fn token_lists(&self) -> Vec<&[u32]> {
        self.completion.token_lists()
    }

    fn text(&self) -> Option<&str> {
        Some(match self.label {
            Label::Desirable => "desirable",
            Label::Undesirable => "undesirable",
        })
    }
}

/// SHA-256 over the tokens and texts of all rows, lengths included: equal only for equal rows in equal order.
pub fn fingerprint<'a, T: TokenRow + 'a>(sets: impl IntoIterator<Item = &'a [T]>) -> String {
    let mut hash = Sha256Hasher::new();
    for set in sets {
        hash.update((set.len() as u64).to_le_bytes());
        for row in set {
            for list in row.token_lists() {
                hash.update((list.len() as u64).to_le_bytes());
                for id in list {
                    hash.update(id.to_le_bytes());
                }
            }
            if let Some(text) = row.text() {
                hash.update((text.chars().count() as u64).to_le_bytes());
                for character in text.chars() {
                    hash.update(u32::from(character).to_le_bytes());
                }
            }
        }
    }
    hash.hex()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Boundary;

    fn row(prompt: &[u32], completion: &[u32]) -> EncodedCompletion {
        EncodedCompletion {
            prompt_ids: prompt.to_vec(),
            completion_ids: completion.to_vec(),
            boundary: Boundary::Joint,
            skipped: Vec::new(),
            truncated: false,
        }
    }

    #[test]
    fn rows_of_a_file_share_its_name() {
        let files: [Arc<Path>; 2] = [Path::new("a/b.jsonl").into(), Path::new("c").into()];
        let loaded = Loaded {
            items: vec![(); 3],
            lines: vec![4, 5, 6],
            files: vec![files[0].clone(), files[0].clone(), files[1].clone()],
            report: crate::data::DataReport::new(&files[0]),
        };
        let names = RowSet::from(loaded).names;
        let shown: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a/b.jsonl:4", "a/b.jsonl:5", "c:6"]);
        assert!(Arc::ptr_eq(&names[0].file, &names[1].file));
        assert_eq!(shown.into_iter().map(RowName::from).collect::<Vec<_>>(), names);
        assert_eq!((RowName::from("text").line(), names[2].line()), (None, Some(6)));
    }

    #[test]
    fn holding_out_divides_the_rows() {
        let set = RowSet {
            items: (0..20).collect(),
            names: (0..20).map(|line| format!("f:{line}").into()).collect(),
        };
        let (kept, held) = set.clone().hold_out(0.25, 3);
        assert_eq!((kept.len(), held.len()), (15, 5));
        let mut all: Vec<u32> = kept.items.iter().chain(&held.items).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
        assert!(held.items.is_sorted() && kept.items.is_sorted());
        assert_eq!(set.clone().hold_out(0.25, 3).1, held, "the seed decides");
        assert_ne!(set.clone().hold_out(0.25, 4).1, held);
        assert!(set.hold_out(0.0, 3).1.is_empty());
    }

    #[test]
    fn a_moved_boundary_changes_the_fingerprint() {
        let one = [row(&[1, 2], &[3])];
        let other = [row(&[1], &[2, 3])];
        assert_ne!(fingerprint([&one[..]]), fingerprint([&other[..]]));
        assert_ne!(fingerprint([&one[..], &[]]), fingerprint([&[], &one[..]]));
        assert_eq!(fingerprint([&one[..]]), fingerprint([&one.clone()[..]]));
    }
}
