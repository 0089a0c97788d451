//! Where questions and documents come from.

use super::super::documents::InventedDocuments;
use super::item::QaItem;
use super::pool::QaPool;
use crate::rng::{SeededRng, Split};

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
    pub(in super::super) fn order(self, seed: u64, limit: usize) -> Vec<usize> {
        match self {
            Self::Invented => (0..limit).collect(),
            Self::Pool(pool) => {
                let mut order: Vec<usize> = (0..pool.items.len()).collect();
                SeededRng::new(seed, u64::MAX).shuffle(&mut order);
                order
            }
        }
    }

    /// Item number `index`; of an invented document one of its questions.
    pub(in super::super) fn item(
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
                let mut rng = SeededRng::new(!seed, index as u64);
                let question = rng.choose(&questions).copied()?;
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
