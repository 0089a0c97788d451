//! Questions about documents: `FreeFormQA` and `AlteredNumericQA` (Giraffe, arXiv 2308.10882).
//!
//! The paper takes questions with short answers from Natural Questions, cuts the documents to
//! length, puts the text with the answer into the first tenth, somewhere in the middle or into the
//! last tenth, and asks before or after the document: six variants. Its builder was not published.
//! The rules here are these:
//!
//! - **Answer.** It occurs in the document exactly and as whole words; a number in either
//!   of the forms `1234` and `1,234`. Of several sentences that hold it, the one that shares most
//!   words with the question is the answering sentence, the first of them if several do.
//! - **Placing.** The document keeps its order. What comes before and after the answering sentence
//!   is cut or padded, sentence by sentence, until the answer is at the requested depth: the
//!   nearest sentences of its own document stay, other documents follow beyond them. No sentence is
//!   cut, except other text of more than 600 bytes without an end. Sentences elsewhere that hold
//!   an accepted answer are left out, so that the answer occurs only once.
//! - **Length.** The prompt has at most the requested number of tokens, and no room for the next
//!   sentence.
//! - **Alteration.** The answer is a number in digits, alone but for a currency sign or `%`. A year
//!   (four digits from 1000 to 2100, no separator) becomes another within ten years; any other
//!   number becomes one with as many digits. The new number does not occur in the document or the
//!   question. It replaces the old one everywhere in the document, in the form used there, and
//!   never inside longer numbers. Sentences that keep the old number in words (`fourteen`) or in a
//!   word (`1960s`) are left out.
//! - **Scoring.** Presence of the answer in the completion, as in the paper, and a strict score
//!   beside it ([`Score::strict`](super::Score::strict)). The paper's mean BLEU is not computed.
//!
//! A document that cannot be used is a [`Skip`](super::Skip), counted and listed.

mod alter;
mod assemble;
mod item;
mod matching;
mod padding;
mod pages;
mod pool;
mod prepare;
mod published;
mod row;
mod source;
mod units;

pub use item::QaItem;
pub use pool::{PoolOptions, QaPool};
pub use published::WikiQaRow;
pub(super) use row::DOCUMENT;
pub use source::QaSource;

pub(super) use assemble::{Assembled, Request, assemble};
pub(super) use padding::Padding;
pub(super) use prepare::{Prepared, prepare};
