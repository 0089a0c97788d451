//! `extend` and `rope` on models without RoPE, in all layers (`drope`, `nope`) or in some.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::model::{json_lines, set, tiny};
use support::{bestof, text, words, write};
use tempfile::tempdir;

fn extend(model: &Path, out: &Path, flags: &str) -> support::Done {
    let line = format!("extend --model {} --out {} {flags}", model.display(), out.display());
    bestof(words(&line))
}

fn config(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap()
}

/// A page of text with some structure to learn.
fn document(seed: usize) -> String {
    let word = |i: usize| ["red", "fox", "sea", "old", "tin"][(i * (seed + 2) + i / 7) % 5];
    (0..60).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn positions_are_dropped_at_the_length_before_and_stay_so() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    set(&model, "config.json", "max_position_embeddings", json!(64));
    let data = write(
        dir.path(),
        "documents.jsonl",
        json_lines((0..6).map(|i| json!({"text": document(i)}))),
    );
    let run = dir.path().join("run");
    let settings = |dir: &Path, section: &str| {
        let settings = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {data:?}\n[output]\ndir = {:?}\n[train]\nmax_steps = 3\n\
             learning_rate = 1e-2\n[extend]\nmethod = \"drope\"\n{section}",
            text(&model),
            text(dir),
        );
        write(dir.parent().unwrap(), "run.toml", settings)
    };
    let plain = dir.path().join("plain");
    assert_eq!(bestof(["extend", "--config", &settings(&plain, "")]).code, 0);
    let settings = settings(&run, "factor = 4.0\nlogit_slope = 0.5\n");
    assert_eq!(bestof(["extend", "--config", &settings]).code, 0);
    let weights = |run: &Path| std::fs::read(run.join("final/model.safetensors")).unwrap();
    assert!(weights(&run) == weights(&plain), "scores are scaled after training, not in it");
    assert_eq!(config(&plain.join("final"))["max_position_embeddings"], 64);
    let resolved = std::fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(resolved.contains("train_length = 64"), "{resolved}");
    let dropped = run.join("final");
    let written = config(&dropped);
    assert_eq!(
        (&written["max_position_embeddings"], &written["rope_parameters"]["rope_type"]),
        (&json!(256), &json!("longrope"))
    );
    assert_eq!(written["bestof"]["rope"]["rope_type"], "drope");
    // beta = 1 + 0.5 ln 4 at the new length, and 1 where it was trained.
    let factor = |dir: &Path| {
        let rope = bestof(words(&format!("rope --config {} --json", dir.display()))).json();
        rope["attention_factor"].as_f64().unwrap()
    };
    assert!((factor(&dropped) - 1.301_209_891_047_537_8).abs() < 1e-12);
    let shown = bestof(words(&format!("rope --config {}", dropped.display())));
    assert!(shown.stdout.contains("stands still"), "{}", shown.stdout);

    let longer = format!(
        "--config {settings} --set extend.train_length=65 --set output.dir={}",
        text(&dir.path().join("longer"))
    );
    bestof(words(&format!("extend {longer}"))).refuses(1, &["extend.train_length", "65", "drope"]);
    let drawn = format!("extend --config {settings} --set extend.random_positions=true");
    bestof(words(&drawn)).refuses(1, &["extend.random_positions"]);
    let out = dir.path().join("back");
    for flags in [
        "--method linear --factor 2",
        "--method linear --factor 2 --on-scaled replace",
        "--method default",
    ] {
        extend(&dropped, &out, flags).refuses(2, &["without RoPE", "rotate"]);
    }
    let wider = dir.path().join("wider");
    let flags = "--method drope --factor 8 --logit-slope 0.5 --on-scaled replace --json";
    let done = extend(&dropped, &wider, flags).json();
    assert_eq!((&done["trained_length"], &done["length"]), (&json!(64), &json!(512)));
    assert!((factor(&wider) - (1.0 + 0.5 * 8_f64.ln()).sqrt()).abs() < 1e-12);
}

#[test]
fn layers_without_rope_are_read_again() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("some");
    let done = extend(&model, &out, "--method default --no-rope-layer-interval 2 --json");
    assert!(done.stderr.contains("bestof.no_rope_layers"), "{}", done.stderr);
    assert_eq!(done.json()["layers_without_rope"], json!([1]));
    assert_eq!(config(&out)["bestof"]["no_rope_layers"], json!([1, 0]));
    let answer = bestof(words(&format!("rope --config {} --json", out.display()))).json();
    assert_eq!(answer["layers_without_rope"], json!([1]));
    let asked = format!("rope --config {} --no-rope-layers 0,1 --json", model.display());
    assert_eq!(bestof(words(&asked)).json()["layers_without_rope"], json!([0]));

    let row = write(dir.path(), "row.jsonl", json_lines([json!({"text": "a few words in a row"})]));
    let score = |dir: &Path| {
        let done =
            bestof(words(&format!("score --json --model {} --data {row}", dir.display()))).json();
        done["completion"]["logprob"].as_f64().unwrap()
    };
    assert!((score(&model) - score(&out)).abs() > 1e-3);
    // A run on it keeps the layers as they are.
    let run = dir.path().join("run");
    let settings = format!(
        "[model]\npath = {:?}\n[data]\ntrain = {row:?}\n[output]\ndir = {:?}\n[train]\nmax_steps = 1\n",
        text(&out),
        text(&run),
    );
    let settings = write(dir.path(), "run.toml", settings);
    assert_eq!(bestof(["sft", "--config", &settings]).code, 0);
    assert_eq!(config(&run.join("final"))["bestof"], config(&out)["bestof"]);

    let again = dir.path().join("again");
    extend(&out, &again, "--method default --no-rope-layers 0,1")
        .refuses(2, &["layer 1", "put back"]);
    extend(&model, &again, "--method default --no-rope-layers 1,0,1")
        .refuses(2, &["3 entries", "2 layers"]);
    extend(&model, &again, "--method default --no-rope-layers 1,0 --no-rope-layer-interval 2")
        .refuses(2, &["--no-rope-layer"]);
    bestof(words(
        "rope --method linear --factor 2 --head-dim 8 --theta 1e4 --no-rope-layer-interval 2",
    ))
    .refuses(2, &["--config"]);
    let gguf = format!("rope --config {} --gguf-rope-freqs", out.display());
    bestof(words(&gguf)).refuses(1, &["without RoPE", "rope_freqs.weight"]);
}
