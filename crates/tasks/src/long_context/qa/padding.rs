//! Text to pad a document with.

use super::super::documents::InventedDocuments;
use super::prepare::Prepared;
use super::source::QaSource;
use super::units::Unit;
use super::{matching, units};
use crate::rng::{SeededRng, Split};

/// Number of the first invented document that pads; those below are asked about.
const FIRST_PADDING: u64 = 1 << 40;

/// Invented documents reserved for the padding of one case.
const PADDING_STRIDE: u64 = 1 << 16;

/// Documents in a row without a usable sentence before padding is given up.
const MAX_UNUSABLE: usize = 200;

/// Endless text to pad with, without sentences that hold a forbidden answer.
pub(in super::super) struct Padding<'a> {
    source: QaSource<'a>,
    prepared: &'a Prepared,
    order: Vec<usize>,
    invented: InventedDocuments,
    next: u64,
}

impl<'a> Padding<'a> {
    pub(in super::super) fn new(
        source: QaSource<'a>,
        prepared: &'a Prepared,
        seed: u64,
        split: Split,
    ) -> Self {
        let mut order = Vec::new();
        if let QaSource::Pool(pool) = source {
            order.extend(0..pool.items.len());
            SeededRng::new(seed.wrapping_add(1), prepared.item as u64).shuffle(&mut order);
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
    pub(super) fn next_document(&mut self) -> Option<Vec<Unit>> {
        for _ in 0..MAX_UNUSABLE {
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
