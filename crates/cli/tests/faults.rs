//! Faults from outside: a full disk, a reader that goes away, numbers that overflow.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::model::{completions, tiny};
use support::{Done, bestof, finish, text, words, write};
use tempfile::tempdir;

/// Runs the program where no file may grow beyond `kib`, as on a disk with so little left.
fn on_a_small_disk(kib: usize, args: &[String]) -> Done {
    let mut command = Command::new("sh");
    // The signal would end the program; without it the write fails, as it does on a full disk.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", kib * 2);
    command.args(["-c", &script, env!("CARGO_BIN_EXE_bestof")]).args(args);
    finish(command, b"")
}

/// A supervised run of all weights, 4 steps with a checkpoint every 2.
fn arguments(dir: &Path, model: &Path, run: &Path, more: &str) -> Vec<String> {
    let data = write(dir, "rows.jsonl", completions(16));
    let config = format!(
        "[model]\npath = {:?}\n[data]\ntrain = {data:?}\n[output]\ndir = {:?}\n\
         [train]\nmax_steps = 4\nper_device_train_batch_size = 4\nsave_steps = 2\n",
        text(model),
        text(run)
    );
    let name = run.file_name().unwrap().to_str().unwrap();
    let config = write(dir, &format!("{name}.toml"), config);
    words(&format!("sft --json --config {config} {more}"))
}

#[test]
fn a_disk_that_fills_up_in_training_costs_no_number() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let (run, straight) = (dir.path().join("run"), dir.path().join("straight"));
    // The weights fit, the optimiser's state does not.
    on_a_small_disk(200, &arguments(dir.path(), &model, &run, "")).refuses(
        1,
        &[
            "the checkpoint of step 2 could not be written",
            "earlier checkpoints are whole",
            "resume",
        ],
    );
    assert!(!run.join("final").exists() && !run.join("checkpoints/step-000002").exists());
    let resumed = bestof(arguments(dir.path(), &model, &run, "--resume"));
    assert_eq!(resumed.json()["results"]["global_step"], 4);
    bestof(arguments(dir.path(), &model, &straight, "")).json();
    let weights = |run: &Path| fs::read(run.join("final/model.safetensors")).unwrap();
    assert!(weights(&run) == weights(&straight), "not the same weights");
}

#[test]
fn a_disk_that_fills_up_in_conversion_leaves_no_half_model() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let out = dir.path().join("out");
    let args = words(&format!("convert --json {} {}", model.display(), out.display()));
    on_a_small_disk(50, &args).refuses(1, &["cannot write", "model.safetensors"]);
    assert!(!out.join("model.safetensors").exists());
    assert_eq!(bestof(&args).json()["model_type"], "llama", "the place is free for the next try");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_quietly() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let generate = format!(
        "generate --model {} --prompt ab --max-new-tokens 400 --temperature 1",
        model.display()
    );
    for line in ["fetch --list", "rope --method default --head-dim 4096 --theta 10000", &generate] {
        let mut child = support::command(words(line))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    }
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_with_its_rows() {
    let dir = tempdir().unwrap();
    let model = tiny(dir.path());
    let run = dir.path().join("run");
    let more = "--set train.learning_rate=1e38 --set train.max_grad_norm=0.0";
    let done = bestof(arguments(dir.path(), &model, &run, more));
    done.refuses(1, &["step", "rows.jsonl:", "last checkpoint"]);
    assert!(done.stderr.contains("not finite") || done.stderr.contains("NaN"), "{}", done.stderr);
    assert!(!run.join("final").exists());
}
