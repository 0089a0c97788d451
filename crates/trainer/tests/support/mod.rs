//! A tiny LLaMA with a character tokenizer, made on the spot, and rows for it.
#![allow(dead_code, reason = "each test file uses some of these")]

pub(crate) mod device;

use std::fs;
use std::path::{Path, PathBuf};

use bestof_checkpoints::StoredType;
use bestof_models::{Decoder, DecoderConfig, Device};
use bestof_trainer::config::RunConfig;
use serde_json::json;

const CHARACTERS: &str = "0123456789+-*=?.,: abcdefghijklmnopqrstuvwxyz";

/// Writes a model folder: two layers of width 32, one token a character.
pub(crate) fn tiny_model(dir: &Path, tied: bool) -> PathBuf {
    fs::create_dir_all(dir).unwrap();
    let mut vocab = serde_json::Map::new();
    for (id, token) in ["<unk>", "<eos>"].into_iter().enumerate() {
        vocab.insert(token.to_owned(), json!(id));
    }
    for character in CHARACTERS.chars() {
        vocab.insert(character.to_string(), json!(vocab.len()));
    }
    let special = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [special(0, "<unk>"), special(1, "<eos>")],
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "post_processor": null, "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    });
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 48,
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": tied, "eos_token_id": 1, "torch_dtype": "float32"
    });
    let write = |name: &str, value: &serde_json::Value| {
        fs::write(dir.join(name), value.to_string()).unwrap();
    };
    write("config.json", &config);
    write("tokenizer.json", &tokenizer);
    write("tokenizer_config.json", &json!({"eos_token": "<eos>", "unk_token": "<unk>"}));
    let shape = DecoderConfig::from_hf(&config).unwrap();
    let model = Decoder::random(shape, 7, &Device::flex()).unwrap();
    model.save(dir, StoredType::F32, None).unwrap();
    dir.to_owned()
}

/// Sums with a right and a wrong result: the answers differ in a character or two.
pub(crate) fn pairs(path: &Path, count: usize) -> PathBuf {
    let mut text = String::new();
    for i in 0..count {
        let (a, b) = (i * 7 % 40 + 3, i * 11 % 30 + 2);
        let row = json!({
            "prompt": format!("{a}+{b}=?"),
            "chosen": format!(" {a} plus {b} is {}. done", a + b),
            "rejected": format!(" {a} plus {b} is {}. done", a + b + 1 + i % 3),
        });
        text += &row.to_string();
        text.push('\n');
    }
    fs::write(path, text).unwrap();
    path.to_owned()
}

/// Right and wrong results of the same sums, each by itself with its label.
pub(crate) fn labelled(path: &Path, count: usize) -> PathBuf {
    let mut text = String::new();
    for i in 0..count {
        let (a, b) = (i * 7 % 40 + 3, i * 11 % 30 + 2);
        let right = i % 3 != 1;
        let answer = format!(" {}", a + b + usize::from(!right));
        let row = json!({"prompt": format!("{a}+{b}=?"), "completion": answer, "label": right});
        text += &row.to_string();
        text.push('\n');
    }
    fs::write(path, text).unwrap();
    path.to_owned()
}

/// The right answers of the same sums, and some plain text.
pub(crate) fn completions(path: &Path, count: usize) -> PathBuf {
    let mut text = String::new();
    for i in 0..count {
        let (a, b) = (i * 7 % 40 + 3, i * 11 % 30 + 2);
        let row = if i % 5 == 4 {
            json!({"text": format!("{a} and {b} are numbers.")})
        } else {
            json!({"prompt": format!("{a}+{b}=?"), "completion": format!(" {}", a + b)})
        };
        text += &row.to_string();
        text.push('\n');
    }
    fs::write(path, text).unwrap();
    path.to_owned()
}

/// Questions whose answer is a digit, which a model that says anything sometimes says.
pub(crate) fn questions(path: &Path, count: usize) -> PathBuf {
    let row =
        |n: usize| json!({"prompt": format!("{n}="), "answer": (n % 10).to_string()}).to_string();
    let text: Vec<String> = (0..count).map(row).collect();
    fs::write(path, text.join("\n")).unwrap();
    path.to_owned()
}

/// A configuration over a model and rows made under `root`, for a run in `root/runs/NAME`.
pub(crate) fn config(root: &Path, name: &str, rows: &Path, overrides: &[&str]) -> RunConfig {
    let text = format!(
        "[model]\npath='{}'\n[data]\ntrain='{}'\neval_fraction=0.2\n[output]\ndir='{}'\n\
         [train]\nper_device_train_batch_size=4\ngradient_accumulation_steps=2\n\
         learning_rate=2e-3\nlr_scheduler_type='cosine'\nwarmup_steps=1\nmax_steps=6\n\
         eval_steps=3\nsave_steps=2\nmax_tokens_per_forward=200\n",
        root.join("model").display(),
        rows.display(),
        root.join("runs").join(name).display(),
    );
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::from_toml(&text, &overrides).unwrap()
}
