//! Models of SmolLM2-135M's and of MiniLM-L6's shape with random weights, and texts for them.
//!
//! Speed does not depend on the weights' values, so that nothing has to be downloaded.

pub mod encoder;

use std::error::Error;

use bestof_models::{Decoder, DecoderConfig, Device, ForestBuilder, Sequence, TokenForest};
use serde_json::json;

/// A shape by name: `smollm2`, SmolLM2-135M's, or `1b`, of 16 layers of width 2048.
///
/// # Errors
/// Another name.
pub fn shape(name: &str) -> Result<DecoderConfig, Box<dyn Error>> {
    let config = match name {
        "smollm2" => json!({
            "model_type": "llama", "vocab_size": 49152, "hidden_size": 576,
            "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "max_position_embeddings": 8192, "rope_theta": 100_000.0,
            "tie_word_embeddings": true,
        }),
        "1b" => json!({
            "model_type": "llama", "vocab_size": 128_256, "hidden_size": 2048,
            "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 64, "max_position_embeddings": 8192,
            "rope_theta": 500_000.0, "tie_word_embeddings": true,
        }),
        _ => return Err(format!("shape `{name}` is not known; known are smollm2 and 1b").into()),
    };
    Ok(DecoderConfig::from_hf(&config)?)
}

/// A model of SmolLM2-135M's shape.
///
/// # Errors
/// As [`Decoder::random`].
pub fn smollm2(device: &Device) -> Result<Decoder, Box<dyn Error>> {
    Ok(Decoder::random(shape("smollm2")?, 1, device)?)
}

/// Tokens of which no two texts have a common start by accident.
pub fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 49_000) as u32).collect()
}

/// A text as a forest of one path.
pub fn text(count: usize) -> TokenForest {
    TokenForest::text(&tokens(count, 4))
}

/// Preference pairs of `prompt` tokens and two answers of `own` tokens.
pub fn pairs(count: usize, prompt: usize, own: usize) -> TokenForest {
    let mut builder = ForestBuilder::new();
    for pair in 0..count {
        let start = tokens(prompt, 10 * pair);
        let answer =
            |seed| -> Vec<u32> { start.iter().copied().chain(tokens(own, seed)).collect() };
        let (chosen, rejected) = (answer(10 * pair + 1), answer(10 * pair + 2));
        builder.add_group(&[
            Sequence { tokens: &chosen, completion_start: prompt },
            Sequence { tokens: &rejected, completion_start: prompt },
        ]);
    }
    builder.finish()
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
