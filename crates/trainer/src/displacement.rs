//! Notices when training makes the chosen answers less likely, whatever the loss.
//!
//! A preference loss looks at the difference between two answers only: it can fall while both lose
//! probability. Margins and accuracies do not show it (Pal et al. 2024, arXiv:2402.13228v2, section 3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::data::edit_distance;

/// What an evaluation found about one pair's chosen answer.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenChange<'a> {
    /// The row, as `file:line`.
    pub row: &'a str,
    /// Log-probability under the policy minus that under the reference, summed over the answer.
    pub delta: f64,
    /// Tokens of the chosen answer.
    pub chosen_ids: &'a [u32],
    /// Tokens of the rejected answer.
    pub rejected_ids: &'a [u32],
}

/// Where two answers part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirstDifference {
    /// Index of the first differing token, from 0.
    pub index: usize,
    /// The chosen answer's token there; empty at its end.
    pub chosen: String,
    /// The rejected answer's token there; empty at its end.
    pub rejected: String,
}

/// A pair whose chosen answer lost much.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorstPair {
    /// The row, as `file:line`.
    pub row: String,
    /// Log-probability under the policy minus that under the reference.
    pub delta: f64,
    /// Tokens to change, insert or delete to turn one answer into the other.
    pub edits: usize,
    /// `edits` divided by the length of the longer answer.
    pub edit_distance: f64,
    /// Where the answers part; `None` if they do not.
    pub first_difference: Option<FirstDifference>,
}

/// Chosen answers keep losing probability against the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisplacementWarning {
    /// Optimiser steps done.
    pub step: u64,
    /// Mean over pairs of the chosen answers' log-probability minus that of the reference.
    pub mean: f64,
    /// The threshold it lies below, as a negative number of nats.
    pub below: f64,
    /// Evaluations in a row that showed it.
    pub evaluations: usize,
    /// The pairs that lost most, worst first.
    pub worst: Vec<WorstPair>,
}

impl fmt::Display for DisplacementWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after step {} chosen answers are {:.2} nats less likely than under the reference on average, \
             below {:.2} for {} evaluations in a row: the loss falls because rejected answers fall faster. \
             DPOP is made for this: set `loss.name = \"dpop\"`",
            self.step, -self.mean, self.below, self.evaluations
        )?;
        for pair in &self.worst {
            write!(
                f,
                "\n  {}: {:+.2} nats, {} of the answers' tokens differ ({:.1} %)",
                pair.row,
                pair.delta,
                pair.edits,
                100.0 * pair.edit_distance
            )?;
            if let Some(first) = &pair.first_difference {
                write!(
                    f,
                    ", first at token {}: {:?} against {:?}",
                    first.index, first.chosen, first.rejected
                )?;
            }
        }
        Ok(())
    }
}

/// When a [`DisplacementDetector`] reports, and what follows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DisplacementSettings {
    /// Nats by which the mean chosen log-probability must lie below the reference, at least 0.
    pub threshold: f64,
    /// Evaluations in a row that must show it, at least 1.
    pub patience: usize,
    /// Whether the run returns an error, after saving, once it was reported.
    pub fail: bool,
    /// How many of the worst pairs are named.
    pub worst: usize,
}

impl Default for DisplacementSettings {
    /// One nat in two evaluations; five pairs are named, and the run goes on.
    fn default() -> Self {
        Self { threshold: 1.0, patience: 2, fail: false, worst: 5 }
    }
}

/// Watches the mean change of the chosen answers over evaluations.
///
/// It reports once when `patience` evaluations in a row lie below `-threshold`, and again only after one
/// that does not.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplacementDetector {
    settings: DisplacementSettings,
    state: DetectorState,
}

/// What a checkpoint keeps of a [`DisplacementDetector`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectorState {
    /// Evaluations in a row below the threshold.
    pub streak: usize,
    /// Whether it was reported at all in this run.
    pub reported: bool,
}

impl DisplacementDetector {
    /// A detector that has seen nothing.
    pub fn new(settings: DisplacementSettings) -> Self {
        Self { settings, state: DetectorState::default() }
    }

    /// What a checkpoint keeps.
    pub fn state(&self) -> DetectorState {
        self.state
    }

    /// Puts back what [`DisplacementDetector::state`] gave.
    pub fn restore(&mut self, state: DetectorState) {
        self.state = state;
    }

    /// Whether the run has to fail on a report.
    pub fn fails(&self) -> bool {
        self.settings.fail
    }

    /// Looks at an evaluation; `piece` gives the text of a token.
    ///
    /// An evaluation with a mean that is no number counts as displaced: it certainly is no reassurance.
    pub fn observe(
        &mut self,
        step: u64,
        changes: &[ChosenChange<'_>],
        piece: &dyn Fn(u32) -> String,
    ) -> Option<DisplacementWarning> {
        if changes.is_empty() {
            return None;
        }
        let mean = changes.iter().map(|change| change.delta).sum::<f64>() / changes.len() as f64;
        if mean >= -self.settings.threshold {
            self.state.streak = 0;
            return None;
        }
        self.state.streak += 1;
        if self.state.streak != self.settings.patience {
            return None;
        }
        self.state.reported = true;
        Some(DisplacementWarning {
            step,
            mean,
            below: -self.settings.threshold,
            evaluations: self.state.streak,
            worst: worst(changes, self.settings.worst, piece),
        })
    }
}

/// The pairs that lost most, worst first; ties keep the order of the rows.
pub fn worst(
    changes: &[ChosenChange<'_>],
    count: usize,
    piece: &dyn Fn(u32) -> String,
) -> Vec<WorstPair> {
    let mut order: Vec<&ChosenChange<'_>> = changes.iter().collect();
    order.sort_by(|a, b| a.delta.total_cmp(&b.delta));
    order.into_iter().take(count).map(|change| describe(change, piece)).collect()
}

fn describe(change: &ChosenChange<'_>, piece: &dyn Fn(u32) -> String) -> WorstPair {
    let (chosen, rejected) = (change.chosen_ids, change.rejected_ids);
    let edits = edit_distance(chosen, rejected);
    let longest = chosen.len().max(rejected.len()).max(1);
    let index = chosen.iter().zip(rejected).take_while(|(a, b)| a == b).count();
    let text = |ids: &[u32]| ids.get(index).map(|&id| piece(id)).unwrap_or_default();
    let differ = index < chosen.len().max(rejected.len());
    WorstPair {
        row: change.row.to_owned(),
        delta: change.delta,
        edits,
        edit_distance: edits as f64 / longest as f64,
        first_difference: differ.then(|| FirstDifference {
            index,
            chosen: text(chosen),
            rejected: text(rejected),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(threshold: f64, patience: usize) -> DisplacementDetector {
        DisplacementDetector::new(DisplacementSettings {
            threshold,
            patience,
            fail: false,
            worst: 2,
        })
    }

    fn changes<'a>(deltas: &[f64], rows: &'a [String]) -> Vec<ChosenChange<'a>> {
        deltas
            .iter()
            .zip(rows)
            .map(|(&delta, row)| ChosenChange {
                row,
                delta,
                chosen_ids: &[5, 6, 7],
                rejected_ids: &[5, 8, 7, 9],
            })
            .collect()
    }

    fn rows() -> Vec<String> {
        (1..=3).map(|line| format!("pairs.jsonl:{line}")).collect()
    }

    #[test]
    fn it_reports_after_patience_runs_out_and_once() {
        let (rows, piece) = (rows(), |id: u32| format!("<{id}>"));
        let mut detector = detector(1.0, 2);
        let low = changes(&[-0.5, -4.0, -3.0], &rows);
        let high = changes(&[-0.5, -0.5, 4.0], &rows);
        assert_eq!(detector.observe(10, &low, &piece), None);
        assert_eq!(detector.observe(20, &high, &piece), None, "the streak breaks");
        assert_eq!(detector.observe(30, &low, &piece), None);
        let warning = detector.observe(40, &low, &piece).expect("two in a row");
        assert_eq!(detector.observe(50, &low, &piece), None, "no second report of one fall");
        assert_eq!((warning.step, warning.evaluations), (40, 2));
        assert!((warning.mean + 2.5).abs() < 1e-12);
        let worst: Vec<_> = warning.worst.iter().map(|pair| pair.row.as_str()).collect();
        assert_eq!(worst, ["pairs.jsonl:2", "pairs.jsonl:3"]);
        assert_eq!(warning.worst[0].edits, 2);
        assert!((warning.worst[0].edit_distance - 0.5).abs() < 1e-12);
        let first = warning.worst[0].first_difference.clone().unwrap();
        assert_eq!(
            (first.index, first.chosen.as_str(), first.rejected.as_str()),
            (1, "<6>", "<8>")
        );
        let text = warning.to_string();
        assert!(text.contains("dpop") && text.contains("pairs.jsonl:2: -4.00 nats"), "{text}");
    }

    #[test]
    fn its_state_survives_a_checkpoint() {
        let (rows, piece) = (rows(), |_: u32| String::new());
        let low = changes(&[-9.0, -9.0, -9.0], &rows);
        let mut first = detector(1.0, 2);
        first.observe(1, &low, &piece);
        let text = serde_json::to_string(&first.state()).unwrap();
        let mut second = detector(1.0, 2);
        second.restore(serde_json::from_str(&text).unwrap());
        assert!(second.observe(2, &low, &piece).is_some());
        assert!(second.state().reported);
    }

    #[test]
    fn a_mean_that_is_no_number_does_not_reassure() {
        let rows = rows();
        let mut detector = detector(1.0, 1);
        let changes = changes(&[f64::NAN], &rows);
        assert!(detector.observe(1, &changes, &|_| String::new()).is_some());
    }

    #[test]
    fn equal_answers_and_prefixes_are_described() {
        let describe_pair = |a: &[u32], b: &[u32]| {
            let change = ChosenChange { row: "r", delta: -1.0, chosen_ids: a, rejected_ids: b };
            describe(&change, &|id| id.to_string())
        };
        assert_eq!(describe_pair(&[1, 2], &[1, 2]).first_difference, None);
        let prefix = describe_pair(&[1, 2], &[1, 2, 3]).first_difference.unwrap();
        assert_eq!((prefix.index, prefix.chosen.as_str(), prefix.rejected.as_str()), (2, "", "3"));
    }
}
