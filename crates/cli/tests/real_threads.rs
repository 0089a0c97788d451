//! Every weight of SmolLM2 trained by 1, 2 and 5 threads, to the same bytes.
//!
//! Compiled with the feature `real-models` only, and then failing, not passing over, when the
//! folder named by `BESTOF_REAL_MODELS` or the model in it is missing.
#![cfg(feature = "real-models")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use support::model::json_lines;
use support::run::{configured, metrics};
use support::{command, finish, text, write};
use tempfile::tempdir;

fn smollm2() -> PathBuf {
    let root = std::env::var_os("BESTOF_REAL_MODELS")
        .expect("BESTOF_REAL_MODELS names the folder that holds the fetched models");
    PathBuf::from(root).join("smollm2-135m-instruct")
}

fn same_bytes_by_any_number_of_threads(verb: &str, rows: &str, more: &str) {
    let dir = tempdir().unwrap();
    let rows = write(dir.path(), "rows.jsonl", rows);
    let run = |threads: usize| {
        let folder = dir.path().join(format!("{threads}-threads"));
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {rows:?}\neval_fraction = 0.0\n[output]\ndir = {:?}\n\
             [train]\nmax_steps = 2\nper_device_train_batch_size = 2\nsave_steps = 0\n\
             learning_rate = 1e-5\nmax_grad_norm = 0.5\n{more}",
            text(&smollm2()),
            text(&folder)
        );
        let args = configured(dir.path(), verb, &format!("{threads}"), &config, &[]);
        let mut command = command(args);
        command.env("RAYON_NUM_THREADS", threads.to_string());
        finish(command, b"").json();
        folder
    };
    let weights = |run: &Path| fs::read(run.join("final/model.safetensors")).unwrap();
    let one = run(1);
    let norms: Vec<f64> =
        metrics(&one).iter().filter_map(|row| row.get("grad_norm")?.as_f64()).collect();
    assert!(norms.first() > Some(&0.5), "nothing is clipped: {norms:?}");
    for threads in [2, 5] {
        let several = run(threads);
        assert_eq!(metrics(&several), metrics(&one), "{verb} by {threads} threads");
        assert!(weights(&several) == weights(&one), "{verb}: other weights by {threads} threads");
        fs::remove_dir_all(several).unwrap();
    }
}

#[test]
fn supervised_steps_are_the_same_by_any_number_of_threads() {
    let rows = json_lines((0..4).map(|n| {
        json!({"prompt": format!("Count from {n}."), "completion": format!("{n}, {}, {}.", n + 1, n + 2)})
    }));
    same_bytes_by_any_number_of_threads("sft", &rows, "");
}

#[test]
fn preference_steps_are_the_same_by_any_number_of_threads() {
    let rows = json_lines((0..4).map(|n| {
        let (right, wrong) = (format!("The answer is {}.", n + 3), "I would not know.");
        json!({"prompt": format!("What is {n} + 3?"), "chosen": right, "rejected": wrong})
    }));
    same_bytes_by_any_number_of_threads("prefer", &rows, "[loss]\nname = \"dpop\"\n");
}

#[test]
fn policy_gradient_steps_are_the_same_by_any_number_of_threads() {
    let rows = json_lines(
        (1..5).map(|n| json!({"prompt": format!("{n}, {}, {},", n + 1, n + 2), "answer": n + 3})),
    );
    let more = "[rollout]\nnum_generations = 8\nmax_new_tokens = 4\n\
                [objective]\nestimator = \"loo-minus-one\"\nk = 2\n";
    same_bytes_by_any_number_of_threads("reinforce", &rows, more);
}
