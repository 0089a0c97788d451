//! `--adapter`: what a run leaves beside its merged model scores like it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::Path;

use bestof_closeness::largest_difference;
use serde_json::Value;
use support::model::{pairs, tiny};
use support::{bestof, text, words, write};
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

#[test]
fn an_adapter_that_is_not_there_is_named() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let data = write(dir.path(), "pairs.jsonl", pairs(1));
    let flags = format!("score --model {} --data {data} --adapter absent", model.display());
    bestof(words(&flags)).refuses(1, &["could not load the adapter", "absent"]);
}
