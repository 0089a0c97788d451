//! Each target by its name.

use std::fs;

use bestof_checkpoints::{
    ChatTemplate, ModelFolder, SpecialTokens, TemplateValue, Tokenizer, Weights,
};
use bestof_models::encoder::EncoderConfig;
use bestof_models::{Decoder, DecoderConfig, Device};
use bestof_report::{Report, RunFolder};
use bestof_sentiment::neural::{NeuralConfig, NeuralRequest};
use bestof_sentiment::prepare::{PrepareOptions, ReviewSource, prepare};
use bestof_tasks::rows::{DataRow, FileRows, ReadOptions, first_row};
use bestof_trainer::config::{RunConfig, RunKind};
use serde_json::{Value, json};

use crate::Target;
use crate::scratch::{file, files, folder};

/// Names and functions; `fuzz/seeds/NAME` holds what a target begins with.
pub(crate) const ALL: &[(&str, Target)] = &[
    ("safetensors", safetensors),
    ("gguf", gguf),
    ("config", config),
    ("tokenizer", tokenizer),
    ("template", template),
    ("adapter", adapter),
    ("jsonl", |data| rows("rows.jsonl", data)),
    ("json", |data| rows("rows.json", data)),
    ("csv", |data| rows("rows.csv", data)),
    ("parquet", |data| rows("rows.parquet", data)),
    ("toml", toml),
    ("run-folder", run_folder),
    ("reviews-csv", |data| reviews("reviews.csv", data)),
    ("reviews-parquet", |data| reviews("reviews.parquet", data)),
    ("yelp", yelp),
];

fn safetensors(data: &[u8]) {
    weights(&file("model.safetensors", data));
}

/// Opens a file of weights and reads every tensor, as floats and as what it is.
fn weights(path: &std::path::Path) {
    let Ok(weights) = Weights::open(path) else { return };
    for info in weights.infos() {
        let _ = weights.read_f32(&info.name, &info.shape);
        let _ = weights.read_i64(&info.name);
        let _ = weights.read_blocks(&info.name);
    }
}

fn gguf(data: &[u8]) {
    let path = file("model.gguf", data);
    weights(&path);
    let Ok(model) = ModelFolder::open(&path) else { return };
    if let Ok(tokenizer) = model.tokenizer() {
        encode(tokenizer);
    }
    let _ = DecoderConfig::from_hf(&model.config);
}

fn config(data: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Value>(data) else { return };
    let _ = DecoderConfig::from_hf(&config);
    let _ = EncoderConfig::from_hf(&config);
    file("config.json", data);
    let _ = ModelFolder::open(folder());
}

fn encode(tokenizer: &Tokenizer) {
    for text in ["", "Hello, world! 12 apples.\n\n  ünïcödé 漢字 🎉\u{200d}", "<s>x</s> [MASK]"]
    {
        if let Ok(ids) = tokenizer.encode(text, true) {
            let _ = tokenizer.decode(&ids, false);
        }
    }
}

fn tokenizer(data: &[u8]) {
    files(&["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"], data);
    if let Ok(tokenizer) = Tokenizer::from_dir(folder()) {
        encode(&tokenizer);
    }
}

fn template(data: &[u8]) {
    let Ok(source) = std::str::from_utf8(data) else { return };
    let Ok(template) = ChatTemplate::new(source, &SpecialTokens::default()) else { return };
    let messages = json!([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 2 + 3?"},
        {"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "add", "arguments": {"a": 2}}}]},
        {"role": "tool", "content": "5"},
        {"role": "assistant", "content": "5"},
    ]);
    let messages: Vec<TemplateValue> = serde_json::from_value(messages).expect("messages");
    let _ = template.render(&messages, true);
}

thread_local! {
    static DECODER: Decoder = {
        let config = json!({
            "model_type": "llama", "vocab_size": 8, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
            "max_position_embeddings": 32,
        });
        let config = DecoderConfig::from_hf(&config).expect("a configuration");
        Decoder::random(config, 1, &Device::flex()).expect("a model")
    };
}

fn adapter(data: &[u8]) {
    files(&["adapter_config.json", "adapter_model.safetensors"], data);
    let mut decoder = DECODER.with(Clone::clone);
    if decoder.load_adapter(folder()).is_ok() {
        let _ = decoder.merge_lora();
    }
}

fn rows(name: &str, data: &[u8]) {
    let path = file(name, data);
    let options = ReadOptions::default();
    let _ = first_row(&path, &options);
    if let Ok(mut rows) = FileRows::<DataRow>::open(&path, &options) {
        for _ in rows.by_ref() {}
        let _ = rows.finish();
    }
}

fn toml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let kinds = [RunKind::SUPERVISED, RunKind::PREFERENCE, RunKind::POLICY, RunKind::EXTENSION];
    if let Ok(config) = RunConfig::from_toml(text, &[]) {
        for kind in kinds {
            let _ = config.validate_kind(kind);
        }
        let again = RunConfig::from_toml(&config.to_toml(), &[]);
        assert_eq!(again.ok().as_ref(), Some(&config), "what was read is written otherwise");
    }
    let _ = NeuralConfig::from_toml(text, &[], NeuralRequest::default());
}

fn run_folder(data: &[u8]) {
    files(&["metrics.jsonl", "samples.jsonl", "train_results.json", "facts.json"], data);
    if let Ok(run) = RunFolder::open(folder()) {
        let _ = Report::from_runs(&[run]).write(&folder().join("report.html"));
    }
}

fn reviews(name: &str, data: &[u8]) {
    prepared(ReviewSource::Csv(file(name, data)));
}

fn yelp(data: &[u8]) {
    let names =
        ["business", "review", "user"].map(|name| format!("yelp_academic_dataset_{name}.json"));
    files(&[&names[0], &names[1], &names[2]], data);
    prepared(ReviewSource::Folder(folder().to_owned()));
}

fn prepared(source: ReviewSource) {
    let out = folder().join("prepared");
    let _ = fs::remove_dir_all(&out);
    let _ = prepare(&PrepareOptions::new(source), &out, &mut |_| {});
}
