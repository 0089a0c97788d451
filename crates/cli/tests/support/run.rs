//! Training runs from outside: their flags, and what they wrote.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::model::{completions, json_lines, pairs, tiny};
use super::{Done, bestof, text, words, write};

/// Flags as they are, everything else as an override.
pub(crate) fn flags_and_sets(given: &[&str]) -> Vec<String> {
    let mut args = Vec::new();
    for text in given {
        if !text.starts_with("--") {
            args.push("--set".to_owned());
        }
        args.push((*text).to_owned());
    }
    args
}

/// The objects of a file of JSON lines.
pub(crate) fn read_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The metrics of a run without those that a clock makes.
pub(crate) fn metrics(run: &Path) -> Vec<Value> {
    let timing =
        |name: &str| ["second", "runtime", "time", "memory"].iter().any(|part| name.contains(part));
    let mut rows = read_lines(&run.join("metrics.jsonl"));
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.retain(|name, _| name == "verifier/timeouts" || !timing(name));
    }
    rows
}

/// The arguments of a verb with this configuration, `NAME.toml` in a folder, and more settings.
pub(crate) fn configured(
    dir: &Path,
    verb: &str,
    name: &str,
    config: &str,
    more: &[&str],
) -> Vec<String> {
    let config = write(dir, &format!("{name}.toml"), config);
    let mut args = words(&format!("{verb} --json --config {config}"));
    args.extend(flags_and_sets(more));
    args
}

/// A tiny model and prompts whose answer is a digit, which it sometimes says.
pub(crate) struct Bench {
    pub(crate) dir: TempDir,
    pub(crate) model: PathBuf,
    pub(crate) rows: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny(dir.path());
        let rows = write(dir.path(), "rows.jsonl", questions(12));
        Self { dir, model, rows }
    }

    pub(crate) fn run_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join("runs").join(name)
    }

    /// The arguments of a run of 4 steps of 3 prompts with 4 completions each.
    pub(crate) fn args(&self, name: &str, more: &[&str]) -> Vec<String> {
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {:?}\neval_fraction = 0.25\n\
             [output]\ndir = {:?}\n\
             [train]\nmax_steps = 4\nper_device_train_batch_size = 3\nsave_steps = 2\n\
             eval_steps = 2\nlearning_rate = 5e-3\n\
             [rollout]\nnum_generations = 4\nmax_new_tokens = 6\n\
             [objective]\nestimator = \"loo-minus-one\"\nk = 2\n",
            text(&self.model),
            self.rows,
            text(&self.run_dir(name))
        );
        configured(self.dir.path(), "reinforce", name, &config, more)
    }

    pub(crate) fn run(&self, name: &str, more: &[&str]) -> Done {
        bestof(self.args(name, more))
    }

    /// The path of a new shell script.
    pub(crate) fn script(&self, name: &str, script: &str) -> String {
        write(self.dir.path(), name, script)
    }

    /// Overrides that make this shell script the verifier.
    pub(crate) fn verifier(&self, script: &str) -> [String; 3] {
        let path = self.script("verify.sh", script);
        [
            "reward.verifier=program".to_owned(),
            format!("reward.command=[\"sh\", {path:?}]"),
            "reward.time_limit=0.5".to_owned(),
        ]
    }
}

/// Prompts for a digit.
pub(crate) fn questions(count: usize) -> String {
    json_lines((0..count).map(|n| json!({"prompt": format!("{n} ="), "answer": n % 10})))
}

/// A tiny model with rows for supervised and for preference runs.
pub(crate) struct TrainBench {
    pub(crate) dir: TempDir,
    pub(crate) model: PathBuf,
    pub(crate) pairs: String,
    pub(crate) completions: String,
}

impl TrainBench {
    pub(crate) fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny(dir.path());
        let pairs = write(dir.path(), "pairs.jsonl", pairs(24));
        let completions = write(dir.path(), "completions.jsonl", completions(24));
        Self { dir, model, pairs, completions }
    }

    pub(crate) fn run_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join("runs").join(name)
    }

    /// The arguments of a run of 6 steps with a checkpoint every 2.
    pub(crate) fn args(&self, verb: &str, name: &str, more: &[&str]) -> Vec<String> {
        let data = if verb == "sft" { &self.completions } else { &self.pairs };
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {data:?}\neval_fraction = 0.25\n\
             [output]\ndir = {:?}\n\
             [train]\nmax_steps = 6\nper_device_train_batch_size = 4\nsave_steps = 2\n\
             eval_steps = 3\nlearning_rate = 5e-3\nlr_scheduler_type = \"cosine\"\n",
            text(&self.model),
            text(&self.run_dir(name))
        );
        configured(self.dir.path(), verb, name, &config, more)
    }

    pub(crate) fn run(&self, verb: &str, name: &str, more: &[&str]) -> Done {
        bestof(self.args(verb, name, more))
    }
}

/// A folder of so many made-up reviews, prepared for training.
pub(crate) fn prepared_reviews(dir: &Path, reviews: usize) -> String {
    let [data, prepared] = ["data", "prepared"].map(|name| text(&dir.join(name)));
    for line in [
        format!("sentiment generate --reviews {reviews} --seed 3 --out {data}"),
        format!("sentiment prepare --data {data} --out {prepared}"),
    ] {
        let done = bestof(words(&line));
        assert_eq!(done.code, 0, "{line}: {}", done.stderr);
    }
    prepared
}
