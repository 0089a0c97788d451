//! Every kind of run, killed at a handful of instants and resumed, against one that was not.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use support::model::{completions, json_lines, pairs, tiny};
use support::run::{configured, metrics, prepared_reviews, questions};
use support::{bestof, command, text, words, write};
use tempfile::tempdir;

/// Whether something is to be seen of a run.
type Seen = fn(&Path) -> bool;

/// Instants at which a process is killed, as what is to be seen of its run by then.
const INSTANTS: [(&str, Seen); 5] = [
    ("the settings are written", |run| run.join("config.toml").exists()),
    ("the first metrics are", |run| lines(run) > 0),
    ("a checkpoint is being written", |run| {
        names(&run.join("checkpoints")).iter().any(|name| name.ends_with(".partial"))
    }),
    ("a checkpoint and more metrics are", |run| {
        run.join("checkpoints/step-000020").exists() && lines(run) > 22
    }),
    ("the model is being written", |run| {
        names(run).iter().any(|name| name.starts_with(".final.") && name.ends_with(".partial"))
    }),
];

fn lines(run: &Path) -> usize {
    fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
}

fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Runs the program and kills it when `seen` holds; whether that was before its end.
fn killed(args: &[String], run: &Path, seen: Seen) -> bool {
    let mut child = command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{args:?}");
            return false;
        }
        if seen(run) {
            child.kill().unwrap();
            return child.wait().unwrap().code().is_none();
        }
        std::thread::yield_now();
    }
}

/// Kills the run that `args` gives for a folder at every instant, one after the other.
fn check(root: &Path, args: impl Fn(&Path) -> Vec<String>) {
    let (straight, run) = (root.join("runs/straight"), root.join("runs/killed"));
    let whole = bestof(args(&straight));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let resumed = [args(&run), vec!["--resume".to_owned()]].concat();
    let hits: Vec<&str> = INSTANTS
        .iter()
        .filter(|(_, seen)| killed(&resumed, &run, *seen))
        .map(|(name, _)| *name)
        .collect();
    // What lasts as long as a rename may be over before it is seen.
    assert!(hits.len() >= 3, "killed only when {hits:?}");
    let done = bestof(&resumed);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(metrics(&run), metrics(&straight), "killed when {hits:?}");
    let model = |run: &Path| {
        let mut files = names(&run.join("final"));
        files.sort();
        let read = |name: &String| fs::read(run.join("final").join(name)).unwrap();
        files.iter().map(|name| (name.clone(), read(name))).collect::<Vec<_>>()
    };
    assert!(model(&run) == model(&straight), "another model, killed when {hits:?}");
    let unfinished = |name: &String| [".partial", ".old"].iter().any(|end| name.ends_with(end));
    for dir in [run.clone(), run.join("checkpoints")] {
        assert!(
            !names(&dir).iter().any(unfinished),
            "left in {}: {:?}",
            dir.display(),
            names(&dir)
        );
    }
}

fn trained(verb: &str, rows: String, more: &str) {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let rows = write(dir.path(), "rows.jsonl", rows);
    check(dir.path(), |run| {
        let name = run.file_name().unwrap().to_str().unwrap();
        let config = format!(
            "[model]\npath = {model:?}\n[data]\ntrain = {rows:?}\neval_fraction = 0.25\n\
             [output]\ndir = {:?}\n[train]\nmax_steps = 40\nper_device_train_batch_size = 4\n\
             save_steps = 10\neval_steps = 15\nlearning_rate = 5e-3\nsave_total_limit = 2\n{more}",
            text(run)
        );
        configured(dir.path(), verb, name, &config, &[])
    });
}

#[test]
fn supervised_runs() {
    trained("sft", completions(24), "");
}

#[test]
fn preference_runs() {
    trained("prefer", pairs(24), "[lora]\nr = 2\ndropout = 0.2\n[loss]\nname = \"dpop\"\n");
}

#[test]
fn runs_on_labelled_completions() {
    let rows = json_lines((0..24).map(|n| {
        json!({"prompt": format!("{n} plus 5 is"), "completion": format!(" {n}"), "label": n % 2 == 0})
    }));
    trained("prefer", rows, "[loss]\nname = \"kto\"\n");
}

#[test]
fn policy_gradient_runs() {
    let more = "[rollout]\nnum_generations = 4\nmax_new_tokens = 6\n\
                [objective]\nestimator = \"loo-minus-one\"\nk = 2\nkl_coefficient = 0.05\n";
    trained("reinforce", questions(12), more);
}

#[test]
fn context_extension_runs() {
    let text = (0..400).fold(String::new(), |text, n| text + &n.to_string() + " and ");
    let rows = json_lines((0..6).map(|n| json!({"text": format!("{n} {text}")})));
    let more = "gradient_checkpointing = true\n\
                [extend]\nmethod = \"linear\"\nfactor = 2.0\ntrain_length = 128\n";
    trained("extend", rows, more);
}

#[test]
fn runs_on_reviews() {
    let dir = tempdir().unwrap();
    let prepared = prepared_reviews(dir.path(), 300);
    check(dir.path(), |run| {
        words(&format!(
            "sentiment train --model cnn --batch 4 --set train.max_steps=40 --set train.save_steps=10 \
             --set train.eval_steps=15 --set sentiment.filters=4 --set sentiment.word_width=4 \
             --data {prepared} --out {}",
            run.display()
        ))
    });
}
