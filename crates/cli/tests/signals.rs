//! Ctrl-C, SIGTERM and SIGKILL: runs that stop and go on, and programs that end with them.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use support::bert::tiny_bert;
use support::model::{completions, json_lines, pairs, tiny};
use support::run::{Bench, flags_and_sets, metrics, prepared_reviews, questions};
use support::{bestof, command, finish, text, words, write};
use tempfile::tempdir;

/// The program at work.
struct Running {
    child: Child,
    stderr: PathBuf,
}

impl Running {
    /// Starts it as a shell would: in a group that Ctrl-C is sent to.
    fn start(dir: &Path, args: &[String]) -> Self {
        let stderr = dir.join("stderr");
        let mut command = command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&stderr).unwrap());
        Self { child: command.process_group(0).spawn().unwrap(), stderr }
    }

    /// Sends a signal to the group.
    fn signal(&self, name: &str) {
        let group = format!("-{}", self.child.id());
        let sent = Command::new("kill").args(["-s", name, "--", &group]).status().unwrap();
        assert!(sent.success(), "{}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// Waits for something to happen while it runs.
    fn until(&mut self, what: &str, happens: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !happens(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {what}: {ended:?} {}", self.said());
            assert!(start.elapsed() < Duration::from_mins(2), "{what}: {}", self.said());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The exit code, and what it said.
    fn end(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), self.said());
            }
            if start.elapsed() > Duration::from_mins(1) {
                self.child.kill().unwrap();
                panic!("still there: {}", self.said());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Stops a run by a signal after some steps and goes on by the command it names; it must end as `straight` did.
fn stop_and_go_on(
    dir: &Path,
    args: &[String],
    run: &Path,
    straight: &Path,
    signal: &str,
    code: i32,
) {
    let mut running = Running::start(dir, args);
    running.until("a step", |_| lines(&run.join("metrics.jsonl")) > 3);
    running.signal(signal);
    let (ended, said) = running.end();
    assert_eq!(ended, Some(code), "{said}");
    assert!(said.contains("stopped after step ") && !said.contains("error"), "{said}");
    let steps = |of: &Path| metrics(of).last().unwrap()["step"].as_u64().unwrap();
    assert!(steps(run) < steps(straight), "nothing was left to do");
    let go_on = said.lines().find_map(|line| line.strip_prefix("go on with: ")).unwrap();
    assert!(go_on.ends_with(" --resume"), "{go_on}");
    let mut shell = Command::new("sh");
    shell.args(["-c", go_on]);
    let done = finish(shell, b"");
    assert_eq!(done.code, 0, "{go_on}: {}", done.stderr);
    assert_eq!(metrics(run), metrics(straight), "{go_on}");
    for file in ["samples.jsonl", "final/model.safetensors", "adapter/adapter_model.safetensors"] {
        let bytes = |of: &Path| fs::read(of.join(file)).ok();
        assert!(bytes(run) == bytes(straight), "{file} is another one: {go_on}");
    }
    assert!(fs::read_dir(run.join("final")).unwrap().count() > 0);
}

#[test]
fn a_run_that_is_told_to_stop_saves_and_goes_on_to_the_same_bytes() {
    let dir = tempdir().unwrap();
    // A name that a shell would take apart.
    let dir = dir.path().join("it's here");
    fs::create_dir(&dir).unwrap();
    let model = tiny(&dir);
    let label = |n: usize| json!({"prompt": format!("{n} ="), "completion": format!(" {n}"), "label": n.is_multiple_of(2)});
    let book = |n: usize| json!({"text": format!("line {n} of a long text, ").repeat(60)});
    let policy = [
        "rollout.num_generations=4",
        "rollout.max_new_tokens=6",
        "objective.estimator=loo-minus-one",
        "objective.k=2",
    ];
    let extend = ["extend.method=linear", "extend.factor=2", "extend.train_length=64"];
    for (verb, kind, rows, more, signal, code) in [
        ("sft", "sft", completions(24), &["lora.r=4"][..], "INT", 130),
        ("prefer", "dpo", pairs(24), &["loss.name=dpo"], "TERM", 143),
        ("prefer", "kto", json_lines((0..24).map(label)), &["loss.name=kto"], "INT", 130),
        ("reinforce", "policy", questions(12), &policy, "TERM", 143),
        ("extend", "extend", json_lines((0..4).map(book)), &extend, "INT", 130),
    ] {
        let rows = write(&dir, &format!("{kind}.jsonl"), rows);
        let of = |name: &str| {
            let run = dir.join(format!("{kind}-{name}"));
            let config = format!(
                "[model]\npath = {:?}\n[data]\ntrain = {rows:?}\neval_fraction = 0.25\n[output]\ndir = {:?}\n\
                 [train]\nmax_steps = 120\nper_device_train_batch_size = 3\nlearning_rate = 2e-3\n\
                 save_steps = 50\neval_steps = 40\n",
                text(&model),
                text(&run)
            );
            // The path of the configuration has a space and a quote.
            let path = write(&dir, &format!("{kind}-{name}.toml"), config);
            let mut args = vec![verb.to_owned(), "--config".to_owned(), path];
            args.extend(flags_and_sets(more));
            (args, run)
        };
        let ((straight, whole), (stopped, run)) = (of("straight"), of("stopped"));
        let done = bestof(straight);
        assert_eq!(done.code, 0, "{kind}: {}", done.stderr);
        stop_and_go_on(&dir, &stopped, &run, &whole, signal, code);
    }
}

#[test]
fn sentiment_training_stops_and_goes_on_as_well() {
    let dir = tempdir().unwrap();
    let at = |name: &str| text(&dir.path().join(name));
    let prepared = prepared_reviews(dir.path(), 200);
    let encoder = text(&tiny_bert(dir.path()));
    let args = |out: &str| {
        words(&format!(
            "sentiment train --model bert-mt-joint --encoder {encoder} --data {prepared} --max-length 48 \
             --set train.max_steps=60 --set train.eval_steps=25 --out {out}"
        ))
    };
    let (straight, stopped) = (at("straight"), at("stopped"));
    assert_eq!(bestof(args(&straight)).code, 0);
    let (run, whole) = (Path::new(&stopped), Path::new(&straight));
    stop_and_go_on(dir.path(), &args(&stopped), run, whole, "TERM", 143);
}

/// Notes a verifier's process and its child's, and that both wait.
const WAITS: &str = "sleep 300 &\necho $$ >> NOTES\necho $! >> NOTES\nwait\n";

/// Whether a process runs, one that nobody has reaped apart.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with(['Z', 'X']))
}

/// Waits until none of the processes in a file runs.
fn all_end(notes: &Path) {
    let (notes, start) = (fs::read_to_string(notes).unwrap(), Instant::now());
    assert!(notes.lines().count() >= 2);
    while let Some(pid) = notes.lines().find(|pid| runs(pid)) {
        assert!(start.elapsed() < Duration::from_secs(10), "{pid} goes on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A run whose verifiers wait, each with a child.
fn waiting(bench: &Bench, more: &[&str]) -> (Running, PathBuf) {
    let notes = bench.dir.path().join("notes");
    let verifier = bench.verifier(&WAITS.replace("NOTES", &text(&notes)));
    let mut sets: Vec<&str> = verifier.iter().map(String::as_str).collect();
    sets.extend(["reward.time_limit=250", "reward.workers=2"]);
    sets.extend(more);
    let mut running = Running::start(bench.dir.path(), &bench.args("waits", &sets));
    running.until("its verifiers", |_| lines(&notes) == 4);
    (running, notes)
}

#[test]
fn a_second_signal_ends_a_run_at_once_with_its_verifiers() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let bench = Bench::new();
        let (mut running, notes) = waiting(&bench, &[]);
        running.signal(signal);
        running.until("its answer", |running| running.said().contains("another signal"));
        running.signal(signal);
        let (ended, said) = running.end();
        assert_eq!(ended, Some(code), "{said}");
        all_end(&notes);
        let left: Vec<_> = fs::read_dir(bench.run_dir("waits")).unwrap().collect();
        assert!(!left.is_empty(), "the run's folder is there to go on with");
    }
}

#[test]
fn verifiers_end_with_a_run_that_is_killed() {
    for more in [&[][..], &["reward.persistent=true"], &["reward.memory_limit=1000"]] {
        let bench = Bench::new();
        let (mut running, notes) = waiting(&bench, more);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        all_end(&notes);
    }
}

#[test]
fn other_verbs_end_at_once_and_leave_nothing_half_written() {
    let bench = Bench::new();
    let dir = bench.dir.path().join("out");
    fs::create_dir(&dir).unwrap();
    let out = dir.join("rows.jsonl");
    let long = format!(
        "evaluate passkey --model {} --lengths 512 --cases 100000 --max-new-tokens 4 --samples-out {}",
        text(&bench.model),
        text(&out)
    );
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut running = Running::start(bench.dir.path(), &words(&long));
        running.until("its file", |_| fs::read_dir(&dir).unwrap().count() > 0);
        running.signal(signal);
        let (ended, said) = running.end();
        assert_eq!(ended, Some(code), "{said}");
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }
    // One that waits for programs.
    let notes = bench.dir.path().join("notes");
    let script = bench.script("wait.sh", &WAITS.replace("NOTES", &text(&notes)));
    let evaluate = format!(
        "evaluate pass-at-k --model {} --data {} --samples 2 --max-new-tokens 2 --samples-out {} \
         --time-limit 250 --verifier program --command sh {script}",
        text(&bench.model),
        bench.rows,
        text(&out)
    );
    let mut running = Running::start(bench.dir.path(), &words(&evaluate));
    running.until("a verifier", |_| lines(&notes) >= 2);
    running.signal("INT");
    let (ended, said) = running.end();
    assert_eq!(ended, Some(130), "{said}");
    all_end(&notes);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn a_run_before_its_first_step_ends_at_once() {
    let bench = Bench::new();
    let (running, notes) = waiting(&bench, &["train.eval_on_start=true"]);
    running.signal("TERM");
    let (ended, said) = running.end();
    assert_eq!(ended, Some(143), "{said}");
    all_end(&notes);
}
