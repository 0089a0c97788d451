//! Rows that cannot be used: each message names file, line, field, what was found and expected.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use serde_json::json;
use support::model::{completions, pairs, set, tiny};
use support::{Done, bestof, text, words, write};
use tempfile::{TempDir, tempdir};

/// A tiny model and a file of rows beside it.
struct Bench {
    dir: TempDir,
    model: String,
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = text(&tiny(dir.path()));
        Self { dir, model }
    }

    fn file(&self, rows: impl AsRef<[u8]>) -> String {
        write(self.dir.path(), "rows.jsonl", rows)
    }

    fn score(&self, rows: impl AsRef<[u8]>, more: &str) -> Done {
        let data = self.file(rows);
        bestof(words(&format!("score --model {} --data {data} --json {more}", self.model)))
    }

    fn train(&self, verb: &str, rows: impl AsRef<[u8]>, more: &[&str]) -> Done {
        let data = self.file(rows);
        let run = text(&self.dir.path().join("run"));
        let config = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {data:?}\n[output]\ndir = {run:?}\n\
             [train]\nmax_steps = 1\nper_device_train_batch_size = 2\n[lora]\nr = 2\n",
            self.model
        );
        let config = write(self.dir.path(), "run.toml", config);
        bestof([&[verb, "--config", config.as_str(), "--json"], more].concat())
    }
}

#[test]
fn rows_without_fields() {
    let bench = Bench::new();
    let missing =
        format!("{}{}\n", pairs(1), json!({"prompt": "p", "choosen": "a", "rejected": "b"}));
    for done in [bench.score(&missing, ""), bench.train("prefer", &missing, &[])] {
        done.refuses(
            1,
            &["rows.jsonl:2", "`chosen` is missing", "expected", "did you mean `choosen`"],
        );
    }
    let typed = json!({"prompt": 3, "completion": "c"}).to_string();
    bench.score(&typed, "").refuses(
        1,
        &["rows.jsonl:1", "field `prompt`", "found the number 3", "expected text or a list"],
    );
    bench.train("sft", &typed, &[]).refuses(1, &["rows.jsonl:1", "`prompt`", "the number 3"]);
    let message = json!({"prompt": [{"role": "user"}], "completion": "c"}).to_string();
    bench.score(&message, "").refuses(1, &["rows.jsonl:1", "prompt[0]", "content"]);
    bench.score("[1, 2]\n", "").refuses(1, &["rows.jsonl:1", "expected an object"]);
    bench.score("{\"prompt\": \n", "").refuses(1, &["rows.jsonl:1", "not valid JSON at column"]);
    bench.score("\n\n", "").refuses(1, &["rows.jsonl", "no rows"]);
    bench.train("sft", pairs(2), &[]).refuses(1, &["rows.jsonl:1", "`completion` is missing"]);
    bench.train("prefer", completions(2), &[]).refuses(1, &["rows.jsonl:1", "`chosen` is missing"]);
}

#[test]
fn bad_rows_can_be_skipped_and_are_listed() {
    let bench = Bench::new();
    let rows = format!("{}{{\"prompt\": 3}}\n{}", pairs(2), pairs(1));
    let done = bench.score(&rows, "--skip-bad-rows");
    let numbers: Vec<u64> = done.lines().iter().map(|row| row["row"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 3], "a row keeps the number that it has in the file");
    assert!(done.stderr.contains("rows.jsonl:3"), "{}", done.stderr);
    let done = bench.train("prefer", &rows, &["--set", "data.skip_bad_rows=true"]);
    assert_eq!(done.json()["results"]["global_step"], 1);
    assert!(done.stderr.contains("rows.jsonl:3"), "{}", done.stderr);
}

#[test]
fn data_that_is_not_utf8() {
    let bench = Bench::new();
    let mut rows = pairs(1).into_bytes();
    rows.extend(b"{\"prompt\": \"\xff\", \"chosen\": \"a\", \"rejected\": \"b\"}\n");
    for done in [bench.score(&rows, ""), bench.train("prefer", &rows, &[])] {
        done.refuses(1, &["rows.jsonl:2", "byte 13 is not valid UTF-8", "save the file as UTF-8"]);
    }
    let utf16: Vec<u8> = pairs(1).encode_utf16().flat_map(u16::to_le_bytes).collect();
    bench.score([&b"\xff\xfe"[..], &utf16].concat(), "").refuses(1, &["UTF-16"]);
    let book = write(bench.dir.path(), "book.txt", b"caf\xe9");
    bestof(words(&format!("evaluate perplexity --model {} --data {book}", bench.model)))
        .refuses(1, &["book.txt as text", "UTF-8"]);
}

#[test]
fn empty_completions() {
    let bench = Bench::new();
    let empty = json!({"prompt": "p", "completion": ""}).to_string();
    bench.score(&empty, "").refuses(1, &["rows.jsonl", "completion is empty", "line 1"]);
    bench.train("sft", &empty, &[]).refuses(1, &["rows.jsonl", "completion is empty", "line 1"]);
    let pair = json!({"prompt": "p", "chosen": "", "rejected": "b"}).to_string();
    bench.score(&pair, "").refuses(1, &["rows.jsonl", "completion is empty", "line 1"]);
    bench.train("prefer", &pair, &[]).refuses(1, &["completion is empty", "line 1"]);
}

#[test]
fn a_prompt_longer_than_the_context() {
    let bench = Bench::new();
    set(&bench.dir.path().join("model"), "config.json", "max_position_embeddings", json!(32));
    let long = "x".repeat(40);
    let row = json!({"prompt": long, "chosen": "a", "rejected": "b"}).to_string();
    bench.score(&row, "").refuses(1, &["rows.jsonl", "line 1", "fills the maximum length"]);
    bench
        .score(format!("{}{row}", pairs(1)), "")
        .refuses(1, &["some rows", "line 2", "--skip-bad-rows leaves them out"]);
    bench.train("prefer", &row, &[]).refuses(1, &["rows.jsonl", "line 1", "length"]);
    bestof(["generate", "--model", &bench.model, "--prompt", &long])
        .refuses(1, &["the prompt has 41 tokens", "context is 32", "shorten it"]);
    let book = write(bench.dir.path(), "book.txt", &long);
    let flags = format!("evaluate perplexity --model {} --data {book}", bench.model);
    bestof(words(&format!("{flags} --length 64"))).refuses(2, &["--length 64", "2 to 32"]);
    bestof(words(&format!("{flags} --length 16 --stride 16"))).refuses(2, &["--stride 16"]);
    // A text longer than the context is what windows are for.
    assert_eq!(bestof(words(&format!("{flags} --json"))).json()["n"], 40);
}

#[test]
fn chosen_equal_to_rejected() {
    let bench = Bench::new();
    let same = json!({"prompt": "p", "chosen": " a", "rejected": " a"}).to_string();
    bench.train("prefer", &same, &[]).refuses(1, &["chosen and rejected are the same", "line 1"]);
    // Beside other rows it is left out, counted and named.
    let rows = format!("{}{same}\n", pairs(3));
    let done = bench.train("prefer", &rows, &[]);
    assert_eq!(done.json()["results"]["global_step"], 1);
    assert!(done.stderr.contains("1 dropped: chosen and rejected"), "{}", done.stderr);
    assert!(done.stderr.contains("(line 4)"), "{}", done.stderr);
    bestof(["evaluate", "preference", "--model", &bench.model, "--data", &bench.file(&same)])
        .refuses(1, &["chosen and rejected are the same", "line 1"]);
}

#[test]
fn unknown_configuration_keys_suggest_the_nearest() {
    let bench = Bench::new();
    bench
        .train("prefer", pairs(2), &["--set", "train.learning_rat=1e-5"])
        .refuses(1, &["unknown", "`train.learning_rat`", "did you mean `train.learning_rate`"]);
    bench
        .train("sft", completions(2), &["--set", "lora.rank=3", "--set", "dta.train=x"])
        .refuses(1, &["`lora.rank`", "`dta", "did you mean"]);
    bench.train("sft", completions(2), &["--set", "lora.r"]).refuses(1, &["`--set lora.r`", "="]);
    let typed = ["--set", "train.max_steps=many"];
    bench.train("sft", completions(2), &typed).refuses(1, &["max_steps", "many"]);
    bestof(["sft", "--config", "absent.toml"]).refuses(1, &["absent.toml"]);
    let broken = write(bench.dir.path(), "broken.toml", "[model\npath = 3");
    bestof(["sft", "--config", &broken]).refuses(1, &["not valid TOML", "line 1"]);
    let nothing = write(bench.dir.path(), "nothing.toml", "# to be written\n");
    bestof(["sft", "--config", &nothing]).refuses(1, &["missing field `model`"]);
    let empty = write(bench.dir.path(), "nothing.toml", "");
    bestof(["sft", "--config", &empty]).refuses(1, &["nothing.toml", "an empty file"]);
}

#[test]
fn configuration_values_that_cannot_be() {
    let bench = Bench::new();
    let refused = |set: &str, parts: &[&str]| {
        bench.train("prefer", pairs(2), &["--set", set]).refuses(1, parts);
    };
    refused("loss.name=dppo", &["dppo", "did you mean `dpop`"]);
    refused("loss.beta=-1", &["beta", "-1"]);
    refused("loss.gamma=1", &["`loss.gamma` is 1", "this loss does not read it"]);
    refused("train.learning_rate=-1", &["`train.learning_rate` is -1", "expected"]);
    refused("lora.target_modules=[\"q_prj\"]", &["q_prj", "q_proj"]);
    refused("lora.r=0", &["r", "0", "expected"]);
    refused("model.device=tpu", &["tpu", "cpu"]);
    refused("model.path=nowhere", &["nowhere"]);
    refused("data.train=nowhere.jsonl", &["nowhere.jsonl"]);
    refused("output.dir=/dev/null/run", &["cannot make /dev/null/run"]);
    bench.train("sft", completions(2), &["--set", "loss.name=dpo"]).refuses(1, &["loss"]);
}
