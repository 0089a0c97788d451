//! Logits, log-probabilities and greedy continuations against transformers 5.23 and 5.24, on tiny
//! checkpoints with random weights (two to seven layers a family and RoPE rule), those of the
//! later ones by `fixtures/parity/record.py`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the measured differences are worth reading")]

use std::path::{Path, PathBuf};

use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_closeness::largest_difference;
use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, DecoderConfig, Device, ForwardOptions, Precision, Request,
    SamplingConfig, TokenForest,
};

/// Both sides compute in f32, in another order: a few units in the sixth digit of logits near 1.
const TOLERANCE: f64 = 1e-4;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

fn decoder(name: &str) -> Decoder {
    let folder = ModelFolder::open(&folder(name)).unwrap();
    Decoder::open(&folder, &Device::flex()).unwrap()
}

fn check(name: &str) {
    let model = decoder(name);
    let expected = Weights::open(&folder(name).join("expected.safetensors")).unwrap();
    let (shape, ids) = expected.read_i64("input_ids").unwrap();
    let rows: Vec<Vec<u32>> =
        ids.chunks(shape[1]).map(|row| row.iter().map(|&id| id as u32).collect()).collect();

    let mut logits = Vec::new();
    let mut logprobs = Vec::new();
    for row in &rows {
        let forest = TokenForest::text(row);
        let nodes: Vec<u32> = (0..row.len() as u32).collect();
        let options = ForwardOptions::default();
        logits.extend(host_values(model.logits(&forest, &nodes, &options).unwrap()));
        logprobs.extend(host_values(model.token_logps(&forest, &options).unwrap()));
    }
    let (_, expected_logits) = expected.read_f32_any("logits").unwrap();
    let difference = largest_difference(&logits, &expected_logits);
    println!("{name}: logits {difference:e}");
    assert!(difference < TOLERANCE, "{name}: logits differ by {difference}");
    let (_, expected_logprobs) = expected.read_f32_any("token_logprobs").unwrap();
    let difference = largest_difference(&logprobs, &expected_logprobs);
    println!("{name}: token_logprobs {difference:e}");
    assert!(difference < TOLERANCE, "{name}: token_logprobs differ by {difference}");

    let (shape, greedy) = expected.read_i64("greedy").unwrap();
    let request = Request { prompt: rows[0][..8].to_vec(), samples: 1, seed: 0 };
    let config = SamplingConfig::greedy(shape[1] - 8).with_prefill_chunk(3);
    let generated = model.generate(&[request], &config, &mut |_| AfterToken::Continue).unwrap();
    let ids: Vec<i64> = generated[0].ids.iter().map(|&id| i64::from(id)).collect();
    // The expected row starts with the prompt.
    assert_eq!(ids, greedy[8..], "{name}: greedy");
}

macro_rules! parity {
    ($($test:ident: $folder:literal),* $(,)?) => {
        $(#[test] fn $test() { check($folder); })*
    };
}

parity! {
    gemma2: "gemma2",
    gemma3: "gemma3",
    gemma3_multimodal: "gemma3-multimodal",
    llama_bias_headdim16: "llama-bias-headdim16",
    llama_dynamic4: "llama-dynamic4",
    llama_gqa_untied: "llama-gqa-untied",
    llama_linear4: "llama-linear4",
    llama_llama3: "llama-llama3",
    llama_llama3_tied: "llama-llama3-tied",
    llama_longrope: "llama-longrope",
    llama_tied_theta100k: "llama-tied-theta100k",
    llama_yarn4: "llama-yarn4",
    mistral_window: "mistral-window",
    phi3_longrope: "phi3-longrope",
    phi3_window: "phi3-window",
    qwen2: "qwen2",
    qwen3: "qwen3",
    qwen3_window_bias: "qwen3-window-bias",
    smollm3: "smollm3",
    smollm3_window_bias: "smollm3-window-bias",
}

#[test]
fn saving_gives_every_tensor_back() {
    for name in [
        "gemma3",
        "gemma3-multimodal",
        "llama-bias-headdim16",
        "llama-tied-theta100k",
        "phi3-longrope",
        "qwen3-window-bias",
        "smollm3-window-bias",
    ] {
        let dir = tempfile::tempdir().unwrap();
        decoder(name).save(dir.path(), StoredType::F32, None).unwrap();
        let (before, after) =
            (Weights::open(&folder(name)).unwrap(), Weights::open(dir.path()).unwrap());
        let infos = before.infos().iter();
        let text: Vec<_> = infos
            .filter(|info| !info.name.starts_with("vision_tower."))
            .filter(|info| !info.name.starts_with("multi_modal_projector."))
            .cloned()
            .collect();
        assert_eq!(text, after.infos(), "{name}");
        for info in &text {
            let a = before.read_f32(&info.name, &info.shape).unwrap();
            assert_eq!(a, after.read_f32(&info.name, &info.shape).unwrap(), "{}", info.name);
        }
    }
}

#[test]
fn the_other_half_of_a_multimodal_model_is_kept_where_it_is_asked_for() {
    let (name, dir) = ("gemma3-multimodal", tempfile::tempdir().unwrap());
    let before = Weights::open(&folder(name)).unwrap();
    let save = decoder(name).save_with_other_half(dir.path(), StoredType::F32, None, &before);
    save.unwrap();
    let after = Weights::open(dir.path()).unwrap();
    assert_eq!(before.infos(), after.infos());
    for info in before.infos() {
        let read = |weights: &Weights| weights.read_f32(&info.name, &info.shape).unwrap();
        assert_eq!(read(&before), read(&after), "{}", info.name);
    }
}

#[test]
fn checkpoints_that_do_not_fit_are_refused_by_name() {
    let folder = ModelFolder::open(&folder("llama-gqa-untied")).unwrap();
    let weights = folder.weights().unwrap();
    let load = |field: &str, value: serde_json::Value| {
        let mut json = folder.config.clone();
        json[field] = value;
        let config = DecoderConfig::from_hf(&json).unwrap();
        Decoder::load(config, &weights, Precision::default(), &Device::flex())
            .unwrap_err()
            .to_string()
    };
    let wide = load("vocab_size", 256.into());
    assert!(wide.contains("model.embed_tokens.weight") && wide.contains("[256, 32]"), "{wide}");
    let deep = load("num_hidden_layers", 3.into());
    assert!(deep.contains("model.layers.2.self_attn.q_proj.weight"), "{deep}");
    let biased = load("attention_bias", true.into());
    assert!(biased.contains("model.layers.0.self_attn.q_proj.bias"), "{biased}");
    let shallow = load("num_hidden_layers", 1.into());
    assert!(shallow.contains("`model.layers.1.") && shallow.contains(" and 8 more"), "{shallow}");
}
