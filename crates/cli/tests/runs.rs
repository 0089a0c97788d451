//! What runs may do to each other's folders, and what a resumed run believes of what it finds.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::run::TrainBench;
use support::{command, text, write};

/// Changes the last byte of a file.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn a_run_s_folder_is_one_process_s_until_that_is_killed() {
    let bench = TrainBench::new();
    let endless = ["train.max_steps=1000000", "train.save_steps=0", "train.eval_steps=0"];
    let mut child = command(bench.args("sft", "run", &endless))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = bench.run_dir("run").join("metrics.jsonl");
    let started = Instant::now();
    let written = || fs::metadata(&metrics).is_ok_and(|about| about.len() > 0);
    while !written() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let holder = format!("in use by process {}", child.id());
    let refused = [
        bench.run("sft", "run", &endless),
        bench.run("sft", "run", &[&endless[..], &["--resume"]].concat()),
    ];
    let still_runs = child.try_wait().unwrap().is_none() && written();
    child.kill().unwrap();
    child.wait().unwrap();
    for done in refused {
        done.refuses(1, &[&holder]);
    }
    assert!(still_runs, "the first run was disturbed");
    // Killed before its first checkpoint, it begins again.
    let short = ["train.max_steps=1000000", "train.save_steps=0", "train.eval_steps=0", "--resume"];
    let mut again = command(bench.args("sft", "run", &short));
    let mut again = again.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lock = bench.run_dir("run").join(".lock");
    let started = Instant::now();
    let pid = again.id().to_string();
    let taken = || fs::read_to_string(&lock).is_ok_and(|text| text.trim() == pid);
    while !taken() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let taken = taken();
    again.kill().unwrap();
    again.wait().unwrap();
    assert!(taken, "a killed run keeps its folder");
}

#[test]
fn nothing_that_a_run_did_not_write_is_removed() {
    let bench = TrainBench::new();
    let run = bench.run_dir("notes");
    fs::create_dir_all(run.join("final")).unwrap();
    fs::write(run.join("final/weights.bin"), "weeks of work").unwrap();
    fs::write(run.join("metrics.jsonl"), "{}\n").unwrap();
    for more in [&[][..], &["--resume"]] {
        let parts = [text(&run), "holds `".to_owned(), "a new or an empty folder".to_owned()];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        bench.run("sft", "notes", more).refuses(1, &parts);
        assert_eq!(fs::read_to_string(run.join("final/weights.bin")).unwrap(), "weeks of work");
        assert_eq!(fs::read_to_string(run.join("metrics.jsonl")).unwrap(), "{}\n");
    }
}

#[test]
fn adapters_are_not_resumed_on_another_base() {
    let bench = TrainBench::new();
    let sets = ["lora.r=2", "loss.name=dpop"];
    bench.run("prefer", "run", &sets).json();
    let again = [&sets[..], &["--resume"]].concat();
    bench.run("prefer", "run", &again).json();
    damage(&bench.model.join("model.safetensors"));
    bench
        .run("prefer", "run", &again)
        .refuses(1, &["not the one that the run was started from", "put the old files back"]);
}

#[test]
fn a_finished_run_that_is_resumed_keeps_its_numbers_and_tells_what_is_missing() {
    let bench = TrainBench::new();
    bench.run("sft", "run", &[]).json();
    let run = bench.run_dir("run");
    let results = fs::read_to_string(run.join("train_results.json")).unwrap();
    let quiet = bench.run("sft", "run", &["--resume"]);
    assert!(!quiet.stderr.contains("metrics.jsonl"), "{}", quiet.stderr);
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let rows = metrics.lines().count();
    let shortened = metrics.lines().next().unwrap();
    fs::write(run.join("metrics.jsonl"), format!("{shortened}\n")).unwrap();
    let told = bench.run("sft", "run", &["--resume"]);
    assert_eq!(told.code, 0, "{}", told.stderr);
    assert!(told.stderr.contains(&format!("has 1 of the {rows} rows")), "{}", told.stderr);
    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    let told = bench.run("sft", "run", &["--resume"]);
    assert!(told.stderr.contains(&format!("has 0 of the {rows} rows")), "{}", told.stderr);
    assert_eq!(fs::read_to_string(run.join("train_results.json")).unwrap(), results);
}

#[test]
fn damaged_weights_of_the_best_evaluation_do_not_become_the_model() {
    let bench = TrainBench::new();
    let sets =
        ["train.load_best_model_at_end=true", "train.learning_rate=0.3", "train.eval_steps=1"];
    let done = bench.run("sft", "run", &sets).json();
    let best = done["results"]["best_step"].as_u64().unwrap();
    assert!(best < 6, "the last evaluation is the best: {done}");
    let run = bench.run_dir("run");
    let model = fs::read(run.join("final/model.safetensors")).unwrap();
    damage(&run.join(format!("best/step-{best:06}/model.safetensors")));
    bench.run("sft", "run", &[&sets[..], &["--resume"]].concat()).refuses(
        1,
        &["best evaluation", "`model.safetensors` does not have the contents", "step-000006"],
    );
    assert!(fs::read(run.join("final/model.safetensors")).unwrap() == model, "final/ changed");
}

#[test]
fn a_checkpoint_without_what_a_run_needs_is_passed_over() {
    let bench = TrainBench::new();
    bench.run("sft", "run", &[]).json();
    let newest = bench.run_dir("run").join("checkpoints/step-000006");
    fs::remove_file(newest.join("optimizer.safetensors")).unwrap();
    let path = newest.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let files = manifest["files"].as_array_mut().unwrap();
    files.retain(|file| file["name"] != json!("optimizer.safetensors"));
    fs::write(&path, manifest.to_string()).unwrap();
    let resumed = bench.run("sft", "run", &["--resume"]);
    assert_eq!(resumed.json()["results"]["global_step"], 6);
    let told = "step-000006 passed over: manifest.json lists no `optimizer.safetensors`";
    assert!(resumed.stderr.contains(told), "{}", resumed.stderr);
}

#[test]
fn what_killed_runs_left_is_removed_at_the_next_start() {
    let bench = TrainBench::new();
    let sets = ["train.save_total_limit=2"];
    bench.run("sft", "run", &sets).json();
    let checkpoints = bench.run_dir("run").join("checkpoints");
    // A save that never finished, and a checkpoint that was half deleted.
    fs::create_dir(checkpoints.join(".step-000004.a1B2c3.partial")).unwrap();
    fs::create_dir(checkpoints.join("step-000002")).unwrap();
    fs::write(checkpoints.join("step-000002/state.json"), "{}").unwrap();
    bench.run("sft", "run", &[&sets[..], &["--resume"]].concat()).json();
    let entries = fs::read_dir(&checkpoints).unwrap();
    let mut left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["step-000004", "step-000006"]);
}

#[test]
fn a_cache_that_cannot_be_written_ends_no_run() {
    let bench = TrainBench::new();
    fs::create_dir(bench.dir.path().join("runs")).unwrap();
    write(&bench.dir.path().join("runs"), "reference-logps", "in the way");
    let done = bench.run("prefer", "run", &["lora.r=2"]);
    assert_eq!(done.json()["results"]["global_step"], 6);
    assert!(done.stderr.contains("the reference cache is not kept"), "{}", done.stderr);
}
