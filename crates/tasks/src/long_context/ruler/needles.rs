//! Needles in a haystack (`niah_*`).

use super::super::DepthTarget;
use super::super::length::TokenCounter;
use super::Essay;
use super::filling::{Filling, Rendered};
use super::values::{Drawn, Value};
use crate::rng::SeededRng;

/// RULER's repeated line.
pub(super) const NOISE: &str =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

/// Depths that needles in running text are put at, as in RULER: 40 from 0 to 1, none twice.
const DEPTHS: usize = 40;

/// What a haystack is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haystack {
    /// The same line over and over.
    Noise,
    /// Running text.
    Essay,
    /// Needles that are not asked for.
    Needles,
}

/// What is hidden in what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Needles {
    pub(super) haystack: Haystack,
    pub(super) key: Value,
    pub(super) value: Value,
    /// Keys in the text, besides those of a haystack of needles.
    pub(super) keys: usize,
    /// Values of each key.
    pub(super) values: usize,
    /// Keys that are asked for.
    pub(super) queries: usize,
}

/// Needles with a haystack of any length.
pub(super) struct NeedlePrompt<'a> {
    kind: Needles,
    /// Needles with their shares of the way through, the earliest first.
    needles: Vec<(f64, String)>,
    /// The one needle asked for, among them.
    target: Option<usize>,
    query: String,
    outputs: Vec<String>,
    essay: &'a mut Essay,
    /// Needles that are not asked for.
    others: Vec<String>,
    drawn: Drawn,
}

fn needle(kind: Needles, key: &str, value: &str) -> String {
    format!("One of the special magic {} for {key} is: {value}.", kind.value.name(true))
}

impl<'a> NeedlePrompt<'a> {
    /// The needles of a case, from a stream for what they say and one for where they stand; `hay` is
    /// the running text in which they must not occur.
    pub(super) fn new(
        kind: Needles,
        [drawn, mut rng]: [SeededRng; 2],
        depth: DepthTarget,
        essay: &'a mut Essay,
        hay: &str,
    ) -> Self {
        let mut drawn = Drawn::new(drawn);
        let mut keys = Vec::new();
        for _ in 0..kind.keys {
            let key = drawn.hidden(kind.key, hay);
            let values: Vec<String> =
                (0..kind.values).map(|_| drawn.hidden(kind.value, hay)).collect();
            keys.push((key, values));
        }
        let asked = rng.sample(kind.keys, kind.queries);
        let count = kind.keys * kind.values;
        let mut shares: Vec<f64> = match kind.haystack {
            Haystack::Essay => {
                let depths = rng.sample(DEPTHS, count).into_iter();
                // Whole percents, as RULER rounds them.
                depths.map(|d| (d as f64 * 100.0 / 39.0).round() / 100.0).collect()
            }
            _ => (0..count).map(|_| rng.share()).collect(),
        };
        let single = kind.queries * kind.values == 1;
        if single && !matches!(depth, DepthTarget::Uniform) {
            shares[asked[0]] = depth.aim(rng.share());
        }
        let mut placed: Vec<(f64, usize, String)> = Vec::new();
        for (number, (key, values)) in keys.iter().enumerate() {
            for value in values {
                placed.push((shares[placed.len()], number, needle(kind, key, value)));
            }
        }
        placed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let target = placed.iter().position(|(_, number, _)| *number == asked[0]);
        let queries: Vec<&str> = asked.iter().map(|&index| keys[index].0.as_str()).collect();
        let query = match queries.as_slice() {
            [first @ .., last] if !first.is_empty() => format!("{}, and {last}", first.join(", ")),
            _ => queries.concat(),
        };
        Self {
            kind,
            target: target.filter(|_| single),
            query,
            outputs: asked.iter().flat_map(|&index| keys[index].1.clone()).collect(),
            needles: placed.into_iter().map(|(share, _, text)| (share, text)).collect(),
            essay,
            others: Vec::new(),
            drawn,
        }
    }

    pub(super) fn outputs(&self) -> Vec<String> {
        self.outputs.clone()
    }

    fn other(&mut self, index: usize) -> &str {
        while self.others.len() <= index {
            let key = self.drawn.hay(self.kind.key);
            let value = self.drawn.hay(self.kind.value);
            self.others.push(needle(self.kind, &key, &value));
        }
        &self.others[index]
    }

    /// The pieces that needles go between.
    fn hay(&mut self, units: usize) -> Vec<String> {
        match self.kind.haystack {
            Haystack::Noise => vec![NOISE.to_owned(); units],
            Haystack::Essay => self.essay.sentences(units),
            Haystack::Needles => (0..units).map(|index| self.other(index).to_owned()).collect(),
        }
    }
}

impl Filling for NeedlePrompt<'_> {
    fn cost(&mut self, index: usize, counter: &dyn TokenCounter) -> Option<usize> {
        Some(match self.kind.haystack {
            Haystack::Noise => counter.count(&format!("{NOISE}\n")),
            Haystack::Essay => counter.count(&format!(" {}", self.essay.word(index))),
            Haystack::Needles => counter.count(&format!("{}\n", self.other(index))),
        })
    }

    fn render(&mut self, units: usize) -> Rendered {
        let hay = self.hay(units);
        let mut pieces: Vec<&str> = Vec::with_capacity(hay.len() + self.needles.len());
        let (mut next, mut depth) = (0, 0.0);
        for (number, (share, needle)) in self.needles.iter().enumerate() {
            let place = (share * hay.len() as f64).round() as usize;
            pieces.extend(hay[next..place].iter().map(String::as_str));
            pieces.push(needle);
            next = place;
            if self.target == Some(number) && !hay.is_empty() {
                depth = place as f64 / hay.len() as f64;
            }
        }
        pieces.extend(hay[next..].iter().map(String::as_str));
        let joint = if self.kind.haystack == Haystack::Essay { " " } else { "\n" };
        let context = pieces.join(joint);
        let query = &self.query;
        let plural = self.kind.queries * self.kind.values > 1;
        let name = self.kind.value.name(plural);
        let (some, are, all) = if plural { ("Some", "are", "are all") } else { ("A", "is", "is") };
        Rendered {
            input: format!(
                "{some} special magic {name} {are} hidden within the following text. Make sure to \
                 memorize it. I will quiz you about the {name} afterwards.\n{context}\nWhat {all} the \
                 special magic {name} for {query} mentioned in the provided text?"
            ),
            answer_prefix: format!(
                " The special magic {name} for {query} mentioned in the provided text {are}"
            ),
            depth: self.target.map(|_| depth),
        }
    }
}
