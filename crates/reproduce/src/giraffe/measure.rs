//! What a model finds and how well it predicts, length by length.

use std::path::Path;

use bestof_checkpoints::ModelFolder;
use bestof_models::{Decoder, ModelError, open_device};
use bestof_positional::hf::with_factor;
use bestof_tasks::long_context::RetrievalCase;
use bestof_trainer::TrainError;
use bestof_trainer::data::{Boundary, EncodeOptions, EncodedCompletion, Encoder};
use bestof_trainer::evaluate::perplexity_of_completions;
use bestof_trainer::progress::Silent;
use bestof_trainer::retrieval::{RetrievalSettings, answer};
use bestof_trainer::score::ScoreSettings;
use serde_json::{Value, json};

use super::size::{DEPTHS, Size};
use crate::ReproduceError;

/// What models are asked.
#[derive(Debug, Clone)]
pub(super) struct Questions {
    pub(super) cases: Vec<RetrievalCase>,
    /// Texts, each at least as long as the longest length.
    pub(super) texts: Vec<String>,
}

/// What was measured at one length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AtLength {
    /// Right answers and questions at each of [`DEPTHS`].
    pub(super) by_depth: [(usize, usize); DEPTHS.len()],
    /// Of the last tokens of texts, which are the same at every length.
    pub(super) perplexity: f64,
}

impl AtLength {
    /// Right answers, and questions.
    pub(super) fn total(&self) -> (usize, usize) {
        self.by_depth.iter().fold((0, 0), |(hits, n), (h, m)| (hits + h, n + m))
    }

    /// Share of right answers.
    pub(super) fn accuracy(&self) -> f64 {
        let (hits, n) = self.total();
        hits as f64 / n as f64
    }
}

/// A `config.json` that allows sequences of this length, its frequencies as they are.
pub(super) fn with_room(mut config: Value, length: usize) -> Value {
    // `dynamic` divides by the trained length, which stays; the lock has the longest sequence.
    if config["rope_scaling"]["rope_type"] == "dynamic" {
        config["bestof"]["length"] = json!(length);
    } else {
        config["max_position_embeddings"] = json!(length);
    }
    config
}

/// Measures the model of a folder at these lengths, with another factor where one is given.
pub(super) fn measure(
    folder: &ModelFolder,
    eval_factor: Option<f64>,
    size: &Size,
    lengths: &[usize],
    questions: &Questions,
    device: &str,
) -> Result<Vec<AtLength>, ReproduceError> {
    Ok(try_measure(folder, eval_factor, size, lengths, questions, device)?)
}

fn try_measure(
    folder: &ModelFolder,
    eval_factor: Option<f64>,
    size: &Size,
    lengths: &[usize],
    questions: &Questions,
    device: &str,
) -> Result<Vec<AtLength>, TrainError> {
    let mut folder = folder.clone();
    if let Some(factor) = eval_factor {
        folder.config = with_factor(&folder.config, factor).map_err(ModelError::from)?;
    }
    folder.config = with_room(folder.config, size.longest());
    let model = Decoder::open(&folder, &open_device(device)?)?;
    let encoder = Encoder::new(folder.tokenizer()?, None, EncodeOptions::scoring())?;
    let settings = RetrievalSettings {
        max_new_tokens: size.answer,
        eos_token_ids: folder.generation.eos_token_ids.clone(),
    };
    let mut found = Vec::new();
    for &length in lengths {
        let mut by_depth = [(0, 0); DEPTHS.len()];
        for case in questions.cases.iter().filter(|case| case.length_target == Some(length)) {
            let at = DEPTHS.iter().position(|depth| case.depth_target == Some(*depth));
            let Some(cell) = at.map(|at| &mut by_depth[at]) else { continue };
            if let Some(answer) = answer(&model, &encoder, case, &settings)? {
                cell.0 += usize::from(answer.score.correct);
                cell.1 += 1;
            }
        }
        let rows = questions
            .texts
            .iter()
            .map(|text| {
                let ids = encoder.tokenizer().encode(text, false)?;
                Ok(end_of(&ids, encoder.leading_ids(), length, size.scored))
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        let settings = ScoreSettings { batch: 16, ..ScoreSettings::default() };
        let perplexity = perplexity_of_completions(&model, &rows, settings, &mut Silent)?.value;
        found.push(AtLength { by_depth, perplexity });
    }
    Ok(found)
}

/// The last `scored` tokens of a text after as much of it as makes `length` tokens with those that
/// begin every text.
fn end_of(ids: &[u32], leading: &[u32], length: usize, scored: usize) -> EncodedCompletion {
    let split = ids.len().saturating_sub(scored);
    let begin = ids.len().saturating_sub(length - leading.len()).min(split);
    EncodedCompletion {
        prompt_ids: [leading, &ids[begin..split]].concat(),
        completion_ids: ids[split..].to_vec(),
        boundary: Boundary::Joint,
        skipped: Vec::new(),
        truncated: false,
    }
}

/// Opens a folder.
pub(super) fn open(dir: &Path) -> Result<ModelFolder, ReproduceError> {
    Ok(ModelFolder::open(dir).map_err(TrainError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_end_stands_after_shorter_and_longer_beginnings() {
        let ids: Vec<u32> = (0..40).collect();
        let (short, long) = (end_of(&ids, &[99], 11, 4), end_of(&ids, &[99], 31, 4));
        assert_eq!(short.completion_ids, [36, 37, 38, 39]);
        assert_eq!(long.completion_ids, short.completion_ids);
        assert_eq!(short.prompt_ids, [99, 30, 31, 32, 33, 34, 35]);
        assert_eq!(long.sequence().len(), 31);
        assert!(long.prompt_ids.ends_with(&short.prompt_ids[1..]));
    }

    #[test]
    fn room_for_long_texts_changes_no_frequency() {
        let plain = json!({"max_position_embeddings": 8, "rope_scaling": null});
        assert_eq!(with_room(plain, 64)["max_position_embeddings"], 64);
        let dynamic =
            json!({"max_position_embeddings": 8, "rope_scaling": {"rope_type": "dynamic"}});
        let roomy = with_room(dynamic, 64);
        assert_eq!(
            (&roomy["max_position_embeddings"], &roomy["bestof"]["length"]),
            (&json!(8), &json!(64))
        );
    }
}
