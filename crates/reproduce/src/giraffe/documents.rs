//! Documents for the small model: running text with records in it, and questions about them.
//!
//! A record is one sign for a key with its value; the text between is drawn letter by letter from the
//! two letters before. Everything that a question asks for stands in the document once, and only
//! there. Key and value are one sign because a small model finds such a sign after some hundred
//! steps, where the value that follows a key takes it many thousands.

use std::sync::LazyLock;

use bestof_tasks::long_context::{
    AnswerRule, QuestionPosition, RetrievalCase, RetrievalTask, Variant,
};
use bestof_tasks::rng::{SeededRng, stable_hash};
use bestof_tasks::rows::{CompletionRow, Content};

/// What running text is written with.
const LETTERS: &str = "abcdefghijkl";
/// What a question begins with.
const ASKS: char = '?';
/// A sign for each key; a document has each at most once.
const KEYS: &str = "ABCDEFGHIJKLMNOPQRSTUVWX";
/// A sign for each value: the numbers 1 to 10.
const VALUES: &str = "①②③④⑤⑥⑦⑧⑨⑩";
/// The sign of the first key with the first value; the others follow, values first.
const FIRST_RECORD: u32 = '一' as u32;

/// Every sign, as the tokenizer of the small model has them.
pub(super) fn alphabet() -> &'static str {
    static SIGNS: LazyLock<String> = LazyLock::new(|| {
        let count = KEYS.chars().count() * VALUES.chars().count();
        let records = (0..count as u32).filter_map(|at| char::from_u32(FIRST_RECORD + at));
        format!("{LETTERS}{ASKS}{KEYS}{VALUES}").chars().chain(records).collect()
    });
    &SIGNS
}

/// The record of a key and a value, by their places.
fn record(key: usize, value: usize) -> char {
    let at = key * VALUES.chars().count() + value;
    char::from_u32(FIRST_RECORD + at as u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Tokens from one record to the next in the documents that questions are asked about, unless keys
/// would run out.
const SLOT: usize = 8;
/// The same in rows to learn from, one of these for each.
const SLOTS: [usize; 5] = [2, 3, 4, 8, 16];
/// One row in so many is learned whole, the others their answers alone.
const WHOLE: usize = 4;
/// Tokens of a question with its answer.
const QUESTION: usize = 3;
/// Tokens that begin and end a row.
const ENDS: usize = 2;

/// How likely a letter is followed by each of its four successors, in percent.
const SUCCESSORS: [usize; 4] = [60, 25, 10, 5];

/// A document with its records in their order.
#[derive(Debug, Clone)]
struct Document {
    text: Vec<char>,
    records: Vec<(char, char)>,
}

impl Document {
    /// Of this many signs, with a record in each whole slot.
    fn draw(draw: &mut SeededRng, length: usize, slot: usize) -> Self {
        let (keys, values, letters): (Vec<char>, Vec<char>, Vec<char>) =
            (KEYS.chars().collect(), VALUES.chars().collect(), LETTERS.chars().collect());
        let chosen = draw.sample(keys.len(), (length / slot).min(keys.len()));
        let mut chosen = chosen.into_iter();
        let mut before = (draw.index(letters.len()), draw.index(letters.len()));
        let (mut text, mut records) = (Vec::with_capacity(length), Vec::new());
        while text.len() < length {
            let whole_slot = text.len() + slot <= length;
            if let Some(key) = chosen.next().filter(|_| whole_slot) {
                let value = draw.index(values.len());
                records.push((keys[key], values[value]));
                text.push(record(key, value));
            }
            let end = (text.len() / slot * slot + slot).min(length);
            while text.len() < end {
                let next = successor(draw, before, letters.len());
                before = (before.1, next);
                text.push(letters[next]);
            }
        }
        Self { text, records }
    }

    fn text(&self) -> String {
        self.text.iter().collect()
    }
}

/// The letter after two others: one of four that these decide upon.
fn successor(draw: &mut SeededRng, before: (usize, usize), letters: usize) -> usize {
    let mut at = draw.index(SUCCESSORS.iter().sum());
    let mut which = 0;
    while at >= SUCCESSORS[which] {
        at -= SUCCESSORS[which];
        which += 1;
    }
    let context = format!("{} {} {which}", before.0, before.1);
    stable_hash(&context) as usize % letters
}

/// A row to learn from, at most `longest` tokens with those at its ends: a document, and questions
/// about all of its records in any order.
///
/// Many rows are short: that a value comes out of the document is found there first. The first sign
/// is the prompt, so that everything after it is learned.
pub(super) fn training_row(draw: &mut SeededRng, shortest: usize, longest: usize) -> CompletionRow {
    let upper = shortest + draw.index(longest - shortest + 1);
    let length = if draw.one_in(2) { upper } else { shortest + draw.index(upper - shortest + 1) };
    let slot = SLOTS[draw.index(SLOTS.len())];
    let questions = ((length - ENDS) / (slot + QUESTION)).min(KEYS.chars().count());
    let document = Document::draw(draw, length - ENDS - questions * QUESTION, slot);
    let mut text = document.text();
    for at in draw.sample(document.records.len(), questions) {
        let (key, value) = document.records[at];
        text.extend([ASKS, key, value]);
    }
    let learned = if questions == 0 || draw.one_in(WHOLE) { 1 } else { document.text.len() };
    let split = text.char_indices().nth(learned).map_or(text.len(), |(at, _)| at);
    CompletionRow::new(&text[..split], &text[split..])
}

/// Tokens from one record to the next, where at most five keys in six are used.
fn slot_for(length: usize) -> usize {
    SLOT.max(length.div_ceil(KEYS.chars().count() * 5 / 6))
}

/// A question about the record at `depth` (0 the first, 1 the last) of a document, prompt and
/// answer `length` tokens together.
pub(super) fn case(draw: &mut SeededRng, length: usize, depth: f64, item: usize) -> RetrievalCase {
    let document = Document::draw(draw, length - 1 - QUESTION, slot_for(length));
    let last = document.records.len().saturating_sub(1);
    let at = (depth * last as f64).round() as usize;
    let (key, value) = document.records[at];
    RetrievalCase {
        task: RetrievalTask::LongchatLines,
        prompt: Content::Text(format!("{}{ASKS}{key}", document.text())),
        answers: vec![value.to_string()],
        rule: AnswerRule::Presence,
        length_target: Some(length),
        tokens: Some(length - 1),
        depth: Some(depth),
        depth_target: Some(depth),
        variant: Variant { placement: None, question: QuestionPosition::After },
        item,
    }
}

/// Running text of this many signs, records in it and no question.
pub(super) fn long_text(draw: &mut SeededRng, length: usize) -> String {
    Document::draw(draw, length, slot_for(length)).text()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_alphabet_has_every_sign_once() {
        let signs: HashSet<char> = alphabet().chars().collect();
        assert_eq!(signs.len(), alphabet().chars().count());
        assert_eq!(signs.len(), 12 + 1 + 24 + 10 + 240);
        assert!(signs.contains(&record(23, 9)) && !signs.contains(&record(24, 0)));
    }

    /// The record that a key and its value ask for.
    fn record_of(question: &str) -> char {
        let [key, value] =
            [KEYS, VALUES].map(|signs| signs.find(|c| question.contains(c)).unwrap());
        record(key, value / 3)
    }

    #[test]
    fn rows_ask_about_records_of_their_document_and_fit() {
        let mut draw = SeededRng::new(1, 0);
        for _ in 0..200 {
            let row = training_row(&mut draw, 16, 128);
            let text = format!("{}{}", row.prompt.last_text(), row.completion.last_text());
            let tokens = text.chars().count() + ENDS;
            assert!((16..=128).contains(&tokens), "{tokens}");
            let Some((document, questions)) = text.split_once(ASKS) else { continue };
            let mut asked = HashSet::new();
            for question in questions.split(ASKS) {
                assert_eq!(document.matches(record_of(question)).count(), 1, "{text}");
                assert!(asked.insert(question.to_owned()));
            }
        }
    }

    #[test]
    fn a_case_asks_for_the_record_at_its_depth() {
        for (length, depth) in [(128, 0.0), (128, 0.5), (256, 1.0), (1024, 0.25)] {
            let case = case(&mut SeededRng::new(2, 0), length, depth, 0);
            let prompt = case.prompt.last_text();
            assert_eq!(prompt.chars().count() + 2, length);
            let (document, key) = prompt.split_once(ASKS).unwrap();
            let asked = record_of(&format!("{key}{}", case.answers[0]));
            let at = document.chars().position(|sign| sign == asked).unwrap();
            let share = at as f64 / document.chars().count() as f64;
            assert!((share - depth).abs() < 0.15, "{share} {depth}");
            assert!(case.score(&case.answers[0]).correct);
            assert!(!case.score("a").correct);
        }
    }
}
