//! Models of SmolLM2-135M's and of MiniLM-L6's shape with random weights, and texts for them.
//!
//! Speed does not depend on the weights' values, so that nothing has to be downloaded.

pub mod encoder;

/// What the program has too.
#[global_allocator]
static ALLOCATOR: bestof_memory::TensorMemory = bestof_memory::TensorMemory;

use std::error::Error;

use bestof_checkpoints::{StoredType, TensorInfo};
use bestof_models::{
    Decoder, DecoderConfig, Device, ForestBuilder, Precision, Sequence, TokenForest,
};
use serde_json::json;

/// A shape by name: `smollm2` and `360m` of SmolLM2's, `1b`, `3b` and `8b` of Llama 3's.
///
/// # Errors
/// Another name.
pub fn shape(name: &str) -> Result<DecoderConfig, Box<dyn Error>> {
    // Vocabulary, width, inner width, layers, heads, key heads, tied.
    let (vocabulary, width, inner, layers, heads, keys, tied) = match name {
        "smollm2" => (49_152, 576, 1536, 30, 9, 3, true),
        "360m" => (49_152, 960, 2560, 32, 15, 5, true),
        "1b" => (128_256, 2048, 8192, 16, 32, 8, true),
        "3b" => (128_256, 3072, 8192, 28, 24, 8, true),
        "8b" => (128_256, 4096, 14_336, 32, 32, 8, false),
        _ => {
            return Err(format!("known shapes are smollm2, 360m, 1b, 3b and 8b, not {name}").into());
        }
    };
    Ok(DecoderConfig::from_hf(&json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": width,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": keys, "max_position_embeddings": 8192, "rope_theta": 100_000.0,
        "tie_word_embeddings": tied,
    }))?)
}

/// The processor time this process has used, in hundredths of a second; 0 where the system does not report it.
pub fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// By name: `f32`, `bf16`, `f16`, or blocks, `q8_0` and `q4_0`.
///
/// # Errors
/// Another name.
pub fn precision(format: &str) -> Result<Precision, Box<dyn Error>> {
    Ok(match format.parse() {
        Ok(dtype) => Precision::default().with_dtype(dtype),
        Err(_) => Precision::default().with_quantize(Some(format.parse()?)),
    })
}

/// The matrices that a checkpoint of a llama's shape has; norms are left out.
pub fn tensors(config: &DecoderConfig) -> Vec<TensorInfo> {
    let (width, inner) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_heads * config.head_dim;
    let keys = config.num_kv_heads * config.head_dim;
    let tensor = |name: String, out: usize, width: usize| TensorInfo {
        name,
        dtype: StoredType::BF16,
        shape: vec![out, width],
    };
    let mut all = vec![tensor("model.embed_tokens.weight".to_owned(), config.vocab_size, width)];
    if !config.tied_embeddings {
        all.push(tensor("lm_head.weight".to_owned(), config.vocab_size, width));
    }
    for layer in 0..config.layers.len() {
        for (path, out, width) in [
            ("self_attn.q_proj", queries, width),
            ("self_attn.k_proj", keys, width),
            ("self_attn.v_proj", keys, width),
            ("self_attn.o_proj", width, queries),
            ("mlp.gate_proj", inner, width),
            ("mlp.up_proj", inner, width),
            ("mlp.down_proj", width, inner),
        ] {
            all.push(tensor(format!("model.layers.{layer}.{path}.weight"), out, width));
        }
    }
    all
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
