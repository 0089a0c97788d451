//! Where time and memory go: SmolLM2-135M's shape with random weights.
//!
//! `cargo run --release -p bestof-models --example profile [-- FILTER]` prints a line a workload:
//! the fastest of some runs in seconds, the processor time of that run, and the highest memory of
//! the process during them.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::error::Error;
use std::time::Instant;

use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, DecoderConfig, Device, ForestBuilder, ForwardOptions,
    LoraConfig, Request, SamplingConfig, Sequence, TokenForest,
};
use burn::optim::GradientsParams;
use serde_json::json;

type Outcome = Result<(), Box<dyn Error>>;

fn shape() -> Result<DecoderConfig, Box<dyn Error>> {
    Ok(DecoderConfig::from_hf(&json!({
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "rope_theta": 100_000.0, "tie_word_embeddings": true,
    }))?)
}

/// Tokens that differ enough to make no tree merge by accident.
fn tokens(count: usize, seed: usize) -> Vec<u32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729) % 49_000) as u32).collect()
}

/// A pair with 200 shared tokens and 60 of its own on each side.
fn pair() -> TokenForest {
    let shared = tokens(200, 0);
    let with = |seed| -> Vec<u32> { shared.iter().copied().chain(tokens(60, seed)).collect() };
    let (chosen, rejected) = (with(1), with(2));
    let mut builder = ForestBuilder::new();
    builder.add_group(&[
        Sequence { tokens: &chosen, completion_start: 200 },
        Sequence { tokens: &rejected, completion_start: 200 },
    ]);
    builder.finish()
}

/// The peak of the resident set since the last call, in MiB; 0 where the system does not say.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    peak.unwrap_or(0) / 1024
}

/// The processor time this process has used, in seconds; 0 where the system does not say.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // User and system time are the 14th and 15th fields, in hundredths of a second.
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}

struct Profile {
    filter: String,
}

impl Profile {
    fn time(&self, name: &str, runs: usize, mut work: impl FnMut() -> Outcome) -> Outcome {
        if !name.contains(&self.filter) {
            return Ok(());
        }
        peak_mib();
        let mut best = (f64::INFINITY, 0.0);
        for _ in 0..runs {
            let (start, processor) = (Instant::now(), processor_seconds());
            work()?;
            let elapsed = start.elapsed().as_secs_f64();
            if elapsed < best.0 {
                best = (elapsed, processor_seconds() - processor);
            }
        }
        let (wall, processor) = best;
        println!("{name:<40} {wall:>8.3} s {processor:>8.2} cpu s {:>6} MiB", peak_mib());
        Ok(())
    }
}

fn train(model: &Decoder, forest: &TokenForest, options: &ForwardOptions) -> Outcome {
    let loss = model.token_logps(forest, options)?.mean().neg();
    GradientsParams::from_grads(loss.backward(), model);
    Ok(())
}

fn generate(model: &Decoder, samples: usize, new_tokens: usize) -> Outcome {
    let request = Request { prompt: tokens(44, 3), samples, seed: 1 };
    let config = SamplingConfig::default().with_max_new_tokens(new_tokens);
    model.generate(&[request], &config, &mut |_| AfterToken::Continue)?;
    Ok(())
}

fn main() -> Outcome {
    let profile = Profile { filter: std::env::args().nth(1).unwrap_or_default() };
    let options = ForwardOptions::default();
    {
        let model = Decoder::random(shape()?, 1, &Device::flex())?;
        let short = TokenForest::text(&tokens(256, 4));
        profile.time("log-probabilities 1x256", 3, || {
            host_values(model.token_logps(&short, &options)?);
            Ok(())
        })?;
        let text = TokenForest::text(&tokens(1024, 5));
        profile.time("log-probabilities 1x1024", 2, || {
            host_values(model.token_logps(&text, &options)?);
            Ok(())
        })?;
        profile.time("log-probabilities of a pair 200+60+60", 2, || {
            host_values(model.token_logps(&pair(), &options)?);
            Ok(())
        })?;
        profile.time("prefill 44, decode 32 tokens, batch 1", 2, || generate(&model, 1, 32))?;
        profile.time("prefill 44, decode 32 tokens, batch 16", 2, || generate(&model, 16, 32))?;
        let long = Request { prompt: tokens(8192, 6), samples: 1, seed: 0 };
        profile.time("prefill 8192", 1, || {
            let config = SamplingConfig::greedy(1);
            model.generate(std::slice::from_ref(&long), &config, &mut |_| AfterToken::Continue)?;
            Ok(())
        })?;
        let long = TokenForest::text(&tokens(8192, 6));
        profile.time("log-probabilities 1x8192", 1, || {
            host_values(model.token_logps(&long, &options)?);
            Ok(())
        })?;
    }
    let mut model = Decoder::random(shape()?, 1, &Device::flex().autodiff())?;
    let short = TokenForest::text(&tokens(256, 4));
    let checkpointed = options.with_checkpoint_layers(true);
    profile.time("full gradient 1x256", 2, || train(&model, &short, &options))?;
    profile
        .time("full gradient 1x256, checkpointed", 2, || train(&model, &short, &checkpointed))?;
    model.attach_lora(&LoraConfig::default())?;
    profile.time("LoRA gradient, pair 200+60+60", 2, || train(&model, &pair(), &options))?;
    profile
        .time("LoRA gradient, pair, checkpointed", 2, || train(&model, &pair(), &checkpointed))?;
    Ok(())
}
