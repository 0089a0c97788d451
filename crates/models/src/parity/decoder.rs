//! Parity of decoders: logits, log-probabilities of next tokens, the likeliest continuation.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bestof_checkpoints::ModelFolder;
use bestof_kernels::host_values;
use burn::tensor::Device;

use super::ParityError;
use super::expected::Expected;
use crate::causal_lm::{CausalLm, ForwardOptions};
use crate::decoder::Decoder;
use crate::forest::TokenForest;
use crate::sampling::{Request, SamplingConfig};

/// Tokens of the first row that `greedy` continues.
const PROMPT: usize = 8;

pub(super) fn compare(
    folder: &ModelFolder,
    expected: &Expected,
    device: &Device,
) -> Result<BTreeMap<String, f64>, ParityError> {
    let model_type = folder.model_type().unwrap_or_default();
    expected.only(&["logits", "token_logprobs", "greedy"], model_type)?;
    if expected.types.is_some() {
        let (key, model) = ("token_type_ids".to_owned(), model_type.to_owned());
        return Err(ParityError::NotComputed { key, model });
    }
    let lengths = seen_lengths(expected)?;
    let model = Decoder::open(folder, device)?;
    let mut differences = BTreeMap::new();
    if expected.wants("logits") {
        compare_logits(&model, expected, &lengths, &mut differences)?;
    }
    if expected.wants("token_logprobs") {
        compare_logprobs(&model, expected, &lengths, &mut differences)?;
    }
    if expected.wants("greedy") {
        differences.insert("greedy".to_owned(), greedy(&model, expected, &lengths)?);
    }
    Ok(differences)
}

/// The number of tokens of each row before its padding.
fn seen_lengths(expected: &Expected) -> Result<Vec<usize>, ParityError> {
    (0..expected.rows)
        .map(|row| {
            let mask = expected.row_mask(row);
            let seen = mask.iter().take_while(|seen| **seen).count();
            if seen == 0 || mask[seen..].contains(&true) {
                return Err(ParityError::NotRightPadded { row });
            }
            Ok(seen)
        })
        .collect()
}

fn compare_logits(
    model: &Decoder,
    expected: &Expected,
    lengths: &[usize],
    differences: &mut BTreeMap<String, f64>,
) -> Result<(), ParityError> {
    let words = model.vocab_size();
    let mut found = Vec::new();
    for (row, &length) in lengths.iter().enumerate() {
        let forest = TokenForest::text(&expected.row(row)[..length]);
        let rows: Vec<u32> = (0..length as u32).collect();
        let logits = model.logits(&forest, &rows, &ForwardOptions::default())?;
        found.extend(host_values(logits));
        found.resize((row + 1) * expected.length * words, 0.0);
    }
    let shape = [expected.rows, expected.length, words];
    expected.compare("logits", &shape, &found, &expected.mask, differences)
}

fn compare_logprobs(
    model: &Decoder,
    expected: &Expected,
    lengths: &[usize],
    differences: &mut BTreeMap<String, f64>,
) -> Result<(), ParityError> {
    let width = expected.length.saturating_sub(1);
    let (mut found, mut seen) = (Vec::new(), Vec::new());
    for (row, &length) in lengths.iter().enumerate() {
        let forest = TokenForest::text(&expected.row(row)[..length]);
        let logps = model.token_logps(&forest, &ForwardOptions::default())?;
        found.extend(host_values(logps));
        found.resize((row + 1) * width, 0.0);
        seen.extend((0..width).map(|at| at + 1 < length));
    }
    expected.compare("token_logprobs", &[expected.rows, width], &found, &seen, differences)
}

/// The number of tokens that differ.
///
/// transformers returns prompt and continuation in one; a tensor that starts with the prompt is
/// taken for that.
fn greedy(model: &Decoder, expected: &Expected, lengths: &[usize]) -> Result<f64, ParityError> {
    let mut wanted = expected.greedy()?;
    let prompt = expected.row(0)[..lengths[0].min(PROMPT)].to_vec();
    if wanted.starts_with(&prompt) {
        wanted.drain(..prompt.len());
    }
    if wanted.is_empty() {
        return Err(ParityError::NothingExpected { path: expected.path().to_path_buf() });
    }
    let request = Request { prompt, samples: 1, seed: 0 };
    let config = SamplingConfig::greedy(wanted.len());
    let found = model.generate(&[request], &config, &mut |_| ControlFlow::Continue(()))?;
    let ids = found.first().map_or(&[][..], |generation| &generation.ids);
    let same = ids.iter().zip(&wanted).filter(|(a, b)| a == b).count();
    Ok((wanted.len().max(ids.len()) - same) as f64)
}
