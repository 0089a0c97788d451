//! Keys and values of needles.

use std::collections::HashSet;

use super::super::lines::words::{adjectives, nouns};
use crate::rng::SeededRng;

/// What a key or a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// `adjective-noun`.
    Words,
    /// Seven digits.
    Numbers,
    /// A random UUID (version 4).
    Uuids,
}

impl Value {
    /// As a prompt says it, of several or of one.
    pub(super) fn name(self, plural: bool) -> &'static str {
        match (self, plural) {
            (Self::Words, true) => "words",
            (Self::Words, false) => "word",
            (Self::Numbers, true) => "numbers",
            (Self::Numbers, false) => "number",
            (Self::Uuids, true) => "uuids",
            (Self::Uuids, false) => "uuid",
        }
    }

    fn draw(self, rng: &mut SeededRng) -> String {
        match self {
            Self::Words => {
                let adjective = adjectives()[rng.index(adjectives().len())];
                format!("{adjective}-{}", nouns()[rng.index(nouns().len())])
            }
            Self::Numbers => rng.between(1_000_000, 9_999_999).to_string(),
            Self::Uuids => uuid(rng),
        }
    }
}

fn uuid(rng: &mut SeededRng) -> String {
    let mut part = |digits: u32| rng.index(1_usize << (4 * digits));
    let (a, b, c, d, e) = (part(8), part(4), part(3), part(4), part(12));
    format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{e:012x}", d & 0x3fff | 0x8000)
}

/// A source of keys and values, all different.
#[derive(Debug)]
pub(super) struct Drawn {
    rng: SeededRng,
    seen: HashSet<String>,
}

impl Drawn {
    pub(super) fn new(rng: SeededRng) -> Self {
        Self { rng, seen: HashSet::new() }
    }

    /// A new one that `text` does not contain.
    pub(super) fn next(&mut self, value: Value, text: &str) -> String {
        loop {
            let drawn = value.draw(&mut self.rng);
            // Words may run out in a very long list of needles, and may then come again.
            let exhausted = self.seen.len() > adjectives().len() * nouns().len() / 2;
            if !text.contains(&drawn) && (self.seen.insert(drawn.clone()) || exhausted) {
                return drawn;
            }
        }
    }
}
