//! Parity of decoders: logits, log-probabilities of next tokens, the greedy continuation.

use anyhow::{Result, bail};
use bestof_checkpoints::ModelFolder;
use bestof_models::{
    AfterToken, CausalLm, Decoder, Device, ForwardOptions, Request, SamplingConfig, TokenForest,
};
use std::collections::BTreeMap;

use super::expected::Expected;

/// Tokens of the first row that `greedy` continues.
const PROMPT: usize = 8;

pub(super) fn compare(
    folder: &ModelFolder,
    expected: &Expected,
    device: &Device,
) -> Result<BTreeMap<String, f64>> {
    let model_type = folder.model_type().unwrap_or_default();
    expected.only(&["logits", "token_logprobs", "greedy"], model_type)?;
    if expected.types.is_some() {
        bail!("`token_type_ids` is expected, which a {model_type} does not have");
    }
    let lengths = unpadded_lengths(expected)?;
    let model = Decoder::open(folder, device)?;
    let mut differences = BTreeMap::new();
    if expected.contains("logits") {
        compare_logits(&model, expected, &lengths, &mut differences)?;
    }
    if expected.contains("token_logprobs") {
        compare_logprobs(&model, expected, &lengths, &mut differences)?;
    }
    if expected.contains("greedy") {
        differences.insert("greedy".to_owned(), compare_greedy(&model, expected, &lengths)?);
    }
    Ok(differences)
}

/// The number of tokens of each row before its padding.
fn unpadded_lengths(expected: &Expected) -> Result<Vec<usize>> {
    (0..expected.rows)
        .map(|row| {
            let mask = expected.row_mask(row);
            let length = mask.iter().take_while(|attended| **attended).count();
            if length == 0 || mask[length..].contains(&true) {
                bail!(
                    "expected.safetensors: row {row} is padded before or between its tokens; \
                     pad on the right"
                );
            }
            Ok(length)
        })
        .collect()
}

fn compare_logits(
    model: &Decoder,
    expected: &Expected,
    lengths: &[usize],
    differences: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let vocabulary = model.vocab_size();
    let mut found = Vec::new();
    for (row, &length) in lengths.iter().enumerate() {
        let forest = TokenForest::text(&expected.row(row)[..length]);
        let rows: Vec<u32> = (0..length as u32).collect();
        let logits = model.logits(&forest, &rows, &ForwardOptions::default())?;
        found.extend(logits.into_data().iter::<f32>());
        found.resize((row + 1) * expected.length * vocabulary, 0.0);
    }
    let shape = [expected.rows, expected.length, vocabulary];
    expected.compare("logits", &shape, &found, &expected.mask, differences)
}

fn compare_logprobs(
    model: &Decoder,
    expected: &Expected,
    lengths: &[usize],
    differences: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let width = expected.length.saturating_sub(1);
    let (mut found, mut compared) = (Vec::new(), Vec::new());
    for (row, &length) in lengths.iter().enumerate() {
        let forest = TokenForest::text(&expected.row(row)[..length]);
        let logps = model.token_logps(&forest, &ForwardOptions::default())?;
        found.extend(logps.into_data().iter::<f32>());
        found.resize((row + 1) * width, 0.0);
        compared.extend((0..width).map(|at| at + 1 < length));
    }
    expected.compare("token_logprobs", &[expected.rows, width], &found, &compared, differences)
}

/// The number of tokens that differ.
///
/// transformers returns prompt and continuation together; the prompt is cut off a `greedy` that
/// starts with it.
fn compare_greedy(model: &Decoder, expected: &Expected, lengths: &[usize]) -> Result<f64> {
    let mut continuation = expected.greedy()?;
    let prompt = expected.row(0)[..lengths[0].min(PROMPT)].to_vec();
    if continuation.starts_with(&prompt) {
        continuation.drain(..prompt.len());
    }
    if continuation.is_empty() {
        bail!(expected.nothing_to_compare());
    }
    let request = Request { prompt, samples: 1, seed: 0 };
    let config = SamplingConfig::greedy(continuation.len());
    let generations = model.generate(&[request], &config, &mut |_| AfterToken::Continue)?;
    let ids = generations.first().map_or(&[][..], |generation| &generation.ids);
    let same = ids.iter().zip(&continuation).filter(|(a, b)| a == b).count();
    Ok((continuation.len().max(ids.len()) - same) as f64)
}
