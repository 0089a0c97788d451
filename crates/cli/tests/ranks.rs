//! Runs and evaluations by several processes under MPI, against the same by one.
#![cfg(all(feature = "mpi", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::bert::tiny_bert;
use support::model::{json_lines, tiny};
use support::run::{configured, prepared_reviews, read_lines};
use support::{Done, finish, text, words, write};
use tempfile::{TempDir, tempdir};

/// A tiny model and rows of every kind.
struct Bench {
    dir: TempDir,
    model: PathBuf,
}

/// The program by so many ranks, each with one thread.
fn ranks(size: usize, args: &[String]) -> Command {
    if size == 1 {
        let mut command = support::command(args);
        command.env("RAYON_NUM_THREADS", "1");
        return command;
    }
    let mut command = Command::new("mpirun");
    command.args(["-n", &size.to_string(), "--oversubscribe", "--bind-to", "none"]);
    command.args(["--mca", "mpi_yield_when_idle", "1", "--allow-run-as-root"]);
    command.arg(env!("CARGO_BIN_EXE_bestof")).args(args);
    command.env("RAYON_NUM_THREADS", "1").env_remove("BESTOF_DEVICE");
    // Jobs that start together race for Open MPI's folder where they share one for temporary files.
    let mut files = args.iter().map(Path::new).filter(|path| path.is_file());
    if let Some(dir) = files.find_map(Path::parent) {
        command.env("TMPDIR", dir);
    }
    command
}

fn run(size: usize, args: &[String]) -> Done {
    finish(ranks(size, args), b"")
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny(dir.path());
        let row = |n: usize| json!({"prompt": format!("{n} plus {n} is"), "completion": format!(" {}", n + n)});
        write(dir.path(), "completions.jsonl", json_lines((0..23).map(row)));
        let pair = |n: usize| json!({"prompt": format!("{n} ="), "chosen": format!(" {n}"), "rejected": format!(" {}", n + 1)});
        write(dir.path(), "pairs.jsonl", json_lines((0..23).map(pair)));
        let label = |n: usize| json!({"prompt": format!("{n} ="), "completion": format!(" {n}"), "label": !n.is_multiple_of(3)});
        write(dir.path(), "labels.jsonl", json_lines((0..23).map(label)));
        let ask = |n: usize| json!({"prompt": format!("{n} ="), "answer": n % 10});
        write(dir.path(), "questions.jsonl", json_lines((0..12).map(ask)));
        let lines: Vec<String> = (0..400).map(|n| format!("line {n} of a long text, ")).collect();
        let long = lines.concat();
        write(dir.path(), "book.jsonl", json_lines((0..4).map(|_| json!({"text": long}))));
        Self { dir, model }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The arguments of a run on these rows into a folder, with more settings.
    fn args(&self, verb: &str, rows: &str, out: &str, more: &[&str]) -> Vec<String> {
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {:?}\neval_fraction = 0.25\n[output]\ndir = {:?}\n\
             [train]\nmax_steps = 4\nper_device_train_batch_size = 3\ngradient_accumulation_steps = 2\n\
             save_steps = 2\neval_steps = 2\nlearning_rate = 5e-3\n",
            text(&self.model),
            text(&self.at(rows)),
            text(&self.at(out)),
        );
        configured(self.dir.path(), verb, out, &config, more)
    }

    /// Metrics of a run by so many ranks, and that it printed one result.
    fn metrics(&self, size: usize, verb: &str, rows: &str, more: &[&str]) -> Vec<Value> {
        let out = format!("{verb}-{rows}-{size}").replace('.', "-");
        let done = run(size, &self.args(verb, rows, &out, more));
        assert_eq!(done.code, 0, "{verb} by {size}: {}", done.stderr);
        assert_eq!(done.stdout.lines().count(), 1, "{verb} by {size}: {}", done.stdout);
        let rows = read_lines(&self.at(&out).join("metrics.jsonl"));
        if size > 1 {
            let bytes = |row: &Value| row.get("ranks/bytes").and_then(Value::as_f64);
            assert!(rows.iter().filter_map(bytes).all(|bytes| bytes > 1000.0), "{rows:?}");
        }
        rows
    }

    fn check(&self, verb: &str, rows: &str, more: &[&str]) {
        let one = self.metrics(1, verb, rows, more);
        for size in [2, 3] {
            same(&self.metrics(size, verb, rows, more), &one, &format!("{verb} by {size}"));
        }
    }
}

/// Within 1e-5, relative or below 0.1 absolute to that; clocks and traffic apart.
fn same(found: &[Value], expected: &[Value], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        for (name, expected) in expected.as_object().unwrap() {
            let (Some(b), a) = (expected.as_f64(), found[name].as_f64()) else {
                assert_eq!(&found[name], expected, "{what}, {name}");
                continue;
            };
            let a = a.unwrap_or(f64::NAN);
            // Numbers that are sent take more or fewer bytes.
            let timed = name == "tokens_per_second" || name.starts_with("ranks/");
            assert!(
                timed || (a - b).abs() <= 1e-5 * b.abs().max(0.1),
                "{what}, {name}: {a} for {b}"
            );
        }
    }
}

#[test]
fn every_kind_of_run_gives_the_numbers_of_one_process() {
    let bench = Bench::new();
    bench.check("sft", "completions.jsonl", &["lora.r=4", "lora.dropout=0.25"]);
    bench.check("prefer", "pairs.jsonl", &["loss.name=dpop"]);
    bench.check("prefer", "labels.jsonl", &["loss.name=kto"]);
    let policy = [
        "rollout.num_generations=4",
        "rollout.max_new_tokens=6",
        "objective.estimator=loo-minus-one",
        "objective.k=2",
    ];
    bench.check("reinforce", "questions.jsonl", &policy);
    let extend = ["extend.method=linear", "extend.factor=2", "extend.train_length=64"];
    bench.check("extend", "book.jsonl", &extend);
}

#[test]
fn sentiment_gives_the_numbers_of_one_process() {
    let bench = Bench::new();
    let prepared = prepared_reviews(bench.dir.path(), 300);
    let encoder = text(&tiny_bert(bench.dir.path()));
    let train = |size: usize| {
        let out = bench.at(&format!("sentiment-{size}"));
        let line = format!(
            "sentiment train --model bert-mt-joint --encoder {encoder} --data {prepared} --epochs 1 --max-length 48 --set train.max_steps=4 --set train.eval_steps=2 \
             --out {} --json",
            text(&out)
        );
        let done = run(size, &words(&line));
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(done.stdout.lines().count(), 1);
        read_lines(&out.join("metrics.jsonl"))
    };
    let one = train(1);
    for size in [2, 3] {
        same(&train(size), &one, &format!("sentiment by {size}"));
    }
    let classical = format!("sentiment train --model logistic --data {prepared} --out x");
    run(2, &words(&classical)).refuses(2, &["done by one process", "mpirun"]);
}

#[test]
fn rows_are_scored_continued_and_measured_once() {
    let bench = Bench::new();
    let model = text(&bench.model);
    let (pairs, rows) = (text(&bench.at("pairs.jsonl")), text(&bench.at("completions.jsonl")));
    let questions = text(&bench.at("questions.jsonl"));
    let samples = text(&bench.at("samples.jsonl"));
    for line in [
        format!("score --model {model} --data {pairs} --batch 2 --json"),
        format!("score --model {model} --data {rows} --json"),
        format!(
            "generate --model {model} --prompt one --prompt two --prompt three --max-new-tokens 5 --json"
        ),
        format!(
            "generate --model {model} --prompt one --samples 3 --temperature 1 --max-new-tokens 5 --json"
        ),
        format!("evaluate preference --model {model} --reference {model} --data {pairs} --json"),
        format!("evaluate perplexity --model {model} --data {rows} --json"),
        format!(
            "evaluate pass-at-k --model {model} --data {questions} --samples 4 --max-new-tokens 4 --samples-out {samples} --json"
        ),
        format!(
            "evaluate passkey --model {model} --lengths 512 --cases 2 --max-new-tokens 4 --samples-out {samples} --json"
        ),
        format!(
            "evaluate ruler --model {model} --tasks vt --lengths 1000 --cases 2 --max-new-tokens 4 --samples-out {samples} --json"
        ),
    ] {
        let of = |size| {
            let _ = fs::remove_file(&samples);
            let done = run(size, &words(&line));
            assert_eq!(done.code, 0, "{line} by {size}: {}", done.stderr);
            let mut found = done.lines();
            if line.contains("--samples-out") {
                found.extend(read_lines(Path::new(&samples)));
            }
            found
        };
        let one = of(1);
        assert!(!one.is_empty());
        for size in [2, 3] {
            near(&Value::from(of(size)), &Value::from(one.clone()), &format!("{line} by {size}"));
        }
    }
}

/// The same values, numbers within 1e-5.
fn near(found: &Value, expected: &Value, what: &str) {
    match (found, expected) {
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{what}");
            a.iter().zip(b).for_each(|(a, b)| near(a, b, what));
        }
        (Value::Object(a), Value::Object(b)) => {
            assert!(a.keys().eq(b.keys()), "{what}: {a:?} for {b:?}");
            a.iter().for_each(|(name, a)| near(a, &b[name], &format!("{what}, {name}")));
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-5 * b.abs().max(0.1), "{what}: {a} for {b}");
        }
        _ => assert_eq!(found, expected, "{what}"),
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let bench = Bench::new();
    let one = bench.metrics(1, "sft", "completions.jsonl", &[]);
    let args = bench.args("sft", "completions.jsonl", "moved", &[]);
    let first = [args.clone(), words("--set train.max_steps=4 --resume")].concat();
    // Stopped by a step that cannot be saved whole: the folder of step 4 is taken away again.
    assert_eq!(run(3, &first).code, 0);
    let moved = bench.at("moved");
    fs::remove_dir_all(moved.join("checkpoints/step-000004")).unwrap();
    let done = run(2, &[args, words("--resume")].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    same(&read_lines(&moved.join("metrics.jsonl")), &one, "3 ranks and then 2");
}

#[test]
fn an_error_ends_all_ranks_and_is_said_once() {
    let bench = Bench::new();
    let said = |size: usize, args: &[String], parts: &[&str]| {
        let done = run(size, args);
        assert!(done.code == 1 || done.code == 2, "{}: {}", done.code, done.stderr);
        for part in parts {
            assert_eq!(done.stderr.matches(part).count(), 1, "{part}: {}", done.stderr);
        }
        done
    };
    // In a file that all read; in a setting; in a verb of one process.
    write(
        bench.dir.path(),
        "bad.jsonl",
        "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": 1}\n",
    );
    said(3, &bench.args("sft", "bad.jsonl", "bad", &[]), &["error:", "bad.jsonl:2"]);
    said(2, &bench.args("sft", "completions.jsonl", "c", &["train.max_stepz=1"]), &["max_stepz"]);
    said(2, &words("tokenize --model x"), &["`tokenize` is done by one process"]);
    // On the disk of the rank that writes.
    let args = bench.args("sft", "completions.jsonl", "full", &[]);
    fs::create_dir_all(bench.at("full")).unwrap();
    fs::write(bench.at("full/checkpoints"), "not a folder").unwrap();
    said(3, &args, &["error:"]);
    // A setting out of range.
    let words = "1e999";
    let weights =
        bench.args("sft", "completions.jsonl", "hot", &[&format!("train.learning_rate={words}")]);
    said(2, &weights, &["learning_rate"]);
    // A row whose loss is no number.
    let hot = bench.args(
        "sft",
        "completions.jsonl",
        "hot2",
        &["train.learning_rate=1e30", "train.max_grad_norm=0"],
    );
    let done = said(2, &hot, &["error: rank "]);
    assert!(
        done.stderr.contains("step") && done.stderr.contains("completions.jsonl:"),
        "{}",
        done.stderr
    );
    assert!(
        bench.at("hot2/checkpoints").read_dir().unwrap().count() > 0,
        "the state before is saved"
    );
}

/// The processes of the program that were started for this folder.
fn started(out: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.starts_with(env!("CARGO_BIN_EXE_bestof")) && line.contains(out) {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found
}

/// Kills a rank at an instant, some times, and goes on: the run ends with the numbers of one that was never
/// killed. `BESTOF_KILLS` says how often.
#[test]
fn a_killed_rank_ends_the_job_and_the_run_goes_on() {
    let kills: u64 = std::env::var("BESTOF_KILLS").map_or(3, |n| n.parse().unwrap());
    let bench = Bench::new();
    let settings = ["train.max_steps=60", "train.save_steps=3", "train.eval_steps=10"];
    let whole = bench.args("sft", "completions.jsonl", "whole", &settings);
    assert_eq!(run(2, &whole).code, 0);
    let expected = read_lines(&bench.at("whole/metrics.jsonl"));
    let (mut died, mut ended) = (0, 0);
    for kill in 0..kills {
        let out = format!("killed-{kill}");
        let args = bench.args("sft", "completions.jsonl", &out, &settings);
        let lines = || {
            let text = fs::read_to_string(bench.at(&out).join("metrics.jsonl"));
            text.map_or(0, |text| text.lines().count())
        };
        for attempt in 0.. {
            let resumed = [args.clone(), words("--resume")].concat();
            let mut command = ranks(2, &resumed);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let mut launcher = command.spawn().unwrap();
            // After some further lines, and some milliseconds more: in a step, in a save, or before all of them.
            let seed = (kill * 97 + attempt * 31 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            let goal = lines() + seed as usize % 20;
            let more = Duration::from_millis(seed % 40);
            let status = loop {
                if let Some(status) = launcher.try_wait().unwrap() {
                    break Some(status);
                }
                if attempt < 3 && lines() >= goal && !started(&out).is_empty() {
                    std::thread::sleep(more);
                    break None;
                }
                std::thread::sleep(Duration::from_millis(1));
            };
            if let Some(status) = status {
                assert!(status.success(), "kill {kill}, attempt {attempt}: {status}");
                ended += 1;
                break;
            }
            let pids = started(&out);
            if let Some(pid) = pids.get(seed as usize % pids.len().max(1)) {
                Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
                died += 1;
            }
            let status = launcher.wait().unwrap();
            let late = Instant::now();
            while !started(&out).is_empty() {
                assert!(late.elapsed() < Duration::from_secs(20), "a rank outlives its job");
                std::thread::sleep(Duration::from_millis(20));
            }
            if status.success() {
                ended += 1;
                break;
            }
        }
        let found = read_lines(&bench.at(&out).join("metrics.jsonl"));
        same(&found, &expected, &format!("killed {kill}"));
        let exported = bench.at(&out).join("final/model.safetensors");
        assert_eq!(
            fs::read(exported).unwrap(),
            fs::read(bench.at("whole/final/model.safetensors")).unwrap(),
            "killed {kill}"
        );
    }
    assert!(died >= kills && ended > 0, "{died} ranks were killed, {ended} runs came to their end");
}

/// The process of a rank that was started for this folder.
fn process_of(rank: usize, out: &str) -> u32 {
    let variable = format!("OMPI_COMM_WORLD_RANK={rank}");
    let is_rank = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|set| set == variable.as_bytes())
    };
    started(out).into_iter().find(is_rank).unwrap()
}

#[test]
fn a_signal_at_one_rank_stops_all_after_the_same_step() {
    let bench = Bench::new();
    let settings = ["train.max_steps=60", "train.save_steps=100", "train.eval_steps=20"];
    assert_eq!(run(2, &bench.args("sft", "completions.jsonl", "unstopped", &settings)).code, 0);
    let unstopped = bench.at("unstopped");
    let weights = |run: &Path| fs::read(run.join("final/model.safetensors")).unwrap();
    // A rank by its number; the last is the launcher.
    for (rank, signal, code) in [(0, "INT", 130), (1, "TERM", 143), (2, "USR1", 138)] {
        let out = format!("stopped-{rank}");
        let args = bench.args("sft", "completions.jsonl", &out, &settings);
        let stopped = bench.at(&out);
        let said = bench.at("said");
        let mut command = ranks(2, &args);
        command.stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
        let mut launcher = command.spawn().unwrap();
        let (start, metrics) = (Instant::now(), stopped.join("metrics.jsonl"));
        while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 3 {
            assert!(start.elapsed() < Duration::from_mins(2));
            std::thread::sleep(Duration::from_millis(2));
        }
        let process =
            if rank == 2 { launcher.id() } else { process_of(rank, &text(&stopped)) }.to_string();
        assert!(Command::new("kill").args(["-s", signal, &process]).status().unwrap().success());
        let status = launcher.wait().unwrap();
        let said = fs::read_to_string(&said).unwrap();
        assert_eq!(status.code(), Some(code), "{said}");
        assert_eq!(said.matches("stopped after step").count(), 1, "{said}");
        assert!(said.contains("go on with: mpirun -n 2 "), "{said}");
        let rows = read_lines(&metrics);
        assert!(rows.last().unwrap()["step"].as_u64() < Some(60), "nothing was left to do");
        let done = run(2, &[args, words("--resume")].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        same(&read_lines(&metrics), &read_lines(&unstopped.join("metrics.jsonl")), "stopped");
        assert!(weights(&stopped) == weights(&unstopped), "not the same weights");
    }
}
