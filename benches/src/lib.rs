//! Models of SmolLM2-135M's and of MiniLM-L6's shape with random weights, and texts for them.
//!
//! Speed does not depend on the weights' values, so that nothing has to be downloaded.

pub mod encoder;

use bestof_models::{
    Decoder, DecoderConfig, Device, ForestBuilder, ModelError, Sequence, TokenForest,
};
use serde_json::json;

/// A model of SmolLM2-135M's shape.
///
/// # Errors
/// As [`Decoder::random`].
pub fn smollm2(device: &Device) -> Result<Decoder, ModelError> {
    let config = DecoderConfig::from_hf(&json!({
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rope_theta": 100_000.0, "tie_word_embeddings": true,
    }))?;
    Decoder::random(config, 1, device)
}

/// Tokens of which no two texts have a common start by accident.
pub fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 49_000) as u32).collect()
}

/// A text as a forest of one path.
pub fn text(count: usize) -> TokenForest {
    TokenForest::text(&tokens(count, 4))
}

/// A preference pair: `prompt` tokens, then `shared` that both answers begin with, then `own` of
/// each answer's own.
pub fn pair(prompt: usize, shared: usize, own: usize) -> TokenForest {
    let start = tokens(prompt + shared, 0);
    let answer = |seed| -> Vec<u32> { start.iter().copied().chain(tokens(own, seed)).collect() };
    let (chosen, rejected) = (answer(1), answer(2));
    let mut builder = ForestBuilder::new();
    builder.add_group(&[
        Sequence { tokens: &chosen, completion_start: prompt },
        Sequence { tokens: &rejected, completion_start: prompt },
    ]);
    builder.finish()
}
