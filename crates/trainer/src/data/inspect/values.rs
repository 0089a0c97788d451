//! Lists of lengths and distances, and the few numbers that describe them.

use serde::Serialize;

use super::{EncodedCompletion, EncodedPair};
use crate::data::normalised_edit_distance;

/// Tokens of an answer that are compared; the work grows with their square.
const COMPARED: usize = 1 << 15;

/// Smallest, middle and largest of a list of lengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct LengthSummary {
    /// How many lengths there are.
    pub count: usize,
    /// The smallest.
    pub min: usize,
    /// The median, by nearest rank.
    pub median: usize,
    /// The 95th percentile, by nearest rank.
    pub p95: usize,
    /// The largest.
    pub max: usize,
    /// The mean.
    pub mean: f64,
}

impl LengthSummary {
    /// The summary of a list, `None` if it is empty.
    fn of(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let (&min, &max) = (lengths.first()?, lengths.last()?);
        Some(Self {
            count: lengths.len(),
            min,
            median: lengths[rank(lengths.len(), 0.5)],
            p95: lengths[rank(lengths.len(), 0.95)],
            max,
            mean: lengths.iter().sum::<usize>() as f64 / lengths.len() as f64,
        })
    }
}

/// The index of a quantile by nearest rank in a sorted list that is not empty.
fn rank(len: usize, quantile: f64) -> usize {
    ((quantile * len as f64).ceil() as usize).clamp(1, len) - 1
}

/// Lengths in tokens; `None` where no row has that part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// Prompts.
    pub prompt: Option<LengthSummary>,
    /// Preferred answers.
    pub chosen: Option<LengthSummary>,
    /// Rejected answers.
    pub rejected: Option<LengthSummary>,
    /// Completions and running texts.
    pub completion: Option<LengthSummary>,
    /// Longest sequence of each row: prompt with its longest completion.
    pub sequence: Option<LengthSummary>,
}

/// Normalised edit distances between the answers of pairs, over their first 32768 tokens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EditDistances {
    /// The mean.
    pub mean: f64,
    /// The median, by nearest rank.
    pub median: f64,
    /// The 95th percentile, by nearest rank.
    pub p95: f64,
    /// Pairs in twenty bins of 0.05; the last one includes 1.
    pub histogram: [usize; 20],
}

impl EditDistances {
    fn of(mut distances: Vec<f64>) -> Self {
        distances.sort_unstable_by(f64::total_cmp);
        let mut histogram = [0; 20];
        for distance in &distances {
            histogram[((distance * 20.0) as usize).min(19)] += 1;
        }
        let quantile =
            |q| if distances.is_empty() { 0.0 } else { distances[rank(distances.len(), q)] };
        Self {
            mean: distances.iter().sum::<f64>() / distances.len().max(1) as f64,
            median: quantile(0.5),
            p95: quantile(0.95),
            histogram,
        }
    }
}

/// Numbers gathered row by row.
#[derive(Debug, Default)]
pub(super) struct Lists {
    prompts: Vec<usize>,
    chosen: Vec<usize>,
    rejected: Vec<usize>,
    completions: Vec<usize>,
    sequences: Vec<usize>,
    distances: Vec<f64>,
}

impl Lists {
    pub(super) fn prompt(&mut self, ids: &[u32]) {
        self.prompts.push(ids.len());
    }

    pub(super) fn pair(&mut self, pair: &EncodedPair) {
        let (chosen, rejected) = (&pair.chosen_ids, &pair.rejected_ids);
        self.prompt(&pair.prompt_ids);
        self.chosen.push(chosen.len());
        self.rejected.push(rejected.len());
        self.sequences.push(pair.prompt_ids.len() + chosen.len().max(rejected.len()));
        self.distances.push(normalised_edit_distance(
            &chosen[..chosen.len().min(COMPARED)],
            &rejected[..rejected.len().min(COMPARED)],
        ));
    }

    pub(super) fn completion(&mut self, item: &EncodedCompletion) {
        self.prompt(&item.prompt_ids);
        self.completions.push(item.completion_ids.len());
        self.sequences.push(item.prompt_ids.len() + item.completion_ids.len());
    }

    pub(super) fn lengths(&self) -> Lengths {
        let of = |list: &Vec<usize>| LengthSummary::of(list.clone());
        Lengths {
            prompt: of(&self.prompts),
            chosen: of(&self.chosen),
            rejected: of(&self.rejected),
            completion: of(&self.completions),
            sequence: of(&self.sequences),
        }
    }

    pub(super) fn edit_distances(&self) -> EditDistances {
        EditDistances::of(self.distances.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_nearest_ranks() {
        let summary = LengthSummary::of((1..=100).rev().collect()).unwrap();
        assert_eq!((summary.min, summary.median, summary.p95, summary.max), (1, 50, 95, 100));
        assert_eq!(summary.mean, 50.5);
        let one = LengthSummary::of(vec![7]).unwrap();
        assert_eq!((one.min, one.median, one.p95, one.max), (7, 7, 7, 7));
        assert_eq!(LengthSummary::of(Vec::new()), None);
    }

    #[test]
    fn the_histogram_counts_every_pair_once() {
        let distances = EditDistances::of(vec![0.0, 0.049, 0.05, 0.5, 1.0]);
        assert_eq!(distances.histogram.iter().sum::<usize>(), 5);
        assert_eq!((distances.histogram[0], distances.histogram[1]), (2, 1));
        assert_eq!((distances.histogram[10], distances.histogram[19]), (1, 1));
        assert_eq!(distances.median, 0.05);
    }
}
