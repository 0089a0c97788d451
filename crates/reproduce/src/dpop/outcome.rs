//! What is measured of a model on held-out pairs.

use std::path::Path;

use bestof_checkpoints::ModelFolder;
use bestof_models::{
    AfterToken, CausalLm, Decoder, ForwardOptions, Request, SamplingConfig, open_device,
};
use bestof_tasks::extract::final_number;
use bestof_tasks::rows::ReadOptions;
use bestof_trainer::TrainError;
use bestof_trainer::data::{EncodeOptions, EncodedCompletion, EncodedPair, Encoder, load_pairs};
use bestof_trainer::progress::Silent;
use bestof_trainer::score::{ScoreSettings, score_completions};
use serde::{Deserialize, Serialize};

use crate::{ReproduceError, SmallLlama};

/// Longest answer that is generated, in tokens: the longest right one and some.
const LONGEST: usize = 48;

/// Means over the held-out pairs of one model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Log-probability of the chosen answer, in nats.
    pub(crate) chosen: f64,
    /// Log-probability of the rejected answer, in nats.
    pub(crate) rejected: f64,
    /// Log-probability a token of the chosen answer after the first that differs, in nats.
    pub(crate) after: f64,
    /// Share of pairs whose chosen answer is likelier than the rejected one.
    pub(crate) accuracy: f64,
    /// Share of problems whose greedy answer ends in the right number; NaN where none were solved.
    #[serde(with = "nan")]
    pub(crate) solved: f64,
}

/// Measures the model in `dir`; problems are solved only if `solve`.
pub(crate) fn measure(
    dir: &Path,
    pairs: &Path,
    device: &str,
    solve: bool,
) -> Result<Outcome, ReproduceError> {
    let device = open_device(device).map_err(TrainError::from)?;
    let folder = ModelFolder::open(dir).map_err(TrainError::from)?;
    let model = Decoder::open(&folder, &device).map_err(TrainError::from)?;
    let tokenizer = folder.tokenizer().map_err(TrainError::from)?;
    let encoder =
        Encoder::new(tokenizer, None, EncodeOptions::training()).map_err(TrainError::from)?;
    let pairs =
        load_pairs(pairs, &encoder, &ReadOptions::default()).map_err(TrainError::from)?.items;
    let chosen = logprobs(&model, &pairs, |pair| &pair.chosen_ids)?;
    let rejected = logprobs(&model, &pairs, |pair| &pair.rejected_ids)?;
    let sum = |logps: &Vec<f32>| logps.iter().map(|logp| f64::from(*logp)).sum::<f64>();
    let after: Vec<f64> = pairs
        .iter()
        .zip(&chosen)
        .filter_map(|(pair, logps)| {
            let later = logps.get(pair.shared_answer_tokens() + 1..)?;
            (!later.is_empty()).then(|| sum(&later.to_vec()) / later.len() as f64)
        })
        .collect();
    let likelier = chosen.iter().zip(&rejected).filter(|(c, r)| sum(c) > sum(r)).count();
    let count = pairs.len() as f64;
    let solved = if solve {
        let answers = answers(&model, &pairs)?;
        let right = answers.iter().zip(&pairs).filter(|(ids, pair)| {
            let number = |ids: &[u32]| {
                let text = tokenizer.decode(ids, true).ok()?;
                final_number(&text).map(|found| found.value)
            };
            number(ids).is_some() && number(ids) == number(&pair.chosen_ids)
        });
        right.count() as f64 / count
    } else {
        f64::NAN
    };
    Ok(Outcome {
        chosen: chosen.iter().map(sum).sum::<f64>() / count,
        rejected: rejected.iter().map(sum).sum::<f64>() / count,
        after: after.iter().sum::<f64>() / after.len() as f64,
        accuracy: likelier as f64 / count,
        solved,
    })
}

fn logprobs(
    model: &Decoder,
    pairs: &[EncodedPair],
    side: fn(&EncodedPair) -> &Vec<u32>,
) -> Result<Vec<Vec<f32>>, ReproduceError> {
    let rows: Vec<EncodedCompletion> = pairs
        .iter()
        .map(|pair| EncodedCompletion {
            prompt_ids: pair.prompt_ids.clone(),
            completion_ids: side(pair).clone(),
            boundary: pair.chosen_boundary,
            skipped: Vec::new(),
            truncated: false,
        })
        .collect();
    let settings = ScoreSettings { batch: 64, max_tokens: 8192, ..ScoreSettings::default() };
    let options = ForwardOptions::default();
    Ok(score_completions(model, &rows, &options, settings, "held-out pairs", &mut Silent)?)
}

fn answers(model: &Decoder, pairs: &[EncodedPair]) -> Result<Vec<Vec<u32>>, ReproduceError> {
    let requests: Vec<Request> = pairs
        .iter()
        .map(|pair| Request { prompt: pair.prompt_ids.clone(), samples: 1, seed: 0 })
        .collect();
    let sampling = SamplingConfig::greedy(LONGEST).with_eos_token_ids(vec![SmallLlama::END]);
    let mut answers = vec![Vec::new(); pairs.len()];
    let generations = model
        .generate(&requests, &sampling, &mut |_| AfterToken::Continue)
        .map_err(TrainError::from)?;
    for generation in generations {
        if let Some(answer) = answers.get_mut(generation.request) {
            *answer = generation.ids;
        }
    }
    Ok(answers)
}

/// JSON has no NaN; `null` stands for it.
mod nan {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::NAN))
    }
}
