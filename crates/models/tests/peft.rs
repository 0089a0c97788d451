//! Adapters that PEFT wrote, and what PEFT 0.21.2 computes with them in f64 (`fixtures/peft/record.py`).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bestof_checkpoints::{StoredType, Weights};
use bestof_closeness::largest_difference;
use bestof_models::{
    ADAPTER_CONFIG, ADAPTER_WEIGHTS, AfterToken, CausalLm, Decoder, ForwardOptions, LoraConfig,
    Request, SamplingConfig, TokenForest, parameters,
};
use burn::module::Module;
use common::{apart, close, gradients_of, logps, trainable, values};
use serde_json::Value;

/// A case's folder, what it expects, and its base.
fn case(name: &str) -> (PathBuf, Value, Decoder) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft").join(name);
    let expected: Value =
        serde_json::from_slice(&fs::read(dir.join("expected.json")).unwrap()).unwrap();
    let base = trainable(expected["base"].as_str().unwrap());
    (dir, expected, base)
}

fn cases() -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft");
    let folders = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let folders = folders.filter(|path| path.join("expected.json").is_file());
    let mut names: Vec<String> =
        folders.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names.len(), 12);
    names
}

fn loaded(name: &str) -> (Decoder, Value, Decoder) {
    let (dir, expected, base) = case(name);
    let mut model = base.clone();
    model.load_adapter(&dir).unwrap_or_else(|error| panic!("{name}: {error}"));
    (model, expected, base)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn text(expected: &Value) -> TokenForest {
    let ids: Vec<u32> = numbers(&expected["text"]).into_iter().map(|id| id as u32).collect();
    TokenForest::text(&ids)
}

fn scores(model: &Decoder, expected: &Value) -> Vec<f32> {
    logps(model, &text(expected), &ForwardOptions::default())
}

fn gap(found: &[f32], expected: &[f64]) -> f64 {
    largest_difference(found, expected)
}

#[test]
fn log_probabilities_are_those_of_peft() {
    for name in cases() {
        let (model, expected, base) = loaded(&name);
        let (with, without) = (numbers(&expected["logps"]), numbers(&expected["without"]));
        let found = scores(&model, &expected);
        let apart = gap(&found, &with);
        assert!(apart < 2e-5, "{name}: {apart}");
        let moved = largest_difference(&with[..], &without[..]);
        assert!(moved > 0.01, "{name}: the adapter changes the model by {moved}");

        let reference = logps(&model, &text(&expected), &ForwardOptions::reference());
        assert_eq!(reference, scores(&base, &expected), "{name}: without adapters");
        // PEFT leaves what it has no second copy of as the adapter changed it.
        if !["biases", "saved-embeddings"].contains(&name.as_str()) {
            assert!(gap(&reference, &without) < 2e-5, "{name}");
        }
    }
}

#[test]
fn gradients_are_those_of_peft() {
    for name in cases() {
        let (model, expected, _) = loaded(&name);
        let recorded = expected["gradients"].as_object().unwrap();
        for checkpoint in [false, true] {
            let options = ForwardOptions::default().with_checkpoint_layers(checkpoint);
            let logps = model.token_logps(&text(&expected), &options).unwrap();
            let gradients = gradients_of(&model, &logps.sum());
            let trained = parameters::trainable(&model).into_iter().map(|info| info.name);
            let trained: BTreeSet<String> = trained.collect();
            for parameter in &trained {
                let gradient = values(&gradients, parameter).unwrap();
                let gradient: Vec<f64> = gradient.into_iter().map(f64::from).collect();
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                let ramp = gradient.iter().enumerate().map(|(i, g)| g * ((i % 7) as f64 - 3.0));
                let recorded = numbers(&recorded[parameter]);
                let apart = largest_difference([norm, ramp.sum()], &recorded[..]);
                let largest = recorded[0].abs().max(recorded[1].abs());
                assert!(
                    apart <= 1e-4 * (0.1 + largest),
                    "{name} {parameter}: {apart} of {recorded:?}"
                );
            }
            // Base biases, and adapters of embeddings, are read here, not trained.
            if !["biases", "adapted-embeddings"].contains(&name.as_str()) {
                assert_eq!(trained.len(), recorded.len(), "{name}: {trained:?}");
            }
        }
    }
}

#[test]
fn merged_adapters_compute_the_same_and_unmerging_takes_them_out() {
    for name in cases() {
        let (mut model, expected, base) = loaded(&name);
        let adapted = scores(&model, &expected);
        model.merge_lora().unwrap();
        assert!(close(&adapted, &scores(&model, &expected), 2e-5), "{name}");
        model.unmerge_lora().unwrap();
        assert_eq!(adapted, scores(&model, &expected), "{name}: to the last bit");
        let mut dropped = model.clone();
        dropped.detach_lora();
        assert_eq!(scores(&dropped, &expected), scores(&base, &expected), "{name}");
        model.merge_lora().unwrap();
        model.detach_lora();
        assert!(close(&adapted, &scores(&model, &expected), 2e-5), "{name}: merged and detached");
        assert!(model.lora().is_none());
    }
}

#[test]
fn written_adapters_are_files_of_the_same_form() {
    for name in cases() {
        let (model, expected, base) = loaded(&name);
        let dir = tempfile::tempdir().unwrap();
        model.save_adapter(dir.path(), "base", StoredType::F32).unwrap();
        let mut again = base.clone();
        again.load_adapter(dir.path()).unwrap();
        assert_eq!(scores(&again, &expected), scores(&model, &expected), "{name}");
        if name == "adapted-embeddings" {
            continue;
        }
        assert_eq!(again.lora(), model.lora(), "{name}");
        let infos = |dir: &Path| {
            let weights = Weights::open(&dir.join(ADAPTER_WEIGHTS)).unwrap();
            let infos = weights.infos().iter().map(|info| (info.name.clone(), info.shape.clone()));
            infos.collect::<Vec<_>>()
        };
        assert_eq!(infos(dir.path()), infos(&case(&name).0), "{name}");
        let fields = |dir: &Path| -> Value {
            serde_json::from_slice(&fs::read(dir.join(ADAPTER_CONFIG)).unwrap()).unwrap()
        };
        let (written, peft) = (fields(dir.path()), fields(&case(&name).0));
        for (key, value) in written.as_object().unwrap() {
            let same = ["base_model_name_or_path", "bias"].contains(&key.as_str())
                || value.as_f64().is_some_and(|x| peft[key].as_f64() == Some(x))
                || *value == peft[key];
            assert!(same, "{name}: `{key}` is {value} and {}", peft[key]);
        }
    }
}

#[test]
fn saved_models_have_adapters_and_whole_modules_in_them() {
    for name in cases() {
        let (model, expected, _) = loaded(&name);
        let dir = tempfile::tempdir().unwrap();
        let saved = model.save(dir.path(), StoredType::F32, None);
        if name == "lora-bias-without-bias" {
            let refused = saved.unwrap_err().to_string();
            assert!(refused.contains("lora_bias"), "{refused}");
            continue;
        }
        saved.unwrap();
        let mut config = model.config().clone();
        assert_eq!(model.is_untied(), name == "head-of-tied");
        config.tied_embeddings &= !model.is_untied();
        let weights = Weights::open(dir.path()).unwrap();
        let again = Decoder::load(
            config,
            &weights,
            bestof_models::Precision::default(),
            &bestof_models::Device::flex(),
        )
        .unwrap();
        assert!(close(&scores(&model, &expected), &scores(&again, &expected), 2e-5), "{name}");
    }
}

#[test]
fn generation_has_the_same_adapters() {
    for name in ["dora", "whole-modules", "lora-bias-without-bias", "head-of-tied"] {
        let (model, _, base) = loaded(name);
        let prompt = vec![3, 14, 15, 92];
        for adapters in [true, false] {
            let request = Request { prompt: prompt.clone(), samples: 1, seed: 3 };
            let config = SamplingConfig::default().with_max_new_tokens(6).with_adapters(adapters);
            let generation =
                model.generate(&[request], &config, &mut |_| AfterToken::Continue).unwrap();
            let generation = &generation[0];
            let text = TokenForest::text(&[&prompt[..], &generation.ids].concat());
            let of = |model: &Decoder| logps(model, &text, &ForwardOptions::default());
            let (wanted, other) = if adapters { (&model, &base) } else { (&base, &model) };
            let tail = |scores: Vec<f32>| scores[prompt.len() - 1..].to_vec();
            assert!(close(&tail(of(wanted)), &generation.logprobs, 1e-4), "{name} {adapters}");
            assert!(apart(&tail(of(other)), &generation.logprobs, 1e-3), "{name} {adapters}");
        }
    }
}

/// What is trained whole starts as the base has it, and the reference stays the base.
#[test]
fn fresh_adapters_of_every_kind_change_nothing() {
    for base in ["llama-tied-theta100k", "gemma3"] {
        let base = trainable(base);
        let mut model = base.clone();
        let whole = ["lm_head", "norm"].map(str::to_owned).to_vec();
        let config = LoraConfig::default().with_dora(true).with_modules_to_save(whole);
        model.attach_lora(&config).unwrap();
        let text = TokenForest::text(&[3, 14, 15, 92, 65]);
        let of = |model: &Decoder, options| logps(model, &text, &options);
        let before = of(&base, ForwardOptions::default());
        assert_eq!(before, of(&model, ForwardOptions::default()));
        parameters::update(&mut model, &mut |_, value| value.add_scalar(0.02));
        assert!(apart(&before, &of(&model, ForwardOptions::default()), 1e-2));
        assert_eq!(before, of(&model, ForwardOptions::reference()));
        let traced = model.token_logps(&text, &ForwardOptions::reference()).unwrap();
        assert_eq!(bestof_kernels::host_values(traced), before, "with a graph, too");
    }
}

/// A copy of a case's folder in which the configuration is changed.
fn changed(name: &str, change: impl Fn(&mut Value)) -> (tempfile::TempDir, Decoder) {
    let (dir, _, base) = case(name);
    let copy = tempfile::tempdir().unwrap();
    fs::copy(dir.join(ADAPTER_WEIGHTS), copy.path().join(ADAPTER_WEIGHTS)).unwrap();
    let mut config: Value =
        serde_json::from_slice(&fs::read(dir.join(ADAPTER_CONFIG)).unwrap()).unwrap();
    change(&mut config);
    fs::write(copy.path().join(ADAPTER_CONFIG), config.to_string()).unwrap();
    (copy, base)
}

/// Each of these files has a tensor that the configuration does not call for, or lacks one.
#[test]
fn tensors_without_use_and_missing_ones_are_named() {
    let q = "base_model.model.model.layers.0.self_attn.q_proj";
    let whole = serde_json::json!(["embed_tokens", "norm", "0.mlp", "lm_head"]);
    let cases: [(&str, &str, Value, [&str; 2]); 7] = [
        ("lora-bias", "lora_bias", false.into(), ["lora_B.bias", "`lora_bias` is not true"]),
        ("dora", "use_dora", false.into(), ["lora_magnitude_vector", "`use_dora` is not true"]),
        ("saved-embeddings", "target_modules", "q_proj".into(), [q, "target_modules"]),
        ("rslora-patterns", "rank_pattern", Value::Null, ["v_proj.lora_A.weight", "[3, 32]"]),
        ("rslora-patterns", "use_dora", true.into(), ["lora_magnitude_vector", "is missing"]),
        ("whole-modules", "modules_to_save", whole, ["lm_head.weight", "is missing"]),
        (
            "some-layers",
            "layers_to_transform",
            serde_json::json!([0]),
            ["layers.0.self_attn.q_proj", "is missing"],
        ),
    ];
    for (name, key, value, parts) in cases {
        let (dir, mut base) = changed(name, |config| config[key] = value.clone());
        let error = base.load_adapter(dir.path()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{name} with {key} = {value}: no {part} in {error}");
        }
        assert!(base.lora().is_none() && base.valid().lora().is_none());
    }
}

#[test]
fn a_rank_without_tensors_is_refused_before_room_is_made_for_it() {
    // A gigabyte for each matrix of a model with 4,096 values a token.
    let (dir, mut base) = changed("dora", |config| config["r"] = 65_000.into());
    let error = base.load_adapter(dir.path()).unwrap_err().to_string();
    assert!(error.contains("r (or rank_pattern)") && error.contains("65000"), "{error}");
    assert!(error.contains("the largest in adapter_model.safetensors"), "{error}");
}

#[test]
fn a_value_that_is_no_number_is_refused_by_its_tensor() {
    let (dir, mut base) = changed("dora", |_| {});
    let path = dir.path().join(ADAPTER_WEIGHTS);
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let error = base.load_adapter(dir.path()).unwrap_err().to_string();
    assert!(error.contains("tensor base_model.model.") && error.contains("NaN"), "{error}");
}
