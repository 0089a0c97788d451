//! What a preference run tells its report.

use std::collections::BTreeMap;

use bestof_models::CausalLm;
use bestof_report::DisplacedPair;
use burn::module::Module;

use super::PreferenceRun;
use crate::data::{EncodedPair, edit_distance};
use crate::displacement::{ChosenChange, worst};

/// Longest text of a pair that a report shows, in characters.
const SHOWN: usize = 400;

/// The texts of a pair, cut to what a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairTexts {
    /// End of the prompt.
    pub prompt: String,
    /// Start of the chosen answer.
    pub chosen: String,
    /// Start of the rejected answer.
    pub rejected: String,
}

impl<M: CausalLm + Module> PreferenceRun<M> {
    /// The pairs of the last evaluation whose chosen answer lost most against the reference, worst first.
    /// Rows are those of the evaluation file, counted from 0.
    pub fn displaced_pairs(&self, count: usize) -> Vec<DisplacedPair> {
        let items = &self.parts.eval.items;
        let rows: Vec<String> = (0..items.len()).map(|row| row.to_string()).collect();
        let changes: Vec<ChosenChange<'_>> = self
            .last_eval
            .iter()
            .zip(&self.eval_reference)
            .zip(items.iter().zip(&rows))
            .map(|((score, reference), (pair, row))| ChosenChange {
                row,
                delta: score.chosen - reference.chosen,
                chosen_ids: &pair.chosen_ids,
                rejected_ids: &pair.rejected_ids,
            })
            .filter(|change| change.delta < 0.0)
            .collect();
        worst(&changes, count, &|_| String::new())
            .into_iter()
            .filter_map(|pair| {
                let row: usize = pair.row.parse().ok()?;
                let texts = self.texts(&items[row]);
                let line = self.parts.eval.names[row].line()? as u64;
                Some(DisplacedPair {
                    row: line.saturating_sub(1),
                    prompt: texts.prompt,
                    chosen: texts.chosen,
                    rejected: texts.rejected,
                    edit_distance: pair.edits as u64,
                    first_differing_token: pair.first_difference.map(|first| first.index as u64),
                    chosen_logp_change: pair.delta,
                })
            })
            .collect()
    }

    /// How many training pairs have which edit distance over tokens.
    pub fn edit_distances(&self) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for pair in &self.parts.train.items {
            *counts
                .entry(edit_distance(&pair.chosen_ids, &pair.rejected_ids) as u64)
                .or_default() += 1;
        }
        counts
    }

    fn texts(&self, pair: &EncodedPair) -> PairTexts {
        let decode = &self.parts.decode;
        let start = |ids: &[u32]| decode(ids).chars().take(SHOWN).collect();
        let prompt = decode(&pair.prompt_ids);
        let skipped = prompt.chars().count().saturating_sub(SHOWN);
        PairTexts {
            prompt: prompt.chars().skip(skipped).collect(),
            chosen: start(&pair.chosen_ids),
            rejected: start(&pair.rejected_ids),
        }
    }
}
