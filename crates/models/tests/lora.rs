//! Adapters: nothing at first, the same when merged, and through PEFT's files.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_checkpoints::{StoredType, Weights};
use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, ForwardOptions, LoraConfig, Precision, TokenForest, parameters,
};
use burn::module::Module;
use common::{apart, close, gradients_of, logps, trainable, with_lora};

fn text() -> TokenForest {
    TokenForest::text(&[3, 14, 15, 92, 65, 35, 89, 79, 32])
}

fn logprobs(model: &Decoder) -> Vec<f32> {
    logps(model, &text(), &ForwardOptions::default())
}

fn reference(model: &Decoder) -> Vec<f32> {
    logps(model, &text(), &ForwardOptions::reference())
}

#[test]
fn fresh_adapters_change_nothing() {
    let base = trainable("gemma3");
    let mut model = base.clone();
    model.attach_lora(&LoraConfig::default()).unwrap();
    assert_eq!(logprobs(&base), logprobs(&model));
    assert_eq!(logprobs(&base), reference(&model));
    let traced = model.token_logps(&text(), &ForwardOptions::default()).unwrap();
    assert_eq!(host_values(traced), reference(&model), "with a graph and without, to the last bit");
}

#[test]
fn without_adapters_the_model_is_its_reference() {
    let base = trainable("llama-gqa-untied");
    let model = with_lora("llama-gqa-untied", 0.0);
    assert!(apart(&logprobs(&base), &logprobs(&model), 1e-3));
    assert_eq!(logprobs(&base), reference(&model));
}

#[test]
fn only_adapters_are_trained() {
    let mut model = trainable("llama-gqa-untied");
    let all = parameters::trainable(&model).len();
    assert_eq!(all, 2 * 9 + 3);
    let targets = vec!["q_proj".to_owned(), "down_proj".to_owned()];
    model.attach_lora(&LoraConfig::default().with_targets(targets).with_r(4)).unwrap();
    let names: Vec<String> =
        parameters::trainable(&model).into_iter().map(|info| info.name).collect();
    assert_eq!(names.len(), 2 * 2 * 2);
    assert!(names.contains(&"model.layers.1.mlp.down_proj.lora_B.weight".to_owned()));
    let logps = model.token_logps(&text(), &ForwardOptions::default()).unwrap();
    let gradients = gradients_of(&model, &logps.sum());
    assert!(!gradients.is_empty());
    assert!(gradients.keys().all(|name| name.contains(".lora_")));
    assert!(model.attach_lora(&LoraConfig::default()).is_err());
    model.detach_lora();
    assert_eq!(parameters::trainable(&model).len(), all);
}

#[test]
fn merged_adapters_compute_the_same() {
    let mut model = with_lora("gemma2", 0.0);
    let (adapted, base) = (logprobs(&model), reference(&model));
    model.merge_lora().unwrap();
    assert!(close(&adapted, &logprobs(&model), 1e-5));
    let refused = model.valid().token_logps(&text(), &ForwardOptions::reference());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("unmerge"), "{refused}");
    assert!(model.merge_lora().is_err());
    assert!(model.token_logps(&text(), &ForwardOptions::default()).is_err());
    model.unmerge_lora().unwrap();
    assert!(close(&adapted, &logprobs(&model), 1e-5));
    assert!(close(&base, &reference(&model), 1e-5));
    assert!(model.unmerge_lora().is_err());
}

#[test]
fn saving_merges_and_adapters_go_through_files() {
    let model = with_lora("llama-tied-theta100k", 0.0);
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path(), StoredType::F32, None).unwrap();
    let saved = Weights::open(dir.path()).unwrap();
    let reloaded = Decoder::load(
        model.config().clone(),
        &saved,
        Precision::default(),
        &bestof_models::Device::flex(),
    )
    .unwrap();
    assert!(close(&logprobs(&model), &logprobs(&reloaded), 1e-5));

    let dir = tempfile::tempdir().unwrap();
    model.save_adapter(dir.path(), "base", StoredType::F32).unwrap();
    let stored = Weights::open(&dir.path().join("adapter_model.safetensors")).unwrap();
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(stored.info(name).unwrap().shape, [3, 32]);
    let mut fresh = trainable("llama-tied-theta100k");
    fresh.load_adapter(dir.path()).unwrap();
    assert_eq!(logprobs(&model), logprobs(&fresh));
    assert_eq!(fresh.lora().unwrap().r, 3);

    let mut other = trainable("llama-bias-headdim16");
    let error = other.load_adapter(dir.path()).unwrap_err().to_string();
    assert!(error.contains("lora_B") && error.contains("shape"), "{error}");
    assert!(other.lora().is_none(), "a failed load leaves the model as it was");
}
