//! Labelled rows with their reference, and the mismatched completions made of them.

use bestof_losses::{Label, UnpairedLogps};

use crate::data::{Boundary, EncodedCompletion, EncodedLabelled};
use crate::rows::RowSet;

/// Rows with what each was judged to be, and what the reference gives it.
#[derive(Debug)]
pub(super) struct LabelledSet {
    pub(super) rows: RowSet<EncodedCompletion>,
    pub(super) labels: Vec<Label>,
    /// Summed log-probability of each completion.
    pub(super) reference: Vec<f64>,
}

impl From<RowSet<EncodedLabelled>> for LabelledSet {
    fn from(set: RowSet<EncodedLabelled>) -> Self {
        let (items, labels) =
            set.items.into_iter().map(|item| (item.completion, item.label)).unzip();
        Self { rows: RowSet { items, names: set.names }, labels, reference: Vec::new() }
    }
}

impl LabelledSet {
    /// The word for the label of all rows, if they have one.
    pub(super) fn only_label(&self) -> Option<&'static str> {
        let first = self.labels.first()?;
        self.labels.iter().all(|label| label == first).then_some(match first {
            Label::Desirable => "desirable",
            Label::Undesirable => "undesirable",
        })
    }

    /// What the loss reads of these rows.
    pub(super) fn logps(
        &self,
        rows: &[usize],
        policy: &[f64],
        reference: &[f64],
    ) -> Vec<(usize, UnpairedLogps)> {
        rows.iter()
            .zip(policy.iter().zip(reference))
            .map(|(&row, (&logp, &ref_logp))| {
                (row, UnpairedLogps { logp, ref_logp, label: self.labels[row] })
            })
            .collect()
    }
}

/// Each row's prompt with the completion of the row after it, the last one's with that of the first,
/// cut at the end to `longest` tokens: rows that fit apart need not fit together.
pub(super) fn mismatched(
    items: &[EncodedCompletion],
    rows: &[usize],
    longest: usize,
) -> Vec<EncodedCompletion> {
    rows.iter()
        .zip(rows.iter().cycle().skip(1))
        .map(|(&row, &next)| {
            let prompt_ids = items[row].prompt_ids.clone();
            let mut completion_ids = items[next].completion_ids.clone();
            let room = longest.saturating_sub(prompt_ids.len()).max(1);
            let truncated = completion_ids.len() > room;
            completion_ids.truncate(room);
            let boundary = Boundary::Separate;
            let skipped = Vec::new();
            EncodedCompletion { prompt_ids, completion_ids, skipped, boundary, truncated }
        })
        .collect()
}
