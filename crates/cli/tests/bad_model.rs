//! Model folders that make no model: each message says what was found and how to mend it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::model::{put_together, set, take_apart, tiny, write_tokenizer};
use support::{Done, bestof, fed, parity, text, words, write};
use tempfile::{TempDir, tempdir};

/// A whole tiny model, to be damaged, and a file of rows.
fn whole() -> (TempDir, PathBuf, String) {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let row = json!({"prompt": "ab", "chosen": " c", "rejected": " d"});
    let data = write(dir.path(), "rows.jsonl", row.to_string());
    (dir, model, data)
}

fn score(model: &Path, data: &str) -> Done {
    bestof(words(&format!("score --model {} --data {data} --json", model.display())))
}

/// Training refuses what scoring refuses, before it makes a run folder.
fn refused_everywhere(dir: &Path, model: &Path, data: &str, parts: &[&str]) {
    score(model, data).refuses(1, parts);
    let run = dir.join("run");
    let config = format!(
        "[model]\npath = {:?}\n[data]\ntrain = {data:?}\n[output]\ndir = {:?}\n",
        text(model),
        text(&run)
    );
    let config = write(dir, "run.toml", config);
    bestof(["prefer", "--config", &config, "--json"]).refuses(1, parts);
    assert!(!run.exists(), "no run folder for a model that cannot be opened");
}

#[test]
fn missing_weights() {
    let (dir, model, data) = whole();
    fs::remove_file(model.join("model.safetensors")).unwrap();
    let parts = ["holds no weights", "expected model.safetensors", &text(&model)];
    refused_everywhere(dir.path(), &model, &data, &parts);
    fs::write(model.join("pytorch_model.bin"), "pickle").unwrap();
    score(&model, &data).refuses(1, &["only the pickle pytorch_model.bin", "save_pretrained"]);
    let index = json!({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}});
    fs::write(model.join("model.safetensors.index.json"), index.to_string()).unwrap();
    score(&model, &data).refuses(1, &["names the shard model-00001-of-00002", "missing"]);
}

#[test]
fn truncated_weights() {
    let (dir, model, data) = whole();
    let path = model.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let parts = ["model.safetensors is damaged", "bytes where its header asks for", "fetch"];
    refused_everywhere(dir.path(), &model, &data, &parts);
    fs::write(&path, &bytes[..20]).unwrap();
    score(&model, &data).refuses(1, &["model.safetensors"]);
    fs::write(&path, b"").unwrap();
    score(&model, &data).refuses(1, &["model.safetensors"]);
    // A header that claims more bytes than any disk holds is not allocated.
    fs::write(&path, u64::MAX.to_le_bytes()).unwrap();
    score(&model, &data).refuses(1, &["model.safetensors"]);
}

#[test]
fn a_tensor_of_the_wrong_shape() {
    let (dir, model, data) = whole();
    let path = model.join("model.safetensors");
    let (mut header, tensors) = take_apart(&path);
    let name = "model.layers.1.mlp.down_proj.weight";
    assert_eq!(header[name]["shape"], json!([32, 64]));
    header[name]["shape"] = json!([64, 32]);
    put_together(&path, &header, &tensors);
    let parts = [name, "[64, 32]", "[32, 64]", "config.json"];
    refused_everywhere(dir.path(), &model, &data, &parts);
}

#[test]
fn a_tensor_that_is_not_there() {
    let (_dir, model, data) = whole();
    let path = model.join("model.safetensors");
    let (mut header, tensors) = take_apart(&path);
    let entries = header.as_object_mut().unwrap();
    let norm = entries.remove("model.norm.weight").unwrap();
    entries.insert("model.nrm.weight".into(), norm);
    put_together(&path, &header, &tensors);
    score(&model, &data).refuses(1, &["no tensor", "model.norm.weight"]);
}

#[test]
fn an_unknown_architecture() {
    let (dir, model, data) = whole();
    set(&model, "config.json", "model_type", json!("mamba"));
    let parts = ["model_type `mamba` is not known", "known are", "llama", "gemma3"];
    refused_everywhere(dir.path(), &model, &data, &parts);
    set(&model, "config.json", "model_type", json!(null));
    score(&model, &data).refuses(1, &["model_type"]);
    // An encoder is a model, but not one that continues a text.
    set(&model, "config.json", "model_type", json!("bert"));
    score(&model, &data).refuses(1, &["bert"]);
}

#[test]
fn an_unknown_rope_type() {
    let (dir, model, data) = whole();
    let rope = json!({"rope_type": "yrn", "rope_theta": 1e4, "factor": 2.0});
    set(&model, "config.json", "rope_parameters", rope);
    let parts = ["config.json", "yrn", "yarn", "llama3"];
    refused_everywhere(dir.path(), &model, &data, &parts);
}

#[test]
fn fields_of_the_configuration_that_make_no_model() {
    let (_dir, model, data) = whole();
    set(&model, "config.json", "num_attention_heads", json!(0));
    score(&model, &data).refuses(1, &["config.json", "num_attention_heads", "expected"]);
    set(&model, "config.json", "num_attention_heads", json!("four"));
    score(&model, &data).refuses(1, &["config.json", "num_attention_heads", "expected"]);
    set(&model, "config.json", "num_attention_heads", json!(4));
    set(&model, "config.json", "num_hidden_layers", json!(1_000_000_000_u64));
    assert_eq!(score(&model, &data).code, 1);
    set(&model, "config.json", "num_hidden_layers", json!(null));
    score(&model, &data).refuses(1, &["no tensor `model.layers.2.", "config.json calls for it"]);
    fs::write(model.join("config.json"), "{\"model_type\": \"llama\",\n oops").unwrap();
    score(&model, &data).refuses(1, &["config.json", "line 2"]);
    fs::remove_file(model.join("config.json")).unwrap();
    score(&model, &data).refuses(1, &["has no config.json", "not a model folder", "convert"]);
    score(Path::new("no/such/model"), &data).refuses(1, &["no/such/model"]);
}

#[test]
fn a_tokenizer_that_does_not_fit_the_vocabulary() {
    let (dir, model, data) = whole();
    write_tokenizer(&model, 40);
    let parts = ["<word39>", "with id 140", "128 embeddings", "do not belong together"];
    refused_everywhere(dir.path(), &model, &data, &parts);
    bestof(words(&format!("inspect --model {} --data {data}", model.display())))
        .refuses(1, &["<word39>", "128 embeddings"]);
    bestof(words(&format!("generate --model {} --prompt ab", model.display())))
        .refuses(1, &["<word39>", "128 embeddings"]);
}

#[test]
fn a_tokenizer_that_is_missing_or_damaged() {
    let (dir, model, data) = whole();
    let path = model.join("tokenizer.json");
    fs::remove_file(&path).unwrap();
    refused_everywhere(dir.path(), &model, &data, &["has no tokenizer.json"]);
    fs::write(model.join("tokenizer.model"), "sentencepiece").unwrap();
    score(&model, &data).refuses(1, &["tokenizer.model alone is not read", "save_pretrained"]);
    fs::write(&path, "{\"model\": {}}").unwrap();
    score(&model, &data).refuses(1, &["tokenizer.json"]);
    fs::write(&path, b"\xff\xfe").unwrap();
    score(&model, &data).refuses(1, &["tokenizer.json"]);
}

#[test]
fn chat_templates_that_are_missing_or_do_not_run() {
    let (_dir, model, _) = whole();
    let talk = r#"[{"role":"user","content":"Hi"}]"#;
    let flags = words(&format!("tokenize --model {} --chat --json", model.display()));
    set(&model, "tokenizer_config.json", "chat_template", json!("{% for m in messages %}"));
    fed(&flags, talk).refuses(1, &["chat template, line 1"]);
    let refusing = "{{ raise_exception('roles must alternate') }}";
    set(&model, "tokenizer_config.json", "chat_template", json!(refusing));
    fed(&flags, talk).refuses(1, &["refuses these messages: roles must alternate"]);
    let endless = "{% for i in range(1000000000) %}x{% endfor %}";
    set(&model, "tokenizer_config.json", "chat_template", json!(endless));
    fed(&flags, talk).refuses(1, &["chat template"]);
    set(&model, "tokenizer_config.json", "chat_template", json!(null));
    fed(&flags, talk).refuses(1, &["has no chat template", "leave out --chat"]);
}

#[test]
fn parity_folders_that_cannot_be_compared() {
    let (_dir, model, _) = whole();
    let path = text(&model);
    bestof(["parity", "--json", &path]).refuses(1, &["expected.safetensors", &path]);
    let expected = parity("gemma3").join("expected.safetensors");
    let bytes = fs::read(expected).unwrap();
    fs::write(model.join("expected.safetensors"), &bytes[..bytes.len() - 9]).unwrap();
    bestof(["parity", "--json", &path]).refuses(1, &["expected.safetensors is damaged"]);
}

#[test]
fn a_device_that_is_not_built_in_or_not_known() {
    let (_dir, model, data) = whole();
    let with = |device: &str| {
        bestof(words(&format!("score --model {} --data {data} --device {device}", model.display())))
    };
    if cfg!(not(feature = "cuda")) {
        with("cuda").refuses(2, &["cuda", "feature"]);
        with("cuda:1").refuses(2, &["cuda", "feature"]);
    }
    with("tpu").refuses(2, &["tpu", "cpu"]);
    with("cpu:x").refuses(2, &["cpu:x"]);
    let mut by_environment = support::command(words(&format!("parity {}", model.display())));
    by_environment.env("BESTOF_DEVICE", "tpu");
    support::finish(by_environment, b"").refuses(2, &["tpu"]);
}
