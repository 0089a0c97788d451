//! A model whose log-probabilities are no numbers has no score: every measure names the item it failed at.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::Path;

use serde_json::json;
use support::model::{json_lines, pairs, put_together, set, take_apart, tiny};
use support::{bestof, text, words, write};
use tempfile::tempdir;

/// A model whose weights are numbers, and whose logits are not: they overflow.
fn damaged(dir: &Path) -> String {
    let model = tiny(dir);
    let path = model.join("model.safetensors");
    let (header, mut tensors) = take_apart(&path);
    for name in ["model.norm.weight", "lm_head.weight"] {
        let [begin, end] = [0, 1].map(|at| header[name]["data_offsets"][at].as_u64().unwrap());
        tensors[begin as usize..end as usize]
            .chunks_exact_mut(4)
            .for_each(|weight| weight.copy_from_slice(&1e30_f32.to_le_bytes()));
    }
    put_together(&path, &header, &tensors);
    set(&model, "config.json", "max_position_embeddings", json!(4096));
    text(&model)
}

#[test]
fn nothing_is_measured_on_a_model_that_gives_no_numbers() {
    let dir = tempdir().unwrap();
    let (sound, model) = (text(&tiny(&dir.path().join("sound"))), damaged(dir.path()));
    let rows = write(dir.path(), "pairs.jsonl", pairs(3));
    let book = write(dir.path(), "book.txt", "a text of some length");
    let completion = |n: usize| json!({"prompt": "1", "completion": n.to_string()});
    let one = write(dir.path(), "one.jsonl", json_lines((1..2).map(completion)));
    let asked = |n: usize| json!({"prompt": format!("{n} plus 5 is"), "answer": "8"});
    let problems = write(dir.path(), "problems.jsonl", json_lines((0..2).map(asked)));
    let item = |flags: &str, item: &str| {
        let done = bestof(words(&flags.replace("MODEL", &model).replace("SOUND", &sound)));
        done.refuses(1, &[item, "log-probabilit", "damaged, or overflow"]);
    };
    item("generate --model MODEL --prompt a --max-new-tokens 3", "prompt 1");
    item("generate --model MODEL --prompt a --prompt b --json", "request 0");
    item(&format!("score --model MODEL --data {rows} --json"), "pairs.jsonl:1");
    item(&format!("score --model MODEL --data {one}"), "one.jsonl:1");
    item(&format!("evaluate preference --model MODEL --data {rows}"), "pairs.jsonl:1");
    let beside = "evaluate preference --model SOUND --reference MODEL";
    item(&format!("{beside} --data {rows}"), "pairs.jsonl:1");
    item(&format!("evaluate perplexity --model MODEL --data {book}"), "book.txt");
    // A single token, of which there is no interval that could fail.
    item(&format!("evaluate perplexity --model MODEL --data {one}"), "one.jsonl:1");
    let data = format!("--data {problems} --max-new-tokens 3 --samples 2");
    item(&format!("evaluate pass-at-k --model MODEL {data}"), "problems.jsonl:1");
    for task in ["passkey", "longchat-lines", "free-form-qa", "altered-numeric-qa"] {
        let flags = "--lengths 900 --cases 1 --max-new-tokens 3";
        item(&format!("evaluate {task} --model MODEL {flags}"), "item ");
    }
    let ruler = "--tasks niah_single_1 --lengths 2500 --cases 1 --max-new-tokens 3";
    item(&format!("evaluate ruler --model MODEL {ruler}"), "item ");
}
