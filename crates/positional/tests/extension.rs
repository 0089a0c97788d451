//! A change of basis in a `config.json`: what is written, locked, and refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bestof_positional::hf::{
    Extension, FULL_ATTENTION, HfDefaults, HfRope, LayerRopes, NoRope, SLIDING_ATTENTION,
    with_factor,
};
use bestof_positional::{Method, OnScaled, RopeError, RopeParams};
use serde_json::{Value, json};

fn llama() -> Value {
    json!({"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4,
           "max_position_embeddings": 64, "rope_theta": 10000.0})
}

fn by(method: Method, factor: Option<f64>) -> Extension {
    Extension::new(method, RopeParams { factor, ..RopeParams::default() })
}

fn inv_freq(config: &Value, layer_type: &str) -> Vec<f64> {
    let rope = HfRope::of_model(config).unwrap();
    rope.verify_lock().unwrap();
    rope.layers.get(layer_type).unwrap().build().unwrap().table(0).inv_freq
}

#[test]
fn every_method_that_can_be_written_reads_back_to_its_own_frequencies() {
    let params = RopeParams {
        factor: Some(4.0),
        power: Some(0.5),
        truncate_length: Some(64),
        low_freq_factor: Some(1.0),
        high_freq_factor: Some(4.0),
        short_factor: Some(vec![1.0, 1.1, 1.3, 1.7]),
        long_factor: Some(vec![1.0, 2.0, 3.0, 4.0]),
        ..RopeParams::default()
    };
    let mut written = 0;
    for method in Method::ALL {
        // Only what the method reads.
        let text = serde_json::to_value(&params).unwrap();
        let read = |(key, value): (&String, &Value)| {
            method.parameters().contains(&key.as_str()).then(|| (key.clone(), value.clone()))
        };
        let map: Value = text.as_object().unwrap().iter().filter_map(read).collect();
        let params: RopeParams = serde_json::from_value(map).unwrap();
        // The last three parameters truncate everything at this small head if the factor is kept.
        let factor = params.factor.filter(|_| method != Method::PowerTruncated);
        let extension = Extension::new(method, RopeParams { factor, ..params });
        match extension.apply(&llama()) {
            Ok(extended) => {
                assert!(extended.max_relative_difference <= 1e-12, "{method}");
                let rope = HfRope::of_model(&extended.config).unwrap();
                rope.verify_lock().unwrap();
                let lock = rope.lock.unwrap();
                assert_eq!(lock.frequencies["all layers"], extended.hash);
                assert_eq!(lock.scaling.is_some(), extended.written_as != method.name());
                written += 1;
            }
            Err(RopeError::NotExpressible { rope_type, .. }) => {
                assert!(["xpos", "randomized"].contains(&rope_type), "{method}");
            }
            Err(error) => panic!("{method}: {error}"),
        }
    }
    assert_eq!(written, 13);
}

#[test]
fn the_lock_names_both_hashes_and_the_way_out() {
    let mut config = by(Method::Linear, Some(4.0)).apply(&llama()).unwrap().config;
    config["rope_scaling"]["factor"] = json!(2.0);
    let error = HfRope::of_model(&config).unwrap().verify_lock().unwrap_err();
    let RopeError::Locked { layers, rope_type, found, expected } = &error else {
        panic!("{error}")
    };
    assert_eq!((layers.as_str(), *rope_type), ("all layers", "linear"));
    assert_ne!(found, expected);
    assert!(error.to_string().contains("bestof.rope_frequencies"), "{error}");
    for (entry, field) in [
        (json!({"rope_frequencies": 7}), "`bestof.rope_frequencies`"),
        (json!({"rope": {"rope_type": "linear"}}), "`bestof.rope`"),
        (json!({"length": 0}), "`bestof.length`"),
        (json!(3), "`bestof`"),
    ] {
        config["bestof"] = entry;
        let text = HfRope::of_model(&config).unwrap_err().to_string();
        assert!(text.contains(field), "{text}");
    }
}

#[test]
fn defaults_follow_the_model_type() {
    let sizes = |model_type: &str| {
        let config = json!({"model_type": model_type});
        let layers = HfRope::of_model(&config).unwrap().layers;
        let rope = layers.get(FULL_ATTENTION).unwrap();
        (rope.head_dim, rope.rope_theta, rope.max_position_embeddings)
    };
    assert_eq!(sizes("llama"), (128, 1e4, Some(2048)));
    assert_eq!(sizes("gemma2"), (256, 1e4, Some(8192)));
    assert_eq!(sizes("gemma3_text"), (256, 1e6, Some(131_072)));
    assert_eq!(sizes("mistral"), (128, 1e4, Some(131_072)));
    assert_eq!(sizes("qwen2"), (128, 1e4, Some(32_768)));
    assert_eq!(sizes("qwen3"), (128, 1e4, Some(32_768)));
    assert_eq!(sizes("smollm3"), (128, 2e6, Some(32_768)));
    assert_eq!(sizes("phi3"), (96, 1e4, Some(4096)));
    assert!(HfDefaults::of("mamba").is_none());
    let text = HfRope::of_model(&json!({"model_type": "mamba"})).unwrap_err().to_string();
    assert!(text.contains("`hidden_size`") && text.contains("head_dim"), "{text}");
}

#[test]
fn sliding_layers_keep_their_basis_within_a_multimodal_config() {
    let text = json!({"head_dim": 8, "max_position_embeddings": 64});
    let config = json!({"model_type": "gemma3", "text_config": text});
    let extended = by(Method::Linear, Some(4.0)).apply(&config).unwrap().config;
    assert!(extended.get("bestof").is_none());
    assert_eq!(extended["text_config"]["max_position_embeddings"], 256);
    assert_eq!(inv_freq(&extended, SLIDING_ATTENTION), inv_freq(&config, SLIDING_ATTENTION));
    let quarter: Vec<f64> = inv_freq(&config, FULL_ATTENTION).iter().map(|f| f / 4.0).collect();
    assert_eq!(inv_freq(&extended, FULL_ATTENTION), quarter);

    let only_sliding = json!({"model_type": "llama", "head_dim": 8, "rope_parameters":
        {"sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}});
    let text = by(Method::Linear, Some(2.0)).apply(&only_sliding).unwrap_err().to_string();
    assert!(text.contains("rope_parameters") && text.contains("full_attention"), "{text}");
}

#[test]
fn lengths_follow_factor_and_choice() {
    let first = by(Method::Linear, Some(4.0)).apply(&llama()).unwrap().config;
    let again = |on_scaled| Extension { on_scaled, ..by(Method::Linear, Some(2.0)) };
    let refused = again(OnScaled::Refuse).apply(&first);
    assert!(matches!(refused, Err(RopeError::AlreadyScaled { .. })));
    let composed = again(OnScaled::Compose).apply(&first).unwrap();
    assert_eq!((composed.trained, composed.length), (256, 512));
    let replaced = again(OnScaled::Replace).apply(&first).unwrap();
    assert_eq!((replaced.trained, replaced.length), (64, 128));
    let to = |length| Extension { length: Some(length), ..by(Method::Linear, Some(4.0)) };
    assert!(matches!(to(1000).apply(&llama()), Err(RopeError::BeyondReach { reach: 256, .. })));
    assert!(matches!(to(20).apply(&llama()), Err(RopeError::Shortened { trained: 64, .. })));
    assert_eq!(to(200).apply(&llama()).unwrap().config["max_position_embeddings"], 200);
}

#[test]
fn another_factor_keeps_the_rule_behind_an_export() {
    let mut power = by(Method::Power, Some(4.0));
    power.params.power = Some(0.5);
    let wider = with_factor(&power.apply(&llama()).unwrap().config, 8.0).unwrap();
    power.params.factor = Some(8.0);
    assert_eq!(wider, power.apply(&llama()).unwrap().config);
    let LayerRopes::Uniform(plain) = HfRope::of_model(&llama()).unwrap().layers else { panic!() };
    assert_eq!(inv_freq(&with_factor(&llama(), 2.0).unwrap(), "")[0], 0.5);
    assert!(matches!(plain.with_factor(0.5), Err(RopeError::Factor { .. })));
}

/// Transformers 5.24 refuses a Phi-3 with another scaling than `longrope`, and reads `yarn` as that.
#[test]
fn phi3_is_written_with_the_one_scaling_that_transformers_builds_for_it() {
    let config = json!({"model_type": "phi3", "hidden_size": 64, "num_attention_heads": 4,
        "max_position_embeddings": 4096, "partial_rotary_factor": 0.75, "rope_theta": 10000.0});
    for method in [Method::Linear, Method::Yarn, Method::Power] {
        let params = RopeParams {
            power: (method == Method::Power).then_some(0.5),
            factor: Some(4.0),
            ..RopeParams::default()
        };
        let extended = Extension::new(method, params).apply(&config).unwrap();
        assert_eq!(extended.written_as, "longrope", "{method}");
        let scaling = &extended.config["rope_scaling"];
        assert_eq!(scaling["long_factor"].as_array().unwrap().len(), 6, "{method}");
        assert_eq!(extended.config["max_position_embeddings"], 16_384);
        assert_eq!(extended.config["bestof"]["rope"]["rope_type"], method.to_string());
    }
    let dynamic = by(Method::Dynamic, Some(4.0)).apply(&config).unwrap_err().to_string();
    assert!(dynamic.contains("default and longrope only"), "{dynamic}");
    let plain = json!({"model_type": "phi3", "rope_scaling": {"type": "yarn", "factor": 4.0}});
    let text = HfRope::of_model(&plain).unwrap_err().to_string();
    assert!(text.contains("short_factor"), "{text}");
}

fn drope(params: RopeParams) -> Extension {
    Extension::new(Method::DroPe, params)
}

#[test]
fn dropped_positions_are_written_for_stock_loaders_and_locked() {
    let params = RopeParams { factor: Some(4.0), logit_slope: Some(0.5), ..RopeParams::default() };
    let extended = drope(params).apply(&llama()).unwrap();
    assert_eq!((extended.trained, extended.length, extended.written_as), (64, 256, "longrope"));
    let scaling = &extended.config["rope_scaling"];
    assert_eq!(scaling["long_factor"], json!([1e30, 1e30, 1e30, 1e30]));
    assert_eq!(scaling["short_factor"], scaling["long_factor"]);
    // beta = 1 + 0.5 ln 4 = 1.693147180559945; its root multiplies cosine and sine.
    let factor = scaling["attention_factor"].as_f64().unwrap();
    assert!((factor - 1.301_209_891_047_537_8).abs() < 1e-15, "{factor}");
    let lock = json!({"rope_type": "drope", "factor": 4.0, "logit_slope": 0.5,
                      "original_max_position_embeddings": 64});
    assert_eq!(extended.config["bestof"]["rope"], lock);
    let rope = HfRope::of_model(&extended.config).unwrap();
    rope.verify_lock().unwrap();
    assert_eq!(rope.context_length(), Some(256));
    let LayerRopes::Uniform(rope) = rope.layers else { panic!() };
    let rope = rope.build().unwrap();
    assert!(!rope.rotates());
    let table = rope.table(256);
    let (cos, sin) = table.cos_sin([255.0]);
    assert!(cos.iter().all(|c| (f64::from(*c) - factor).abs() < 1e-7), "{cos:?}");
    assert!(sin.iter().all(|s| s.abs() < 1e-26), "{sin:?}");

    let mut edited = extended.config.clone();
    edited["rope_scaling"] = Value::Null;
    let error = HfRope::of_model(&edited).unwrap().verify_lock().unwrap_err();
    assert!(matches!(error, RopeError::Locked { rope_type: "default", .. }), "{error}");
}

#[test]
fn a_model_without_positions_gets_none_back() {
    let dropped = drope(RopeParams::default()).apply(&llama()).unwrap();
    assert_eq!((dropped.trained, dropped.length), (64, 64));
    for on_scaled in [OnScaled::Refuse, OnScaled::Replace, OnScaled::Compose] {
        for method in [Method::Linear, Method::Yarn] {
            let back = Extension { on_scaled, ..by(method, Some(2.0)) };
            let error = back.apply(&dropped.config).unwrap_err();
            assert!(matches!(error, RopeError::Dropped { .. }), "{on_scaled:?} {error}");
        }
    }
    let back = by(Method::Default, None).apply(&dropped.config).unwrap_err().to_string();
    assert!(back.contains("`drope`") && back.contains("before RoPE was dropped"), "{back}");
    // Without the lock the frequencies still tell.
    let mut unlocked = dropped.config.clone();
    unlocked.as_object_mut().unwrap().remove("bestof");
    let error = Extension { on_scaled: OnScaled::Replace, ..by(Method::Linear, Some(2.0)) };
    assert!(matches!(error.apply(&unlocked), Err(RopeError::Dropped { .. })));

    // Another factor is no contradiction, and starts from the length before RoPE was dropped.
    let slope = RopeParams { factor: Some(2.0), logit_slope: Some(0.1), ..RopeParams::default() };
    assert!(matches!(
        drope(slope.clone()).apply(&dropped.config),
        Err(RopeError::AlreadyScaled { .. })
    ));
    let wider = Extension { on_scaled: OnScaled::Replace, ..drope(slope) };
    let wider = wider.apply(&dropped.config).unwrap();
    assert_eq!((wider.trained, wider.length), (64, 128));
    let at_eval = with_factor(&wider.config, 8.0).unwrap();
    assert_eq!(at_eval["max_position_embeddings"], 512);
    // sqrt(1 + 0.1 ln 8)
    let factor = at_eval["rope_scaling"]["attention_factor"].as_f64().unwrap();
    assert!((factor - 1.099_065_127_355_055_1).abs() < 1e-15, "{factor}");
    let nope = by(Method::NoPe, None).apply(&llama()).unwrap().config;
    assert!(matches!(with_factor(&nope, 2.0), Err(RopeError::NoFactor { rope_type: "nope" })));
}

#[test]
fn any_scaling_is_dropped_and_in_layers_with_a_window_too() {
    let scaled = by(Method::Yarn, Some(4.0)).apply(&llama()).unwrap().config;
    let dropped = drope(RopeParams::default()).apply(&scaled).unwrap();
    assert_eq!((dropped.trained, dropped.length), (256, 256));

    let text = json!({"head_dim": 8, "max_position_embeddings": 64});
    let gemma = json!({"model_type": "gemma3", "text_config": text});
    let config = drope(RopeParams::default()).apply(&gemma).unwrap().config;
    for layer_type in [FULL_ATTENTION, SLIDING_ATTENTION] {
        assert!(inv_freq(&config, layer_type).iter().all(|f| *f < 2e-30), "{layer_type}");
    }
}

fn layered(model_type: &str) -> Value {
    json!({"model_type": model_type, "hidden_size": 32, "num_attention_heads": 4,
           "num_hidden_layers": 6, "max_position_embeddings": 64, "rope_theta": 10000.0})
}

#[test]
fn layers_without_rope_are_kept_by_the_lock_or_by_the_models_own_key() {
    let every = |interval| NoRope { no_rope_layer_interval: Some(interval), ..NoRope::default() };
    let third = Extension { no_rope: every(3), ..by(Method::Linear, Some(2.0)) };
    let extended = third.apply(&layered("llama")).unwrap();
    assert_eq!((&extended.no_rope[..], extended.no_rope_is_portable), (&[2, 5][..], false));
    assert_eq!(extended.config["bestof"]["no_rope_layers"], json!([1, 1, 0, 1, 1, 0]));
    assert!(extended.config.get("no_rope_layers").is_none());
    let read = HfRope::of_model(&extended.config).unwrap();
    assert_eq!(read.no_rope, [2, 5]);
    read.verify_lock().unwrap();
    assert_eq!(
        with_factor(&extended.config, 4.0).unwrap()["bestof"]["no_rope_layers"],
        json!([1, 1, 0, 1, 1, 0])
    );

    // More layers may be dropped later, and plain RoPE keeps the scaling that is there.
    let again =
        |no_rope| Extension { no_rope, on_scaled: OnScaled::Compose, ..by(Method::Default, None) };
    let more = NoRope { no_rope_layers: Some(vec![1, 0, 0, 1, 1, 0]), ..NoRope::default() };
    let more = again(more).apply(&extended.config).unwrap();
    assert_eq!(
        (&more.no_rope[..], more.config["rope_scaling"]["factor"].as_f64()),
        (&[1, 2, 5][..], Some(2.0))
    );
    let error = again(every(2)).apply(&extended.config).unwrap_err();
    assert_eq!(error, RopeError::DroppedLayer { layer: 2, key: "no_rope_layer_interval" });

    // transformers 5.24.0: SmolLM3Config(num_hidden_layers=6).no_rope_layers is [1, 1, 1, 0, 1, 1].
    assert_eq!(HfRope::of_model(&layered("smollm3")).unwrap().no_rope, [3]);
    let drop = Extension { no_rope: every(2), ..by(Method::Default, None) };
    let error = drop.apply(&layered("smollm3")).unwrap();
    assert_eq!(error.config["no_rope_layers"], json!([1, 0, 1, 0, 1, 0]));
    assert!(error.no_rope_is_portable);
    let mut edited = error.config;
    edited["no_rope_layers"] = json!([1, 0, 1, 1, 1, 0]);
    let error = HfRope::of_model(&edited).unwrap().verify_lock().unwrap_err();
    assert_eq!(error, RopeError::LockedLayers { found: vec![1, 5], expected: vec![1, 3, 5] });
}

#[test]
fn a_list_of_layers_that_cannot_be_is_named() {
    let refused = |no_rope, method| {
        let extension = Extension { no_rope, ..Extension::new(method, RopeParams::default()) };
        extension.apply(&layered("llama")).unwrap_err().to_string()
    };
    let list = |list: &[u8]| NoRope { no_rope_layers: Some(list.to_vec()), ..NoRope::default() };
    let text = refused(list(&[1, 0]), Method::Default);
    assert!(text.contains("has 2 entries, but the model has 6 layers"), "{text}");
    let text = refused(list(&[1, 1, 3, 1, 1, 1]), Method::Default);
    assert!(text.contains("`no_rope_layers`") && text.contains('3'), "{text}");
    let none = NoRope { no_rope_layer_interval: Some(0), ..NoRope::default() };
    assert!(refused(none, Method::Default).contains("`no_rope_layer_interval`"));
    let text = refused(list(&[1, 1, 0, 1, 1, 1]), Method::DroPe);
    assert!(text.contains("`drope`") && text.contains("every layer"), "{text}");
    for (entry, expected) in [
        (json!([1, 0]), "has 2 entries, but the model has 6 layers"),
        (json!([1, 0, 2, 1, 1, 1]), "`bestof.no_rope_layers`"),
        (json!(4), "`bestof.no_rope_layers`"),
    ] {
        let mut config = layered("llama");
        config["bestof"] = json!({ "no_rope_layers": entry });
        let text = HfRope::of_model(&config).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
}
