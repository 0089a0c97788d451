//! Changing a checkpoint's basis: what is written, what is locked, what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_checkpoints::ModelFolder;
use bestof_models::{
    AfterToken, CausalLm, Decoder, DecoderConfig, Device, ForwardOptions, ModelError,
    RandomPositions, Request, SamplingConfig, TokenForest,
};
use bestof_positional::hf::{Extension, HfRope, LayerRopes, with_factor};
use bestof_positional::{Method, OnScaled, RopeError, RopeParams, RopeScaling};
use serde_json::{Value, json};

fn llama() -> Value {
    json!({
        "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 64, "rope_theta": 10000.0,
    })
}

fn by(method: Method, factor: Option<f64>) -> Extension {
    let params = RopeParams { factor, ..RopeParams::default() };
    Extension::new(method, params)
}

fn rope_settings(config: &Value) -> LayerRopes {
    HfRope::of_model(config).unwrap().layers
}

fn inv_freq(config: &Value) -> Vec<f64> {
    let LayerRopes::Uniform(rope) = rope_settings(config) else { panic!() };
    rope.build().unwrap().table(0).inv_freq
}

#[test]
fn every_method_leaves_its_own_frequencies_in_the_config() {
    let plain = [1.0, 0.1, 0.01, 0.001];
    let mut power = by(Method::Power, Some(4.0));
    power.params.power = Some(0.5);
    let mut truncated = by(Method::Truncated, None);
    truncated.params.truncate_length = Some(64);
    let cases: [(Extension, [f64; 4], u64); 3] = [
        (by(Method::Linear, Some(4.0)), plain.map(|f| f / 4.0), 256),
        (power, [0.25, 0.025 * 0.75_f64.sqrt(), 0.0025 * 0.5_f64.sqrt(), 0.00025 * 0.5], 256),
        // One turn in 64 tokens is 0.098: two pairs are kept, and 2 pi / 512 = 0.0123 stops two.
        (truncated, [1.0, 0.1, 0.0, 0.0], 64),
    ];
    for (extension, expected, length) in cases {
        let extended = extension.apply(&llama()).unwrap();
        assert_eq!(extended.config["max_position_embeddings"], length);
        let found = inv_freq(&extended.config);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{:?}: {found} {expected}", extension.method);
        }
        let decoder = DecoderConfig::from_hf(&extended.config).unwrap();
        assert_eq!(decoder.max_positions as u64, length);
        assert_eq!(extended.config["bestof"]["rope_frequencies"], extended.hash);
    }
}

#[test]
fn other_frequencies_than_the_locked_ones_are_refused() {
    let mut config = by(Method::Linear, Some(4.0)).apply(&llama()).unwrap().config;
    assert!(DecoderConfig::from_hf(&config).is_ok());
    config["rope_scaling"]["factor"] = json!(2.0);
    let error = DecoderConfig::from_hf(&config).unwrap_err();
    assert!(matches!(error, ModelError::Rope(RopeError::Locked { .. })));
    let text = error.to_string();
    for part in ["all layers", "linear", "extend", "bestof.rope_frequencies"] {
        assert!(text.contains(part), "{text}");
    }
    config.as_object_mut().unwrap().remove("bestof");
    assert!(DecoderConfig::from_hf(&config).is_ok(), "no lock, nothing to check");
    config["bestof"] = json!({"rope_frequencies": 7});
    let text = DecoderConfig::from_hf(&config).unwrap_err().to_string();
    assert!(text.contains("bestof.rope_frequencies"), "{text}");
}

#[test]
fn layers_with_a_window_keep_their_basis() {
    let config = ModelFolder::open(&common::folder("gemma3")).unwrap().config;
    let before = rope_settings(&config);
    let extended = by(Method::Linear, Some(4.0)).apply(&config);
    let extended = match extended {
        Err(_) => {
            let replace =
                Extension { on_scaled: OnScaled::Replace, ..by(Method::Linear, Some(4.0)) };
            replace.apply(&config).unwrap()
        }
        other => other.unwrap(),
    };
    let after = rope_settings(&extended.config);
    let table = |ropes: &LayerRopes, kind: &str| ropes.get(kind).unwrap().build().unwrap().table(0);
    let (sliding, full) = ("sliding_attention", "full_attention");
    assert_eq!(table(&before, sliding), table(&after, sliding));
    assert_ne!(table(&before, full), table(&after, full));
    let hashes = extended.config["bestof"]["rope_frequencies"].as_object().unwrap();
    assert_eq!(hashes.keys().collect::<Vec<_>>(), [full, sliding]);
}

#[test]
fn a_scaled_model_is_extended_only_as_told() {
    let first = by(Method::Linear, Some(4.0)).apply(&llama()).unwrap().config;
    let again = |on_scaled| Extension { on_scaled, ..by(Method::Linear, Some(2.0)) };
    let text = again(OnScaled::Refuse).apply(&first).unwrap_err().to_string();
    assert!(text.contains("already") && text.contains("twice"), "{text}");
    let composed = again(OnScaled::Compose).apply(&first).unwrap();
    assert_eq!((composed.trained, composed.length), (256, 512));
    assert_eq!(inv_freq(&composed.config)[0], 0.125);
    let replaced = again(OnScaled::Replace).apply(&first).unwrap();
    assert_eq!((replaced.trained, replaced.length), (64, 128));
    assert_eq!(inv_freq(&replaced.config)[0], 0.5);
}

#[test]
fn bad_extensions_say_how_to_fix_them() {
    let refused = |extension: &Extension, config: &Value, parts: &[&str]| {
        let text = extension.apply(config).unwrap_err().to_string();
        for part in parts {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    };
    refused(&by(Method::Linear, Some(0.5)), &llama(), &["`factor` 0.5", "at least 1"]);
    refused(&by(Method::Linear, None), &llama(), &["linear", "`factor`", "missing"]);
    let mut far = by(Method::Linear, Some(4.0));
    far.length = Some(1000);
    refused(&far, &llama(), &["length 1000", "linear", "64", "256", "15.625"]);
    far.length = Some(20);
    refused(&far, &llama(), &["length 20", "shorter", "64"]);
    let mut odd = llama();
    odd["head_dim"] = json!(7);
    refused(&by(Method::Linear, Some(4.0)), &odd, &["head dimension 7", "even"]);
    let mut all = by(Method::Truncated, Some(8.0));
    all.params.truncate_length = Some(6);
    refused(&all, &llama(), &["truncated", "truncate every pair"]);
    refused(&by(Method::XPos, None), &llama(), &["xpos", "cannot be expressed"]);
    let mut unused = by(Method::Linear, Some(2.0));
    unused.params.power = Some(0.5);
    refused(&unused, &llama(), &["linear", "`power`", "drop it"]);
}

#[test]
fn another_factor_at_evaluation_changes_the_basis_and_the_length() {
    let mut power = by(Method::Power, Some(4.0));
    power.params.power = Some(0.5);
    for extension in [by(Method::Linear, Some(4.0)), power, by(Method::Yarn, Some(4.0))] {
        let trained = extension.apply(&llama()).unwrap().config;
        let wider = with_factor(&trained, 8.0).unwrap();
        let mut direct = extension.clone();
        direct.params.factor = Some(8.0);
        let expected = direct.apply(&llama()).unwrap().config;
        assert_eq!(inv_freq(&wider), inv_freq(&expected), "{:?}", extension.method);
        assert_eq!(DecoderConfig::from_hf(&wider).unwrap().max_positions, 512);
    }
    assert_eq!(inv_freq(&with_factor(&llama(), 2.0).unwrap())[0], 0.5);
    assert!(with_factor(&llama(), 0.5).unwrap_err().to_string().contains("at least 1"));
    let dynamic = by(Method::Dynamic, Some(4.0)).apply(&llama()).unwrap().config;
    assert_eq!(dynamic["max_position_embeddings"], 64, "transformers divides by it");
    assert_eq!(DecoderConfig::from_hf(&dynamic).unwrap().max_positions, 256);
}

/// xPos in the whole model: scores fade with the distance, so that a cache and a forest must apply
/// the same amplitudes at the same positions.
#[test]
fn a_model_on_xpos_generates_what_its_log_probabilities_say() {
    let settings = rope_settings(&llama());
    let LayerRopes::Uniform(rope) = settings else { panic!() };
    let xpos = RopeParams { scale_base: Some(32.0), ..RopeParams::default() };
    let scaling = RopeScaling::from_params(Method::XPos, &xpos, None).unwrap();
    let rope = rope.extend(scaling, OnScaled::Refuse).unwrap();
    let config = DecoderConfig::from_hf(&llama()).unwrap();
    let plain = Decoder::random(config.clone(), 3, &Device::flex()).unwrap();
    let config = config.with_ropes(&LayerRopes::Uniform(rope)).unwrap();
    let model = Decoder::random(config, 3, &Device::flex()).unwrap();
    let prompt: Vec<u32> = (0..20).map(|i| i * 7 % 64).collect();
    let request = Request { prompt: prompt.clone(), samples: 1, seed: 0 };
    let sampling = SamplingConfig::greedy(12).with_prefill_chunk(6);
    let drawn = model.generate(&[request], &sampling, &mut |_| AfterToken::Continue).unwrap();
    let whole = [prompt.as_slice(), &drawn[0].ids].concat();
    let forest = TokenForest::text(&whole);
    let options = ForwardOptions::default();
    let logprobs = common::logps(&model, &forest, &options);
    assert!(common::close(&logprobs[19..], &drawn[0].logprobs, 1e-5));
    let without = common::logps(&plain, &forest, &options);
    assert!(common::apart(&logprobs, &without, 1e-6), "the amplitudes change something");
}

#[test]
fn random_positions_change_the_pass_they_are_asked_for_in() {
    let model = common::trainable("llama-gqa-untied");
    let forest = TokenForest::text(&[3, 14, 15, 92, 65, 35, 89, 79, 32]);
    let drawing = RandomPositions { seed: 4, smallest_step: 0.0, length: 64 };
    let options = ForwardOptions::default().with_random_positions(drawing);
    let even = common::logps(&model, &forest, &ForwardOptions::default());
    let drawn = common::logps(&model, &forest, &options);
    assert!(common::apart(&even, &drawn, 1e-6));
    let traced = model.token_logps(&forest, &options).unwrap();
    assert_eq!(
        bestof_kernels::host_values(traced.clone()),
        drawn,
        "the same draw in the same layers"
    );
    let again = options.with_checkpoint_layers(true);
    let a = common::gradients_of(&model, &traced.sum());
    let b = model.token_logps(&forest, &again).unwrap().sum();
    let b = common::gradients_of(&model, &b);
    assert!(common::gradient_difference(&model, &a, &b) < 1e-5);
    // A step of always 1 is an even walk, begun at 1: the same relative positions.
    let even_steps = RandomPositions { smallest_step: 1.999_999_999, length: 8, ..drawing };
    let options = ForwardOptions::default().with_random_positions(even_steps);
    let walked = common::logps(&model, &forest, &options);
    assert!(common::close(&even, &walked, 1e-4), "steps of 2, shrunk to the length");
}
