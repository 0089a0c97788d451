//! Two real decoders against numbers recorded with transformers: logits, greedy text, and
//! log-probabilities of completions.
//!
//! Needs the models of `cargo xtask fetch`, in the folder that `BESTOF_REAL_MODELS` names.
#![cfg(feature = "real-models")]
#![expect(clippy::unwrap_used, reason = "a test")]
#![allow(clippy::print_stdout, reason = "the measured distances are worth reading")]

use std::path::PathBuf;

use bestof_checkpoints::ModelFolder;
use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, Device, Dtype, ForestBuilder, ForwardOptions, Precision,
    Quantization, Request, SamplingConfig, Sequence, TokenForest,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    prompts: Vec<Prompt>,
    completions: Vec<Completion>,
}

#[derive(Deserialize)]
struct Prompt {
    name: String,
    ids: Vec<u32>,
    greedy_ids: Vec<u32>,
    eos_id: u32,
    logits: Vec<Logits>,
}

#[derive(Deserialize)]
struct Logits {
    pos: usize,
    top_ids: Vec<usize>,
    top_values: Vec<f32>,
}

#[derive(Deserialize)]
struct Completion {
    prompt_ids: Vec<u32>,
    completion_ids: Vec<u32>,
    token_logprobs: Vec<f32>,
    sum_logprob: f64,
}

fn models() -> PathBuf {
    let root = std::env::var_os("BESTOF_REAL_MODELS")
        .expect("set BESTOF_REAL_MODELS to the folder that `cargo xtask fetch` filled");
    PathBuf::from(root)
}

fn open(name: &str) -> Decoder {
    let folder = ModelFolder::open(&models().join(name)).unwrap();
    Decoder::open(&folder, &Device::flex()).unwrap()
}

fn compare(name: &str, recorded: &str) {
    let recorded: Recorded = serde_json::from_str(recorded).unwrap();
    let model = open(name);
    let vocab = model.vocab_size();
    for prompt in &recorded.prompts {
        let forest = TokenForest::text(&prompt.ids);
        let rows: Vec<u32> = (0..prompt.ids.len() as u32).collect();
        let logits = model.logits(&forest, &rows, &ForwardOptions::default()).unwrap();
        let logits = host_values(logits);
        for expected in &prompt.logits {
            for (id, value) in expected.top_ids.iter().zip(&expected.top_values) {
                let found = logits[expected.pos * vocab + id];
                assert!(
                    (found - value).abs() < 1e-2,
                    "{name}, {}, position {}, token {id}: {found}, recorded {value}",
                    prompt.name,
                    expected.pos
                );
            }
        }
    }
    let requests: Vec<Request> = recorded
        .prompts
        .iter()
        .map(|prompt| Request { prompt: prompt.ids.clone(), samples: 1, seed: 0 })
        .collect();
    let sampling = SamplingConfig::greedy(40).with_eos_token_ids(vec![recorded.prompts[0].eos_id]);
    // Together in one batch: prompts of different lengths must not disturb each other.
    let greedy = model.generate(&requests, &sampling, &mut |_| AfterToken::Continue).unwrap();
    for (generation, prompt) in greedy.iter().zip(&recorded.prompts) {
        assert_eq!(generation.ids, prompt.greedy_ids, "{name}, {}", prompt.name);
    }
    for completion in &recorded.completions {
        let tokens = [completion.prompt_ids.as_slice(), &completion.completion_ids].concat();
        let mut builder = ForestBuilder::new();
        let completion_start = completion.prompt_ids.len();
        let spans = builder.add_group(&[Sequence { tokens: &tokens, completion_start }]);
        let logps = model.token_logps(&builder.finish(), &ForwardOptions::default()).unwrap();
        let logprobs = host_values(logps);
        assert_eq!(logprobs.len(), completion.token_logprobs.len());
        for (found, expected) in logprobs.iter().zip(&completion.token_logprobs) {
            assert!((found - expected).abs() < 1e-3, "{name}: {found}, recorded {expected}");
        }
        assert!((spans[0].sum(&logprobs) - completion.sum_logprob).abs() < 1e-2);
    }
}

#[test]
fn smollm2_is_what_transformers_computes() {
    compare("smollm2-135m-instruct", include_str!("fixtures/real/smollm2-135m-instruct.json"));
}

#[test]
fn gemma3_is_what_transformers_computes() {
    compare("gemma3-270m", include_str!("fixtures/real/gemma3-270m.json"));
}

/// How far the log-probabilities of the recorded completions are from those of transformers in f32, per
/// token: the mean, and the mean magnitude.
fn distance(precision: Precision) -> (f64, f64) {
    let recorded = include_str!("fixtures/real/smollm2-135m-instruct.json");
    let recorded: Recorded = serde_json::from_str(recorded).unwrap();
    let folder = ModelFolder::open(&models().join("smollm2-135m-instruct")).unwrap();
    let model = Decoder::open_in(&folder, precision, &Device::flex()).unwrap();
    let (mut sum, mut magnitude, mut count) = (0.0, 0.0, 0.0);
    for completion in &recorded.completions {
        let tokens = [completion.prompt_ids.as_slice(), &completion.completion_ids].concat();
        let mut builder = ForestBuilder::new();
        let completion_start = completion.prompt_ids.len();
        builder.add_group(&[Sequence { tokens: &tokens, completion_start }]);
        let logps = model.token_logps(&builder.finish(), &ForwardOptions::default()).unwrap();
        for (found, expected) in host_values(logps).iter().zip(&completion.token_logprobs) {
            let gap = f64::from(found - expected);
            (sum, magnitude, count) = (sum + gap, magnitude + gap.abs(), count + 1.0);
        }
    }
    assert!(count > 0.0);
    (sum / count, magnitude / count)
}

#[test]
fn smollm2_at_rest_says_nearly_the_same() {
    let plain = Precision::default();
    for (name, precision, mean_bound, magnitude_bound) in [
        ("bf16", plain.with_dtype(Dtype::BF16), 0.01, 0.02),
        ("q8_0", plain.with_quantize(Some(Quantization::Q8_0)), 0.01, 0.1),
        ("q4_0", plain.with_quantize(Some(Quantization::Q4_0)), 0.5, 1.0),
    ] {
        let (mean, magnitude) = distance(precision);
        println!("{name}: {mean:+.4} nats a token, {magnitude:.4} in magnitude");
        assert!(mean.abs() < mean_bound && magnitude < magnitude_bound, "{name}");
    }
}
