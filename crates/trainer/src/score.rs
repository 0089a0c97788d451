//! Log-probabilities of rows, a batch at a time: what evaluations and reference caches are made of.

use bestof_kernels::host_values;
use bestof_models::{CausalLm, ForwardOptions};
use serde::{Deserialize, Serialize};

use crate::communicator::Ranks;
use crate::data::{EncodedCompletion, EncodedPair};
use crate::error::TrainError;
use crate::forward::{PackedForest, RowSequence, pack};
use crate::progress::Progress;

/// Summed log-probabilities of a pair's answers, given the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairScore {
    /// Of the chosen answer.
    pub chosen: f64,
    /// Of the rejected answer.
    pub rejected: f64,
    /// Tokens of the chosen answer.
    pub chosen_len: usize,
    /// Tokens of the rejected answer.
    pub rejected_len: usize,
    /// Of the longer answer's tokens beyond the length of the shorter one; part of its sum.
    pub tail: f64,
}

/// How many rows go through the model together, and on which ranks.
#[derive(Debug, Clone, Copy)]
pub struct ScoreSettings<'r> {
    /// Rows per batch.
    pub batch: usize,
    /// Most tokens in one forward pass.
    pub max_tokens: usize,
    /// Each computes its share of the rows, and has the results of all.
    pub ranks: Ranks<'r>,
}

impl PairScore {
    /// The sum of both scores, which is a number if each of them is.
    pub fn sum(&self) -> f64 {
        self.chosen + self.rejected
    }
}

impl Default for ScoreSettings<'_> {
    /// Eight rows, 4096 tokens, a single rank.
    fn default() -> Self {
        Self { batch: 8, max_tokens: 4096, ranks: Ranks::default() }
    }
}

impl<'r> ScoreSettings<'r> {
    /// The same on these ranks.
    #[must_use]
    pub fn with_ranks(self, ranks: Ranks<'r>) -> Self {
        Self { ranks, ..self }
    }
}

/// The two sequences of a pair; as a tree they share prompt and common start.
pub(crate) fn pair_sequences(pair: &EncodedPair) -> Vec<RowSequence> {
    let completion_start = pair.completion_start();
    [pair.chosen_sequence(), pair.rejected_sequence()]
        .map(|tokens| RowSequence { tokens, completion_start })
        .to_vec()
}

/// The one sequence of a completion.
pub(crate) fn completion_sequences(item: &EncodedCompletion) -> Vec<RowSequence> {
    vec![RowSequence { tokens: item.sequence(), completion_start: item.completion_start() }]
}

/// The scores of the pairs of one forest, by row.
pub(crate) fn pair_scores(part: &PackedForest, logprobs: &[f32]) -> Vec<(usize, PairScore)> {
    part.rows
        .iter()
        .map(|(row, spans)| {
            let (chosen_len, rejected_len) = (spans[0].len(), spans[1].len());
            let shared = chosen_len.min(rejected_len);
            let beyond = spans.iter().flat_map(|span| &span.targets[shared..]);
            let score = PairScore {
                chosen: spans[0].sum(logprobs),
                rejected: spans[1].sum(logprobs),
                chosen_len,
                rejected_len,
                tail: beyond.map(|&target| f64::from(logprobs[target])).sum(),
            };
            (*row, score)
        })
        .collect()
}

/// Scores of all pairs, in their order.
///
/// # Errors
/// What the model says.
pub fn score_pairs<M: CausalLm + ?Sized>(
    model: &M,
    pairs: &[EncodedPair],
    options: &ForwardOptions,
    settings: ScoreSettings<'_>,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<Vec<PairScore>, TrainError> {
    settings.ranks.deal(pairs.len(), |rows| {
        let mut scores = Vec::with_capacity(rows.len());
        for batch in rows.chunks(settings.batch.max(1)) {
            for part in pack(model, batch, settings.max_tokens, |row| pair_sequences(&pairs[row])) {
                let logprobs = host_values(model.token_logps(&part.forest, options)?.inner());
                scores.extend(pair_scores(&part, &logprobs).into_iter().map(|(_, score)| score));
            }
            progress.rows(what, scores.len(), rows.len());
        }
        Ok(scores)
    })
}

/// Refuses scores that are no numbers; `name` gives the name of a row.
///
/// # Errors
/// [`TrainError::ScoreNotFinite`] with the first such row.
pub fn check_finite(
    scores: impl IntoIterator<Item = f64>,
    name: impl Fn(usize) -> String,
) -> Result<(), TrainError> {
    match scores.into_iter().enumerate().find(|(_, score)| !score.is_finite()) {
        None => Ok(()),
        Some((row, found)) => Err(TrainError::ScoreNotFinite { row, name: Some(name(row)), found }),
    }
}

/// Log-probability of every completion token of every row, in their order.
///
/// # Errors
/// What the model says.
pub fn score_completions<M: CausalLm + ?Sized>(
    model: &M,
    rows: &[EncodedCompletion],
    options: &ForwardOptions,
    settings: ScoreSettings<'_>,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let sequences = |row: usize| completion_sequences(&rows[row]);
    score_sequences(model, rows.len(), sequences, options, settings, what, progress)
}

/// Summed log-probability of the completion of every row, in their order.
///
/// # Errors
/// What the model says.
pub fn score_sums<M: CausalLm + ?Sized>(
    model: &M,
    rows: &[EncodedCompletion],
    options: &ForwardOptions,
    settings: ScoreSettings<'_>,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<Vec<f64>, TrainError> {
    let logps = score_completions(model, rows, options, settings, what, progress)?;
    Ok(logps.iter().map(|row| row.iter().map(|logp| f64::from(*logp)).sum()).collect())
}

/// Log-probability of every target of rows of one sequence each.
pub(crate) fn score_sequences<M: CausalLm + ?Sized>(
    model: &M,
    count: usize,
    sequences: impl Fn(usize) -> Vec<RowSequence>,
    options: &ForwardOptions,
    settings: ScoreSettings<'_>,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<Vec<Vec<f32>>, TrainError> {
    settings.ranks.deal(count, |rows| {
        let mut scores = Vec::with_capacity(rows.len());
        for batch in rows.chunks(settings.batch.max(1)) {
            for part in pack(model, batch, settings.max_tokens, &sequences) {
                let logprobs = host_values(model.token_logps(&part.forest, options)?.inner());
                for (_, spans) in &part.rows {
                    scores.push(spans[0].targets.iter().map(|&i| logprobs[i]).collect());
                }
            }
            progress.rows(what, scores.len(), rows.len());
        }
        Ok(scores)
    })
}

#[cfg(test)]
mod tests {
    use bestof_models::{Decoder, DecoderConfig, Device};
    use serde_json::json;

    use super::*;
    use crate::data::Boundary;
    use crate::progress::Silent;

    #[test]
    fn a_pair_across_a_length_of_the_basis_scores_as_its_sequences_alone() {
        let config = json!({
            "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 16, "rope_theta": 10000.0, "initializer_range": 0.2,
            "rope_scaling": { "rope_type": "dynamic", "factor": 4.0 },
        });
        let config = DecoderConfig::from_hf(&config).unwrap();
        let model = Decoder::random(config, 3, &Device::flex()).unwrap();
        let answer = |length: u32, by: u32| (0..length).map(|i| (i * i + by) % 64).collect();
        let pair = EncodedPair {
            prompt_ids: (0..10).collect(),
            chosen_ids: answer(3, 7),
            rejected_ids: answer(14, 30),
            chosen_boundary: Boundary::Joint,
            rejected_boundary: Boundary::Joint,
            truncated: false,
        };
        let options = ForwardOptions::default();
        let settings = ScoreSettings::default();
        let together =
            score_pairs(&model, std::slice::from_ref(&pair), &options, settings, "", &mut Silent)
                .unwrap();
        let alone = |completion_ids: &[u32]| -> f64 {
            let row = EncodedCompletion {
                prompt_ids: pair.prompt_ids.clone(),
                completion_ids: completion_ids.to_vec(),
                boundary: Boundary::Joint,
                skipped: Vec::new(),
                truncated: false,
            };
            let logps =
                score_completions(&model, &[row], &options, settings, "", &mut Silent).unwrap();
            logps[0].iter().map(|logp| f64::from(*logp)).sum()
        };
        let (chosen, rejected) = (alone(&pair.chosen_ids), alone(&pair.rejected_ids));
        assert!((together[0].chosen - chosen).abs() < 1e-4, "{together:?} against {chosen}");
        assert!((together[0].rejected - rejected).abs() < 1e-4, "{together:?} against {rejected}");
    }
}
