//! Numbers far too large are refused by name before anything multiplies or reserves them.

mod support;

use std::fs;

use serde_json::json;
use support::model::{completions, json_lines, pairs, tiny};
use support::run::configured;
use support::{Done, bestof, text, words, write};
use tempfile::tempdir;

/// The largest number of a flag, and of TOML.
const MOST: [&str; 2] = ["18446744073709551615", "9223372036854775807"];

#[test]
fn flags_have_an_end() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let rows = write(dir.path(), "pairs.jsonl", pairs(3));
    let asked = json!({"prompt": "3 plus 5 is", "answer": "8"});
    let problems = write(dir.path(), "problems.jsonl", json_lines([asked]));
    let worked = json!({"question": "1 + 1?", "answer": "1 + 1 = 2\n#### 2"});
    let gsm = write(dir.path(), "gsm.jsonl", json_lines([worked]));
    let refused = |flags: &str, name: &str| {
        for most in MOST {
            let flags = flags.replace("MODEL", &model) + &format!(" {name} {most}");
            bestof(words(&flags)).refuses(2, &[name, most, "at most"]);
        }
    };
    let generate = "generate --model MODEL --prompt a --temperature 1";
    refused(generate, "--samples");
    refused(generate, "--max-new-tokens");
    refused(&format!("score --model MODEL --data {rows}"), "--batch");
    let pass = format!("evaluate pass-at-k --model MODEL --data {problems}");
    for name in ["--samples", "--max-new-tokens", "--max-batch"] {
        refused(&pass, name);
    }
    for task in ["passkey", "ruler"] {
        let flags = format!("evaluate {task} --model MODEL");
        for name in ["--cases", "--max-new-tokens", "--lengths"] {
            refused(&flags, name);
        }
    }
    let built = text(&dir.path().join("out.jsonl"));
    let build = format!("pairs build --task gsm8k --from {gsm} --out {built}");
    refused(&build, "--shots");
    refused("rope --method yarn --theta 10000", "--head-dim");
    refused("rope --method dynamic --head-dim 8 --theta 10000", "--length");
    refused("reproduce pkpo-toy", "--seeds");
    refused(&format!("sentiment generate --out {built}"), "--reviews");
    // What the rows do not have is told as before.
    bestof(words(&format!("{build} --shots 9999"))).refuses(1, &["need at least 10000 rows"]);
}

#[test]
fn settings_of_runs_have_an_end() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let rows = write(dir.path(), "rows.jsonl", completions(6));
    let out = text(&dir.path().join("run"));
    let config = format!(
        "[model]\npath = '{model}'\n[data]\ntrain = '{rows}'\nmax_length = 64\n[output]\ndir = '{out}'\n[train]\nmax_steps = 1\n"
    );
    let run = |verb: &str, set: &str| -> Done {
        bestof(configured(dir.path(), verb, "run", &config, &[set]))
    };
    for key in [
        "train.gradient_accumulation_steps",
        "train.per_device_train_batch_size",
        "train.per_device_eval_batch_size",
        "lora.r",
        "rollout.num_generations",
        "rollout.max_new_tokens",
        "rollout.max_batch",
        "rollout.server_concurrency",
        "objective.updates_per_batch",
        "reward.workers",
    ] {
        let verb = if key.starts_with("train.") || key == "lora.r" { "sft" } else { "reinforce" };
        let done = run(verb, &format!("{key}={}", MOST[1]));
        done.refuses(1, &[&format!("`{key}`"), MOST[1], "at most"]);
    }
    // In range, and beyond what a layer of 32 by 64 can have.
    run("sft", "lora.r=60000").refuses(1, &["`r`", "60000", "inputs", "outputs"]);
    // Two counts of rows at their ends are a step of all rows.
    let set = "train={max_steps=1,per_device_train_batch_size=1048576,gradient_accumulation_steps=1048576}";
    let done = run("sft", set);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn a_row_far_beyond_the_maximum_length_is_left_out_before_it_is_tokenized() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    // Without an unknown token, what would be tokenized is an error.
    let path = model.join("tokenizer.json");
    let tokenizer = fs::read_to_string(&path).unwrap();
    let unknown = r#""unk_token":"<unk>""#;
    assert!(tokenizer.contains(unknown));
    fs::write(&path, tokenizer.replace(unknown, r#""unk_token":"<none>""#)).unwrap();
    let long = "é".repeat(7 << 20);
    let rows = [
        json!({"text": "some text"}),
        json!({"text": long}),
        json!({"prompt": "a", "completion": long}),
        json!({"prompt": long, "completion": "b"}),
    ];
    let data = write(dir.path(), "rows.jsonl", json_lines(rows));
    let only = write(dir.path(), "only.jsonl", json_lines([json!({"text": long})]));
    let (model, out) = (text(&model), text(&dir.path().join("run")));
    let run = |data: &str| {
        let config = format!(
            "[model]\npath = '{model}'\n[data]\ntrain = '{data}'\nmax_length = 64\n[output]\ndir = '{out}'\n[train]\nmax_steps = 1\n"
        );
        bestof(configured(dir.path(), "sft", "run", &config, &[]))
    };
    run(&only).refuses(1, &["only.jsonl", "longer than the maximum length (line 1)"]);
    let done = run(&data);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["rows.jsonl: 1 of 4 rows kept", "(line 2, 3)", "fills the maximum length (line 4)"]
    {
        assert!(done.stderr.contains(part), "{part} is not in {}", done.stderr);
    }
}
