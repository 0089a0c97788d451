//! stdout and stderr that are closed, full, or read by nobody.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::model::{completions, tiny};
use support::run::{Bench, configured};
use support::{Done, bestof, fed, finish, text, words, write};
use tempfile::tempdir;

/// Runs the program in a shell that sends its output elsewhere; `$0` and `$@` are the program and its arguments.
fn within(shell: &str, args: &[String], stdin: &str) -> Done {
    let mut command = Command::new("sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_bestof")]).args(args);
    command.env_remove("RUST_LOG").env_remove("BESTOF_DEVICE");
    finish(command, stdin.as_bytes())
}

/// The arguments of a run that has something to say: steps, evaluations and what was left out.
fn run_of(dir: &Path, model: &Path, name: &str) -> Vec<String> {
    let rows = completions(16) + "{\"prompt\": 1}\n";
    let rows = write(dir, "rows.jsonl", rows);
    let config = format!(
        "[model]\npath = {:?}\n[data]\ntrain = {rows:?}\nskip_bad_rows = true\neval_fraction = 0.25\n\
         [output]\ndir = {:?}\n[train]\nmax_steps = 4\nper_device_train_batch_size = 4\neval_steps = 2\n",
        text(model),
        text(&dir.join(name))
    );
    let mut args = configured(dir, "sft", name, &config, &[]);
    args.push("-vv".to_owned());
    args
}

/// Commands with their input: some that print much, one whose command line is wrong and one that fails.
fn commands(model: &Path) -> Vec<(Vec<String>, &'static str)> {
    let model = text(model);
    vec![
        (words("estimate --k 2 --estimator loo-minus-one"), "[0.1, 0.2, 0.7, 1.0]\n"),
        (words(&format!("rope --config {model} --json")), ""),
        (words("judge --verifier number -vv"), "{\"answer\": \"5\", \"completion\": \"5\"}\n"),
        (words(&format!("tokenize --model {model}")), "one\ntwo\n"),
        (words(&format!("generate --model {model} --prompt one --max-new-tokens 4 -vv")), ""),
        (words("--help"), ""),
        (words("--version"), ""),
        (words("sft --help"), ""),
        (words("estimate --nonsense"), ""),
        (words("tokenize --model /no/such/model"), "one\n"),
    ]
}

#[test]
fn nothing_that_is_said_on_stderr_ends_a_verb() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    for (args, stdin) in commands(&model) {
        let expected = fed(&args, stdin);
        for shell in [r#""$0" "$@" 2>&-"#, r#""$0" "$@" 2>/dev/full"#] {
            let found = within(shell, &args, stdin);
            assert_eq!(found.code, expected.code, "{shell} of {args:?}");
            assert_eq!(found.stdout, expected.stdout, "{shell} of {args:?}");
        }
    }
    let straight = bestof(run_of(dir.path(), &model, "straight"));
    assert!(straight.stderr.contains("evaluation at step 2"), "{}", straight.stderr);
    straight.json();
    let weights =
        |run: &str| fs::read(dir.path().join(run).join("final/model.safetensors")).unwrap();
    for (name, shell) in [
        ("closed", r#""$0" "$@" 2>&-"#),
        ("full", r#""$0" "$@" 2>/dev/full"#),
        ("unread", r#"{ "$0" "$@" 2>&1 >&3 | head -c 0; } 3>&1"#),
    ] {
        let found = within(shell, &run_of(dir.path(), &model, name), "");
        assert_eq!(found.json()["results"]["global_step"], 4, "{name}");
        assert!(weights(name) == weights("straight"), "{name}");
    }
}

/// A run whose verifiers fail, of which it warns in every step.
#[test]
fn warnings_that_nobody_can_read_end_no_run() {
    let bench = Bench::new();
    let verifier = bench.verifier("echo it broke >&2; exit 3\n");
    let mut sets: Vec<&str> = verifier.iter().map(String::as_str).collect();
    sets.push("train.max_steps=2");
    let found = within(r#""$0" -vv "$@" 2>/dev/full"#, &bench.args("full", &sets), "");
    assert_eq!(found.json()["results"]["global_step"], 2);
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_a_reader_may_go_away() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    for (args, stdin) in commands(&model) {
        let expected = fed(&args, stdin);
        let full = within(r#""$0" "$@" >/dev/full"#, &args, stdin);
        if expected.stdout.is_empty() {
            assert_eq!((full.code, &full.stderr), (expected.code, &expected.stderr), "{args:?}");
        } else {
            full.refuses(1, &["could not write to stdout", "No space left"]);
        }
        let code = dir.path().join("code");
        let shell = format!(r#"{{ "$0" "$@"; echo $? > {}; }} | head -c 0"#, text(&code));
        let unread = within(&shell, &args, stdin);
        assert_eq!(
            fs::read_to_string(&code).unwrap().trim(),
            expected.code.to_string(),
            "{args:?}"
        );
        assert_eq!(unread.stderr, expected.stderr, "{args:?}");
    }
    // A run is whole all the same.
    let full = within(r#""$0" "$@" >/dev/full"#, &run_of(dir.path(), &model, "full"), "");
    full.refuses(1, &["could not write to stdout"]);
    assert!(dir.path().join("full/final/model.safetensors").exists());
    let unread = r#"{ "$0" "$@"; test $? = 0 || echo failed >&2; } | head -c 0"#;
    let unread = within(unread, &run_of(dir.path(), &model, "unread"), "");
    assert!(!unread.stderr.contains("failed"), "{}", unread.stderr);
    assert!(dir.path().join("unread/final/model.safetensors").exists());
}
