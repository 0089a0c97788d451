//! `--adapter`: what a run leaves beside its merged model scores like it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;

use bestof_closeness::largest_difference;
use serde_json::{Value, json};
use support::model::{pairs, put_together, set, take_apart, tiny};
use support::{bestof, parity, text, words, write};
use tempfile::tempdir;

fn scores(model: &Path, data: &str, more: &str) -> Vec<f64> {
    let flags = format!("score --model {} --data {data} --json {more}", model.display());
    let sides =
        |row: &Value| ["chosen", "rejected"].map(|side| row[side]["logprob"].as_f64().unwrap());
    bestof(words(&flags)).lines().iter().flat_map(sides).collect()
}

#[test]
fn adapters_load_apart_and_score_like_the_merged_model() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let data = write(dir.path(), "pairs.jsonl", pairs(24));
    let run = dir.path().join("run");
    let config = format!(
        "[model]\npath = {:?}\n[data]\ntrain = {data:?}\n[output]\ndir = {:?}\n\
         [train]\nmax_steps = 6\nlearning_rate = 5e-3\n[lora]\nr = 4\ndropout = 0.1\n",
        text(&model),
        text(&run)
    );
    let config = write(dir.path(), "run.toml", config);
    bestof(["prefer", "--json", "--config", &config]).json();

    let merged = scores(&run.join("final"), &data, "");
    let before = scores(&model, &data, "");
    assert!(largest_difference(&merged, &before) > 1e-2, "training changed the model");
    for adapter in [run.join("adapter"), run.join("checkpoints/step-000006")] {
        let adapted = scores(&model, &data, &format!("--adapter {}", adapter.display()));
        let (moved, gap) =
            (largest_difference(&adapted, &before), largest_difference(&adapted, &merged));
        assert!(gap < 1e-3 && moved > 1e-2, "{}: moved {moved}, apart {gap}", adapter.display());
    }
}

/// An adapter that PEFT wrote, in which one setting is another.
fn peft(dir: &Path, name: &str, key: &str, value: Value) -> String {
    let from = parity("").join("../peft").join(name);
    let to = dir.join(format!("{name}-{key}"));
    fs::create_dir_all(&to).unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    set(&to, "adapter_config.json", key, value);
    text(&to)
}

#[test]
fn adapters_of_peft_are_used_or_refused_by_name() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let data = write(dir.path(), "pairs.jsonl", pairs(3));
    let before = scores(&model, &data, "");
    for name in ["rslora-patterns", "lora-bias-without-bias", "whole-modules", "saved-embeddings"] {
        let adapter = peft(dir.path(), name, "peft_version", json!("0.21.2"));
        let adapted = scores(&model, &data, &format!("--adapter {adapter}"));
        assert!(largest_difference(&adapted, &before) > 1e-2, "{name}");
    }
    let not_whole = "base_model.model.model.embed_tokens.weight";
    for (name, key, value, part) in [
        ("rslora-patterns", "init_lora_weights", json!("pissa"), "residual"),
        ("rslora-patterns", "init_lora_weights", json!("loftq"), "LoftQ"),
        ("rslora-patterns", "layer_replication", json!([[0, 2], [1, 2]]), "more than once"),
        ("rslora-patterns", "alora_invocation_tokens", json!([3]), "invocation tokens"),
        ("rslora-patterns", "use_rslorra", json!(true), "did you mean `use_rslora`"),
        ("lora-bias-without-bias", "lora_bias", json!(false), "lora_B.bias"),
        ("rslora-patterns", "rank_pattern", json!({}), "v_proj.lora_A.weight"),
        (
            "whole-modules",
            "modules_to_save",
            json!(["embed_tokens", "norm", "0.mlp", "lm_head"]),
            "lm_head.weight",
        ),
        ("adapted-embeddings", "target_modules", json!(["q_proj"]), "lm_head.lora_A.weight"),
    ] {
        let adapter = peft(dir.path(), name, key, value);
        let flags = format!("score --model {} --data {data} --adapter {adapter}", model.display());
        bestof(words(&flags)).refuses(1, &["could not load the adapter", part]);
    }
    let adapter = peft(dir.path(), "saved-embeddings", "r", json!(2));
    let file = Path::new(&adapter).join("adapter_model.safetensors");
    let (header, mut tensors) = take_apart(&file);
    let start = header[not_whole]["data_offsets"][0].as_u64().unwrap() as usize;
    tensors[start + 8..start + 12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    put_together(&file, &header, &tensors);
    let flags = format!("score --model {} --data {data} --adapter {adapter}", model.display());
    bestof(words(&flags)).refuses(1, &["adapter_model.safetensors", not_whole, "inf at element 2"]);
}

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let data = write(dir.path(), "pairs.jsonl", pairs(1));
    let flags = format!("score --model {} --data {data} --adapter absent", model.display());
    bestof(words(&flags)).refuses(1, &["could not load the adapter", "absent"]);
}
