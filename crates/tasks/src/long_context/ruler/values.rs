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

/// A source of keys and values.
#[derive(Debug)]
pub(super) struct Drawn {
    rng: SeededRng,
    /// What needles that may be asked for say.
    hidden: HashSet<String>,
    /// What needles of the hay say.
    hay: HashSet<String>,
}

impl Drawn {
    pub(super) fn new(rng: SeededRng) -> Self {
        Self { rng, hidden: HashSet::new(), hay: HashSet::new() }
    }

    /// A new one to hide, which `text` does not contain.
    pub(super) fn hidden(&mut self, value: Value, text: &str) -> String {
        loop {
            let drawn = value.draw(&mut self.rng);
            if !text.contains(&drawn) && self.hidden.insert(drawn.clone()) {
                return drawn;
            }
        }
    }

    /// One for the hay: new, unless words run out in a very long list of needles, and never one that is
    /// hidden.
    pub(super) fn hay(&mut self, value: Value) -> String {
        loop {
            let drawn = value.draw(&mut self.rng);
            let exhausted =
                self.hidden.len() + self.hay.len() > adjectives().len() * nouns().len() / 2;
            if !self.hidden.contains(&drawn) && (self.hay.insert(drawn.clone()) || exhausted) {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_key_never_comes_again_however_long_the_hay_is() {
        let mut drawn = Drawn::new(SeededRng::new(1, 0));
        let hidden: HashSet<String> = (0..50).map(|_| drawn.hidden(Value::Words, "")).collect();
        assert_eq!(hidden.len(), 50);
        let all = adjectives().len() * nouns().len();
        let hay: Vec<String> = (0..2 * all).map(|_| drawn.hay(Value::Words)).collect();
        assert!(hay.iter().all(|word| !hidden.contains(word)));
        // Words come again once they run out, and not before.
        let different = |words: &[String]| words.iter().collect::<HashSet<_>>().len();
        assert_eq!(different(&hay[..all / 2 - 50]), all / 2 - 50);
        assert!(different(&hay) < hay.len());
    }
}
