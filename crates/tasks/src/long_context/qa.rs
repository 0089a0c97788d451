//! Questions about documents: `FreeFormQA` and `AlteredNumericQA` (Giraffe, arXiv 2308.10882).
//!
//! The paper takes questions with short answers from Natural Questions, cuts the documents to
//! length, puts the text with the answer into the first tenth, somewhere in the middle or into the
//! last tenth, and asks before or after the document: six variants. Its builder was not published.
//! The rules here are these:
//!
//! - **Answer.** It stands in the document letter for letter and as whole words; a number in either
//!   of the forms `1234` and `1,234`. Of several sentences that hold it, the one that shares most
//!   words with the question is the answering sentence, the first of them if several do.
//! - **Placing.** The document keeps its order. What comes before and after the answering sentence
//!   is cut or padded, sentence by sentence, until the answer stands at the wanted depth: the
//!   nearest sentences of its own document stay, beyond them come other documents. No sentence is
//!   cut, except other text of more than 600 bytes without an end. Sentences elsewhere that hold
//!   an accepted answer are left out, so that the answer stands in one place only.
//! - **Length.** The prompt has at most the wanted number of tokens, and no room for the next
//!   sentence.
//! - **Alteration.** The answer is a number in digits, alone but for a currency sign or `%`. A year
//!   (four digits from 1000 to 2100, no separator) becomes another within ten years; any other
//!   number becomes one with as many digits. The new number does not occur in the document or the
//!   question. It replaces the old one everywhere in the document, in the form used there, and
//!   never inside longer numbers. Sentences that keep the old number in words (`fourteen`) or in a
//!   word (`1960s`) are left out.
//! - **Scoring.** Presence of the answer in the completion, as in the paper, and its strict reading
//!   beside it ([`Score::strict`](super::Score::strict)). The paper's mean BLEU is not computed.
//!
//! What cannot be used is a [`Skip`](super::Skip), counted and listed.

mod alter;
mod assemble;
mod item;
mod matching;
mod pool;
mod published;
mod row;
mod units;

pub use pool::{PoolOptions, QaPool};
pub use published::WikiQaRow;
pub use row::QaRow;

pub(super) use assemble::{Assembled, Request, assemble};
pub(super) use item::{Prepared, prepare};

use super::documents::InventedDocuments;
use crate::draw::{Draw, Split};
use units::Unit;

/// Number of the first invented document that pads; those below are asked about.
const FIRST_PADDING: u64 = 1 << 40;

/// Invented documents kept apart for the padding of one case.
const PADDING_STRIDE: u64 = 1 << 16;

/// Documents in a row without a usable sentence before padding is given up.
const FRUITLESS: usize = 200;

/// A question, its answers and the document they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QaItem {
    /// Line in the data file counted from 1, or number of the invented document.
    pub item: usize,
    /// The document's title.
    pub title: Option<String>,
    /// The question.
    pub question: String,
    /// Accepted answers.
    pub answers: Vec<String>,
    /// The document.
    pub document: String,
}

/// Where questions and documents come from.
#[derive(Debug, Clone, Copy)]
pub enum QaSource<'a> {
    /// [`InventedDocuments`], without end.
    Invented,
    /// A data file. Padding is taken from its other documents, and from invented ones after them.
    Pool(&'a QaPool),
}

impl QaSource<'_> {
    /// The order in which items are used: the same at every length and depth.
    pub(super) fn order(self, seed: u64, limit: usize) -> Vec<usize> {
        match self {
            Self::Invented => (0..limit).collect(),
            Self::Pool(pool) => {
                let mut order: Vec<usize> = (0..pool.items.len()).collect();
                Draw::new(seed, u64::MAX).shuffle(&mut order);
                order
            }
        }
    }

    /// Item number `index`; of an invented document one of its questions.
    pub(super) fn item(
        self,
        index: usize,
        seed: u64,
        split: Split,
        numeric: bool,
    ) -> Option<QaItem> {
        match self {
            Self::Pool(pool) => pool.items.get(index).cloned(),
            Self::Invented => {
                let document = InventedDocuments::new(seed, split).document(index as u64);
                let questions: Vec<_> =
                    document.questions.iter().filter(|q| q.numeric || !numeric).collect();
                // A stream of its own: the document is drawn from the one with this number.
                let mut draw = Draw::new(!seed, index as u64);
                let question = draw.choose(&questions).copied()?;
                Some(QaItem {
                    item: index,
                    title: Some(document.title.clone()),
                    question: question.question.clone(),
                    answers: vec![question.answer.clone()],
                    document: document.text(),
                })
            }
        }
    }
}

/// Endless text to pad with, without sentences that hold a forbidden answer.
pub(super) struct Padding<'a> {
    source: QaSource<'a>,
    prepared: &'a Prepared,
    order: Vec<usize>,
    invented: InventedDocuments,
    next: u64,
}

impl<'a> Padding<'a> {
    pub(super) fn new(
        source: QaSource<'a>,
        prepared: &'a Prepared,
        seed: u64,
        split: Split,
    ) -> Self {
        let mut order = Vec::new();
        if let QaSource::Pool(pool) = source {
            order.extend(0..pool.items.len());
            Draw::new(seed.wrapping_add(1), prepared.item as u64).shuffle(&mut order);
        }
        Self {
            source,
            prepared,
            order,
            invented: InventedDocuments::new(seed, split),
            next: FIRST_PADDING + prepared.item as u64 * PADDING_STRIDE,
        }
    }

    /// The sentences of the next document; `None` when nothing usable is left.
    fn next_document(&mut self) -> Option<Vec<Unit>> {
        for _ in 0..FRUITLESS {
            let pooled = if let QaSource::Pool(pool) = self.source {
                self.order.pop().and_then(|index| pool.items.get(index))
            } else {
                None
            };
            let mut units = if let Some(item) = pooled {
                let same = item.item == self.prepared.item
                    || item.title.is_some() && item.title == self.prepared.title;
                if same {
                    continue;
                }
                units::of_document(item.title.as_deref(), &item.document, &[])
            } else {
                let document = self.invented.document(self.next);
                self.next += 1;
                units::of_document(Some(&document.title), &document.text(), &[])
            };
            units.retain(|unit| !matching::any_within(&unit.text, &self.prepared.forbidden));
            if !units.is_empty() {
                return Some(units);
            }
        }
        None
    }
}
