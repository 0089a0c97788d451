//! LongChat-Lines: one value in a record of lines (Giraffe, arXiv 2308.10882, section 4; first in
//! `LongEval`).
//!
//! A record has lines `line {key}: REGISTER_CONTENT is <{value}>`, keys `adjective-noun`, values
//! uniform in 1..=50000, and a question for the value of one key. Header and question have the
//! wording of the published rows (`DachengLi1/LongChat`, Apache-2.0), byte for byte. The 200- to
//! 600-line files of that project end the question with one more space than its 700-line file and
//! than is written here.
//!
//! Keys come from word lists of our own. No two lines of a record share a key; in records of up to
//! 25,000 lines none share a value either, so that no other line's value can pass for the answer.
//! Keys of held-out records never occur in training records.

mod published;
pub(super) mod words;

use std::collections::HashSet;
use std::fmt::Write;

pub use published::LongChatRow;

use super::case::prompt;
use super::length::{Fill, MAX_LENGTH, TokenCounter, fit};
use super::{
    AnswerRule, DepthTarget, LongContextError, QuestionPosition, RetrievalCase, RetrievalTask,
    Variant,
};
use crate::rng::{SeededRng, Split, split_of};

/// Largest value of a line.
const MAX_VALUE: u32 = 50_000;

/// Largest number of lines in a record.
pub const MAX_LINES: usize = 200_000;

/// Records of more lines have keys of two adjectives and a noun.
const SHORT_KEYS: usize = 2_000;

/// Records of at most this many lines have no value twice.
const DISTINCT_VALUES: usize = 25_000;

/// The text before the lines, with the blank line after it.
const HEADER: &str = "Below is a record of lines I want you to remember. Each line begins with \
    'line <line index>' and contains a '<REGISTER_CONTENT>' at the end of the line as a numerical \
    value. For each line index, memorize its corresponding <REGISTER_CONTENT>. At the end of the \
    record, I will ask you to retrieve the corresponding <REGISTER_CONTENT> of a certain line \
    index. Now the record start:\n\n";

/// The text after the lines, with `{random_idx}` for the key.
const QUESTION: &str = "\nNow the record is over. Tell me what is the <REGISTER_CONTENT> in \
    line {random_idx}? I need the number.";

/// A record of lines, one of which is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRecord {
    /// Keys and values, in order.
    pub lines: Vec<(String, u32)>,
    /// Index of the line asked for, from 0.
    pub target: usize,
    depth: DepthKey,
    item: u64,
    fitted: Option<(usize, usize)>,
}

/// The parts of a depth target that a case reports, in a form that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DepthKey {
    bits: Option<u64>,
    placement: Option<super::Placement>,
}

impl LineRecord {
    /// Record number `item` of `seed` with `count` lines.
    ///
    /// # Errors
    /// [`LongContextError::Setting`] for a count outside 1 to [`MAX_LINES`] and a depth outside
    /// 0 to 1.
    pub fn generate(
        seed: u64,
        item: u64,
        split: Split,
        count: usize,
        depth: DepthTarget,
    ) -> Result<Self, LongContextError> {
        if count == 0 || count > MAX_LINES {
            return Err(LongContextError::Setting {
                setting: "lines",
                found: count.to_string(),
                expected: format!("1 to {MAX_LINES}"),
            });
        }
        check_depth(depth)?;
        let mut source = LineSource::new(seed, item, split, count);
        let lines = (0..count).map(|_| source.next_line()).collect();
        let target = depth.index(count, source.share);
        Ok(Self { lines, target, depth: depth_key(depth), item, fitted: None })
    }

    /// Record number `item` of `seed` with as many lines as fit into `length` tokens.
    ///
    /// # Errors
    /// [`LongContextError::TooShort`] if no line fits.
    pub fn generate_to_length(
        seed: u64,
        item: u64,
        split: Split,
        length: usize,
        depth: DepthTarget,
        counter: &dyn TokenCounter,
    ) -> Result<Self, LongContextError> {
        check_depth(depth)?;
        check_length(length)?;
        let first = LineSource::new(seed, item, split, 1).next_line();
        let expected = length / counter.count(&line(&first)).max(1) + 1;
        let source = LineSource::new(seed, item, split, expected);
        let share = source.share;
        let mut filling =
            Filling { source, lines: Vec::new(), costs: Vec::new(), depth, share, counter };
        let too_short = |needed| LongContextError::TooShort {
            task: RetrievalTask::LongchatLines,
            length,
            needed,
        };
        let (more, tokens) = fit(&mut filling, length).map_err(too_short)?;
        let count = more + 1;
        let mut lines = filling.lines;
        lines.truncate(count);
        let target = depth.index(count, share);
        Ok(Self { lines, target, depth: depth_key(depth), item, fitted: Some((length, tokens)) })
    }

    /// The line asked for.
    fn target_line(&self) -> (&str, u32) {
        self.lines.get(self.target).map_or(("", 0), |(key, value)| (key.as_str(), *value))
    }

    /// The record with header and question.
    pub fn text(&self) -> String {
        render(&self.lines, self.target_line().0)
    }

    /// The record as a case, scored by the first run of digits as the paper does.
    pub fn case(&self, chat: bool) -> RetrievalCase {
        let last = self.lines.len().saturating_sub(1);
        RetrievalCase {
            task: RetrievalTask::LongchatLines,
            prompt: prompt(self.text(), chat),
            answers: vec![self.target_line().1.to_string()],
            rule: AnswerRule::FirstInteger,
            length_target: self.fitted.map(|(length, _)| length),
            tokens: self.fitted.map(|(_, tokens)| tokens),
            depth: Some(if last == 0 { 0.0 } else { self.target as f64 / last as f64 }),
            depth_target: self.depth.bits.map(f64::from_bits),
            variant: Variant { placement: self.depth.placement, question: QuestionPosition::After },
            item: self.item as usize,
        }
    }
}

fn depth_key(depth: DepthTarget) -> DepthKey {
    DepthKey { bits: depth.depth().map(f64::to_bits), placement: depth.placement() }
}

/// A depth within 0 to 1, or an error.
pub(super) fn check_depth(depth: DepthTarget) -> Result<(), LongContextError> {
    match depth.depth() {
        Some(depth) if !(0.0..=1.0).contains(&depth) => Err(LongContextError::Setting {
            setting: "depth",
            found: depth.to_string(),
            expected: "0 (beginning) to 1 (end)".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// A length within 1 to [`MAX_LENGTH`], or an error.
pub(super) fn check_length(length: usize) -> Result<(), LongContextError> {
    if (1..=MAX_LENGTH).contains(&length) {
        return Ok(());
    }
    Err(LongContextError::Setting {
        setting: "length",
        found: length.to_string(),
        expected: format!("1 to {MAX_LENGTH} tokens"),
    })
}

fn line((key, value): &(String, u32)) -> String {
    format!("line {key}: REGISTER_CONTENT is <{value}>\n")
}

fn render(lines: &[(String, u32)], key: &str) -> String {
    let mut text = String::with_capacity(HEADER.len() + QUESTION.len() + lines.len() * 56);
    text.push_str(HEADER);
    for (key, value) in lines {
        let _ = writeln!(text, "line {key}: REGISTER_CONTENT is <{value}>");
    }
    text.push_str(&QUESTION.replace("{random_idx}", key));
    text
}

/// Endless lines of one record.
struct LineSource {
    rng: SeededRng,
    split: Split,
    long_keys: bool,
    keys: HashSet<String>,
    values: HashSet<u32>,
    /// The random number that decides the target.
    share: f64,
}

impl LineSource {
    fn new(seed: u64, item: u64, split: Split, expected: usize) -> Self {
        // A stream of its own for the target, so that it is the same at every length.
        let share = SeededRng::new(seed, item.wrapping_mul(2) | 1).share();
        Self {
            rng: SeededRng::new(seed, item.wrapping_mul(2)),
            split,
            long_keys: expected > SHORT_KEYS,
            keys: HashSet::new(),
            values: HashSet::new(),
            share,
        }
    }

    fn next_line(&mut self) -> (String, u32) {
        (self.key(), self.value())
    }

    fn key(&mut self) -> String {
        let (adjectives, nouns) = (words::adjectives(), words::nouns());
        // More lines than were expected: pairs run out long after this.
        self.long_keys |= self.keys.len() >= 2 * SHORT_KEYS;
        loop {
            let mut key = String::new();
            for _ in 0..=usize::from(self.long_keys) {
                key.push_str(adjectives[self.rng.index(adjectives.len())]);
                key.push('-');
            }
            key.push_str(nouns[self.rng.index(nouns.len())]);
            if split_of(&key) == self.split && self.keys.insert(key.clone()) {
                return key;
            }
        }
    }

    fn value(&mut self) -> u32 {
        loop {
            let value = self.rng.between(1, i64::from(MAX_VALUE)) as u32;
            if self.values.len() >= DISTINCT_VALUES || self.values.insert(value) {
                return value;
            }
        }
    }
}

/// A record that grows; its first line is always there, the units are the others.
struct Filling<'a> {
    source: LineSource,
    lines: Vec<(String, u32)>,
    costs: Vec<usize>,
    depth: DepthTarget,
    share: f64,
    counter: &'a dyn TokenCounter,
}

impl Filling<'_> {
    fn reach(&mut self, count: usize) {
        while self.lines.len() < count {
            let next = self.source.next_line();
            self.costs.push(self.counter.count(&line(&next)));
            self.lines.push(next);
        }
    }
}

impl Fill for Filling<'_> {
    fn cost(&mut self, index: usize) -> Option<usize> {
        (index + 1 < MAX_LINES).then(|| {
            self.reach(index + 2);
            self.costs[index + 1]
        })
    }

    fn total(&mut self, units: usize) -> usize {
        let count = units + 1;
        self.reach(count);
        let target = self.depth.index(count, self.share);
        self.counter.count(&render(&self.lines[..count], &self.lines[target].0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Placement, count_words};
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn sha256(text: &str) -> String {
        Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    #[test]
    fn the_wording_is_that_of_the_published_rows() {
        assert_eq!(HEADER.len(), 380);
        assert_eq!(
            sha256(HEADER),
            "aa659071484ecae831fca6d72968fa4caf5eff152cdce29a15d3f484fe968742"
        );
        assert_eq!(QUESTION.len(), 104);
        assert_eq!(
            sha256(QUESTION),
            "d5ddcf9d29e775fb9609f00bfca0ddd24d7600b04f0a1861e7ca1494c5f9c79e"
        );
    }

    #[test]
    fn a_record_reads_as_published() {
        let record = LineRecord {
            lines: vec![("torpid-kid".into(), 2416), ("muddy-rat".into(), 6702)],
            target: 1,
            depth: depth_key(DepthTarget::Uniform),
            item: 0,
            fitted: None,
        };
        assert_eq!(
            record.text().strip_prefix(HEADER).unwrap(),
            "line torpid-kid: REGISTER_CONTENT is <2416>\nline muddy-rat: REGISTER_CONTENT is <6702>\n\
             \nNow the record is over. Tell me what is the <REGISTER_CONTENT> in line muddy-rat? \
             I need the number."
        );
    }

    #[test]
    fn long_records_have_unique_keys_in_both_splits() {
        for (split, count) in
            [(Split::HeldOut, 2000), (Split::HeldOut, 30_000), (Split::Train, 30_000)]
        {
            let record = LineRecord::generate(3, 1, split, count, DepthTarget::Uniform).unwrap();
            let keys: HashSet<&str> = record.lines.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(keys.len(), count);
            assert!(keys.iter().all(|key| split_of(key) == split));
        }
    }

    #[test]
    fn values_are_uniform_and_targets_too() {
        let (mut values, mut targets) = ([0_u32; 5], [0_u32; 5]);
        for item in 0..500 {
            let record =
                LineRecord::generate(5, item, Split::Train, 20, DepthTarget::Uniform).unwrap();
            for (_, value) in &record.lines {
                assert!((1..=MAX_VALUE).contains(value));
                values[(*value as usize - 1) / 10_000] += 1;
            }
            targets[record.target / 4] += 1;
        }
        // Binomial(10000, 1/5): 2000 ± 40; binomial(500, 1/5): 100 ± 9; five deviations each.
        assert!(values.iter().all(|count| (1800..2200).contains(count)), "{values:?}");
        assert!(targets.iter().all(|count| (55..145).contains(count)), "{targets:?}");
    }

    #[test]
    fn bad_settings_are_named() {
        let error = LineRecord::generate(0, 0, Split::Train, 0, DepthTarget::Uniform).unwrap_err();
        assert_eq!(error.to_string(), "lines is 0, expected 1 to 200000");
        for depth in [-0.1, 1.1, f64::NAN] {
            let error =
                LineRecord::generate(0, 0, Split::Train, 5, DepthTarget::At(depth)).unwrap_err();
            assert!(error.to_string().starts_with("depth is "), "{error}");
        }
        let at = |length| {
            LineRecord::generate_to_length(
                0,
                0,
                Split::Train,
                length,
                DepthTarget::Uniform,
                &count_words,
            )
        };
        assert!(matches!(at(0), Err(LongContextError::Setting { .. })));
        assert!(matches!(at(MAX_LENGTH + 1), Err(LongContextError::Setting { .. })));
        let Err(LongContextError::TooShort { needed, length: 20, .. }) = at(20) else {
            panic!("expected a length that is too short");
        };
        assert_eq!(at(needed).unwrap().lines.len(), 1);
    }

    /// A counter whose counts do not add up: one token begins at every fourth letter.
    fn count_letters(text: &str) -> usize {
        text.chars().count().div_ceil(4)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn prompts_fill_their_length(seed in any::<u64>(), item in 0_u64..50, length in 150_usize..3000, which in 0..2) {
            let counter: &dyn TokenCounter = if which == 0 { &count_words } else { &count_letters };
            let record = LineRecord::generate_to_length(seed, item, Split::HeldOut, length, DepthTarget::Uniform, counter).unwrap();
            let case = record.case(false);
            let tokens = counter.count(case.prompt.last_text());
            prop_assert_eq!(case.tokens, Some(tokens));
            prop_assert!(tokens <= length);
            // No line is longer than 24 of either counter's tokens.
            prop_assert!(length - tokens < 24, "{} of {}", tokens, length);
            let again = LineRecord::generate_to_length(seed, item, Split::HeldOut, length, DepthTarget::Uniform, counter).unwrap();
            prop_assert_eq!(&record, &again);
            // A shorter record is the beginning of a longer one.
            let counted = LineRecord::generate(seed, item, Split::HeldOut, record.lines.len(), DepthTarget::Uniform).unwrap();
            prop_assert_eq!(counted.lines, record.lines);
        }

        #[test]
        fn the_target_stands_once_and_where_asked(seed in any::<u64>(), count in 4_usize..400, place in 0_usize..3, depth in 0.0..=1.0_f64) {
            let placement = Placement::ALL[place];
            let record = LineRecord::generate(seed, 0, Split::Train, count, DepthTarget::Placement(placement)).unwrap();
            let case = record.case(true);
            prop_assert!(placement.holds(case.depth.unwrap()));
            let (key, value) = &record.lines[record.target];
            let text = case.prompt.last_text();
            prop_assert_eq!(text.matches(&format!("line {key}: ")).count(), 1);
            prop_assert_eq!(text.matches(&format!("<{value}>")).count(), 1);
            let end = format!(" in line {key}? I need the number.");
            prop_assert!(text.ends_with(&end));
            let said = format!(" The number in line {key} is <{value}>.");
            prop_assert!(case.score(&said).correct);
            let record = LineRecord::generate(seed, 0, Split::Train, count, DepthTarget::At(depth)).unwrap();
            let off = (record.case(false).depth.unwrap() - depth).abs();
            prop_assert!(off <= 0.5 / (count - 1) as f64 + 1e-9);
        }
    }
}
