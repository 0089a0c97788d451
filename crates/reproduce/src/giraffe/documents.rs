//! Documents for the small model: records that have to be read, running text between them, and
//! questions about the records.
//!
//! A record is a key of two letters and then a value of two digits: to look a value up, a model has
//! to find where both letters of the key stand, and read what follows. Everything that a question
//! asks for stands in the document once, and only there.

use bestof_tasks::rng::{SeededRng, stable_hash};

use crate::SmallLlama;

/// What running text is written with.
const TEXT: &str = "abcdefghijkl";
/// What a question begins with.
const ASKS: &str = "?";
/// What keys are written with; there are 256.
const KEYS: &str = "ABCDEFGHIJKLMNOP";
/// What values are written with; there are 100.
const VALUES: &str = "0123456789";

/// Every sign, as the tokenizer of the small model has them.
pub(super) const ALPHABET: &str = "abcdefghijkl?ABCDEFGHIJKLMNOP0123456789";

const FIRST_TEXT: u32 = SmallLlama::FIRST;
const MARK: u32 = FIRST_TEXT + TEXT.len() as u32;
const FIRST_KEY: u32 = MARK + ASKS.len() as u32;
const FIRST_VALUE: u32 = FIRST_KEY + KEYS.len() as u32;

/// Tokens of a record: two of its key, two of its value.
pub(super) const RECORD: usize = 4;
/// Tokens of a question with its answer.
pub(super) const QUESTION: usize = 1 + RECORD;
/// From one record to the next in the documents that are asked about.
const ASKED_SLOT: usize = 8;
/// The same in documents with running text to learn from, one of these for each; the first has none.
const SLOTS: [usize; 4] = [RECORD, 6, 8, 12];
/// Parts of a document by where the answer stands.
pub(super) const FIFTHS: usize = 5;
/// Questions about each fifth of a document.
pub(super) const ASKED_OF_EACH: usize = 3;

/// How likely a letter is followed by each of its four successors, in percent.
const SUCCESSORS: [usize; 4] = [60, 25, 10, 5];

type Record = [u32; RECORD];

/// A document with its records in their order.
#[derive(Debug, Clone)]
struct Document {
    /// Begins with the token that begins every text.
    tokens: Vec<u32>,
    records: Vec<Record>,
}

impl Document {
    /// Of this many tokens, with a record in each whole slot and running text elsewhere.
    fn draw(draw: &mut SeededRng, length: usize, slot: usize) -> Self {
        let slots = (length - 1) / slot;
        let keys = draw.sample(KEYS.len() * KEYS.len(), slots.min(KEYS.len() * KEYS.len()));
        let mut keys = keys.into_iter();
        let mut before = (draw.index(TEXT.len()), draw.index(TEXT.len()));
        let (mut tokens, mut records) = (Vec::with_capacity(length), Vec::new());
        tokens.push(SmallLlama::BEGIN);
        while tokens.len() < length {
            let end = tokens.len() + slot;
            if let Some(key) = keys.next().filter(|_| end <= length) {
                let value = draw.index(VALUES.len() * VALUES.len());
                let record = [
                    FIRST_KEY + (key / KEYS.len()) as u32,
                    FIRST_KEY + (key % KEYS.len()) as u32,
                    FIRST_VALUE + (value / VALUES.len()) as u32,
                    FIRST_VALUE + (value % VALUES.len()) as u32,
                ];
                tokens.extend(record);
                records.push(record);
            }
            while tokens.len() < end.min(length) {
                let next = successor(draw, before);
                before = (before.1, next);
                tokens.push(FIRST_TEXT + next as u32);
            }
        }
        Self { tokens, records }
    }
}

/// The letter after two others: one of four that these decide upon.
fn successor(draw: &mut SeededRng, before: (usize, usize)) -> usize {
    let mut at = draw.index(SUCCESSORS.iter().sum());
    let mut which = 0;
    while at >= SUCCESSORS[which] {
        at -= SUCCESSORS[which];
        which += 1;
    }
    let context = format!("{} {} {which}", before.0, before.1);
    stable_hash(&context) as usize % TEXT.len()
}

/// A row to learn from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) tokens: Vec<u32>,
    /// For each token but the first, whether its prediction counts.
    pub(super) learned: Vec<bool>,
    /// Places in `learned` of the values' tokens of questions, two of each value.
    pub(super) values: Vec<usize>,
}

/// What stands between the records of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    Nothing,
    /// Running text, which is learned too in every second row.
    Text,
}

/// A row of at most `longest` tokens: a document, and then a question about each of its records in
/// any order.
///
/// Of a question its key and value are learned. A key that has not been asked yet can be guessed
/// from the document alone, which teaches to look at records before their values can be read.
pub(super) fn training_row(draw: &mut SeededRng, longest: usize, between: Between) -> Row {
    let slot = match between {
        Between::Nothing => RECORD,
        Between::Text => SLOTS[draw.index(SLOTS.len())],
    };
    let questions = ((longest - 1) / (slot + QUESTION)).min(KEYS.len() * KEYS.len());
    let length = if between == Between::Nothing {
        1 + questions * RECORD
    } else {
        longest - questions * QUESTION
    };
    let mut document = Document::draw(draw, length, slot);
    // A last slot that is not whole may hold one record more than can be asked.
    document.records.truncate(questions);
    let whole = between == Between::Text && draw.one_in(2);
    let mut learned: Vec<bool> =
        document.tokens[1..].iter().map(|token| whole && is_text(*token)).collect();
    let mut values = Vec::new();
    let mut tokens = document.tokens;
    for at in draw.sample(document.records.len(), document.records.len()) {
        tokens.push(MARK);
        tokens.extend(document.records[at]);
        learned.extend([false, true, true, true, true]);
        values.extend([learned.len() - 2, learned.len() - 1]);
    }
    Row { tokens, learned, values }
}

/// A document, and questions about it that do not see each other.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Examination {
    /// The document and each question, key and value, all of one length.
    pub(super) sequences: Vec<Vec<u32>>,
    /// Where the values begin.
    pub(super) answers_at: usize,
    /// The fifth of the document in which each question's record stands.
    pub(super) fifths: Vec<usize>,
}

/// Questions about every fifth of a document, `length` tokens with a question and its answer.
pub(super) fn examination(draw: &mut SeededRng, length: usize) -> Examination {
    let document = Document::draw(draw, length - QUESTION, ASKED_SLOT);
    let count = document.records.len();
    let (mut sequences, mut fifths) = (Vec::new(), Vec::new());
    for fifth in 0..FIFTHS {
        let (from, to) = (fifth * count / FIFTHS, (fifth + 1) * count / FIFTHS);
        for at in draw.sample(to - from, ASKED_OF_EACH.min(to - from)) {
            let mut tokens = document.tokens.clone();
            tokens.push(MARK);
            tokens.extend(document.records[from + at]);
            sequences.push(tokens);
            fifths.push(fifth);
        }
    }
    Examination { sequences, answers_at: length - RECORD / 2, fifths }
}

/// Whether a token is running text, which can be predicted from what stands before it.
pub(super) fn is_text(token: u32) -> bool {
    (FIRST_TEXT..MARK).contains(&token)
}

/// Running text of this many tokens, records in it and no question.
pub(super) fn long_text(draw: &mut SeededRng, length: usize) -> Vec<u32> {
    Document::draw(draw, length, ASKED_SLOT).tokens
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_alphabet_has_every_sign_once_in_the_order_of_its_parts() {
        assert_eq!(ALPHABET, [TEXT, ASKS, KEYS, VALUES].concat());
        assert_eq!(ALPHABET.chars().collect::<HashSet<_>>().len(), ALPHABET.len());
    }

    fn count(tokens: &[u32], part: &[u32]) -> usize {
        tokens.windows(part.len()).filter(|window| *window == part).count()
    }

    #[test]
    fn rows_ask_about_each_record_of_their_document_and_fit() {
        let mut draw = SeededRng::new(1, 0);
        for at in 0..200 {
            let longest = 20 + at % 109;
            let between = if at % 2 == 0 { Between::Nothing } else { Between::Text };
            let Row { tokens, learned, values } = training_row(&mut draw, longest, between);
            assert!(tokens.len() <= longest, "{} {longest}", tokens.len());
            assert_eq!(learned.len() + 1, tokens.len());
            let split = tokens.iter().position(|token| *token == MARK).unwrap();
            let (document, questions) = tokens.split_at(split);
            let asked: HashSet<&[u32]> = questions.chunks(QUESTION).collect();
            assert_eq!(asked.len(), questions.len() / QUESTION);
            for question in questions.chunks(QUESTION) {
                assert_eq!(count(document, &question[1..]), 1);
                assert_eq!(count(document, &question[1..3]), 1, "a key stands once");
            }
            assert_eq!(values.len(), 2 * asked.len());
            for place in values {
                assert!(learned[place] && tokens[place + 1] >= FIRST_VALUE);
            }
            let in_text = learned[..split - 1].iter().filter(|learned| **learned).count();
            assert!(between == Between::Text || in_text == 0);
        }
    }

    #[test]
    fn an_examination_asks_about_every_fifth_with_the_document_shared() {
        for length in [128, 256, 1024] {
            let exam = examination(&mut SeededRng::new(2, 0), length);
            assert_eq!(exam.sequences.len(), FIFTHS * ASKED_OF_EACH);
            let shared = length - QUESTION;
            for (tokens, fifth) in exam.sequences.iter().zip(&exam.fifths) {
                assert_eq!(tokens.len(), length);
                assert_eq!(tokens[..shared], exam.sequences[0][..shared]);
                let record = &tokens[shared + 1..];
                assert_eq!(record, &tokens[exam.answers_at - 2..]);
                let at = tokens.windows(RECORD).position(|window| window == record).unwrap();
                let share = at as f64 / shared as f64;
                let from = *fifth as f64 / FIFTHS as f64;
                assert!((from - 0.05..from + 0.25).contains(&share), "{share} {from}");
            }
        }
    }

    #[test]
    fn running_text_can_be_predicted_and_not_fully() {
        let text = long_text(&mut SeededRng::new(3, 0), 4000);
        assert_eq!(text.len(), 4000);
        let letters: Vec<u32> = text.into_iter().filter(|token| is_text(*token)).collect();
        assert!(letters.len() > 1900);
        assert!(letters.iter().collect::<HashSet<_>>().len() > 6);
    }
}
