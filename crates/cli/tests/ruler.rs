//! `evaluate ruler` on a tiny model: generated cases and rows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::model::{json_lines, set, tiny};
use support::{Done, bestof, has_keys, text, words, write};
use tempfile::{TempDir, tempdir};

/// A tiny model with a context of 8192 characters.
struct Bench {
    dir: TempDir,
    model: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny(dir.path());
        set(&model, "config.json", "max_position_embeddings", json!(8192));
        Self { dir, model }
    }

    fn ruler(&self, flags: &str) -> Done {
        bestof(words(&format!("evaluate ruler --model {} {flags}", self.model.display())))
    }

    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name))
    }
}

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// RULER's `string_match_all` of one answer, by hand.
fn expected(answer: &Value) -> f64 {
    let said = answer["completion"].as_str().unwrap().trim().to_lowercase();
    let outputs = answer["outputs"].as_array().unwrap();
    let found = outputs.iter().filter(|o| said.contains(&o.as_str().unwrap().to_lowercase()));
    found.count() as f64 / outputs.len() as f64
}

#[test]
fn scores_come_by_task_and_length_with_averages() {
    let bench = Bench::new();
    let (said, made, page) =
        (bench.path("said.jsonl"), bench.path("cases.jsonl"), bench.path("page.html"));
    let flags = format!(
        "--tasks niah_single_1,vt,fwe --lengths 2500,2000 --cases 2 --max-new-tokens 3 --json \
         --samples-out {said} --cases-out {made} --report {page}"
    );
    let scores = bench.ruler(&flags).lines();
    // Three tasks at two lengths with their averages, and the averages of all.
    assert_eq!(scores.len(), 3 * 3 + 3);
    for score in &scores {
        has_keys(score, &["task", "length", "depth", "score", "standard_error", "n", "nulls"]);
    }
    let at = |task: Value, length: Value| {
        let all: Vec<_> =
            scores.iter().filter(|s| s["task"] == task && s["length"] == length).collect();
        assert_eq!(all.len(), 1, "{task} {length}");
        all[0].clone()
    };
    assert_eq!(at(json!("vt"), json!(2000))["n"], 2);
    assert_eq!(at(Value::Null, Value::Null)["n"], 12);
    let answers = lines(&said);
    assert_eq!(answers.len(), 12);
    for answer in &answers {
        let (tokens, length) =
            (answer["tokens"].as_u64().unwrap(), answer["length"].as_u64().unwrap());
        assert!(tokens + 3 <= length && tokens + 100 > length, "{answer}");
        assert!((answer["score"].as_f64().unwrap() - expected(answer)).abs() < 1e-12, "{answer}");
    }
    let mean = answers
        .iter()
        .filter(|answer| answer["task"] == "fwe" && answer["length"] == 2500)
        .map(|answer| answer["score"].as_f64().unwrap())
        .sum::<f64>();
    let found = at(json!("fwe"), json!(2500))["score"].as_f64().unwrap();
    assert!((found - 50.0 * mean).abs() < 1e-9);
    assert!(std::fs::read_to_string(page).unwrap().contains("niah_single_1"));

    // The rows that were written, asked again, are the same questions.
    let rows = lines(&made);
    for row in &rows {
        let keys =
            ["task", "index", "input", "outputs", "length", "answer_prefix", "max_new_tokens"];
        has_keys(row, &keys);
    }
    let again = bench.path("again.jsonl");
    let flags = format!("--data {made} --lengths 2000,2500 --samples-out {again}");
    assert_eq!(bench.ruler(&flags).code, 0);
    let again = lines(&again);
    assert_eq!(again.len(), answers.len());
    for (first, second) in answers.iter().zip(&again) {
        for key in ["task", "length", "tokens", "outputs", "completion", "score"] {
            assert_eq!(first[key], second[key], "{key}");
        }
    }
}

#[test]
fn a_table_has_tasks_and_lengths_and_a_message_has_its_prefix_behind_it() {
    let bench = Bench::new();
    let (plain, chat) = (bench.path("plain.jsonl"), bench.path("chat.jsonl"));
    let essay =
        write(bench.dir.path(), "essay.txt", "Ships sail at dawn. They return at dusk. ".repeat(9));
    let flags = format!(
        "--tasks niah_single_2,niah_multiquery --lengths 1500 --cases 2 --depths 0,1 --max-new-tokens 2 --haystack {essay}"
    );
    let done = bench.ruler(&format!("{flags} --samples-out {plain}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["niah_single_2", "niah_multiquery", "average", "1500", "depth  100 %", "6 answers"]
    {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    let done = bench.ruler(&format!("{flags} --chat --samples-out {chat}"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    // Two cases at either depth of one task, and two of the other, which has none.
    let (plain, chat) = (lines(&plain), lines(&chat));
    assert_eq!((plain.len(), chat.len()), (6, 6));
    for (plain, chat) in plain.iter().zip(&chat) {
        assert_eq!(plain["outputs"], chat["outputs"]);
        for answer in [plain, chat] {
            let tokens = answer["tokens"].as_u64().unwrap();
            assert!(tokens + 2 <= 1500 && tokens + 20 > 1500, "{answer}");
        }
    }
}

fn row(outputs: &[&str]) -> Value {
    json!({"index": 3, "input": "What is it?", "outputs": outputs, "length": 200,
           "length_w_model_temp": 200, "answer_prefix": " It is"})
}

#[test]
fn rows_of_rulers_files_are_scored_by_their_task() {
    let bench = Bench::new();
    let said = bench.path("said.jsonl");
    // A letter that the model says is one of two outputs.
    let folder = bench.dir.path().join("vt");
    std::fs::create_dir(&folder).unwrap();
    let probe = write(&folder, "validation.jsonl", json_lines([row(&["@@@@"])]));
    let ask = |data: &str, more: &str| {
        let flags = format!(
            "--data {data} --lengths 1000 --max-new-tokens 4 --json --samples-out {said} {more}"
        );
        bench.ruler(&flags)
    };
    let scores = ask(&probe, "").lines();
    assert_eq!((&scores[0]["task"], &scores[0]["score"]), (&json!("vt"), &json!(0.0)));
    let completion = lines(&said)[0]["completion"].as_str().unwrap().trim().to_owned();
    let letter: String = completion.chars().filter(|c| !c.is_whitespace()).take(1).collect();
    assert!(!letter.is_empty(), "{completion:?}");
    let half = json_lines([row(&[&letter, "@@@@"])]);
    let unnamed = write(bench.dir.path(), "rows.jsonl", &half);
    ask(&unnamed, "").refuses(2, &["rows.jsonl", "--tasks"]);
    ask(&unnamed, "--tasks vt,cwe").refuses(2, &["2 tasks"]);
    assert_eq!(ask(&unnamed, "--tasks vt").lines()[0]["score"], 50.0);
    assert_eq!(ask(&unnamed, "--tasks qa_1").lines()[0]["score"], 100.0);
    let named = write(bench.dir.path(), "qa_2.jsonl", &half);
    assert_eq!(ask(&named, "").lines()[0]["task"], "qa_2");

    let dotted = write(bench.dir.path(), "qa_2.first.jsonl", &half);
    assert_eq!(ask(&dotted, "").lines()[0]["task"], "qa_2");
    let mut of_vt = row(&[&letter]);
    of_vt["task"] = json!("vt");
    let said_so = write(bench.dir.path(), "named.jsonl", json_lines([of_vt]));
    ask(&said_so, "--tasks cwe,fwe").refuses(2, &["--tasks cwe, fwe", "line 1", "vt"]);
    assert_eq!(ask(&said_so, "--tasks vt,cwe").lines()[0]["task"], "vt");

    let bad =
        write(bench.dir.path(), "cwe.jsonl", json_lines([row(&["a"]), json!({"input": "Q"})]));
    ask(&bad, "").refuses(1, &["cwe.jsonl", "2", "outputs"]);
    assert_eq!(ask(&bad, "--skip-bad-rows").lines()[0]["n"], 1);
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let bench = Bench::new();
    for (flags, parts) in [
        ("--tasks niah_single_4", &["niah_single_4", "niah_single_1"][..]),
        ("--tasks qa_1 --lengths 1000", &["qa_1", "rows"]),
        ("--tasks vt --lengths 200", &["vt in 200 tokens", "ask for more"]),
        ("--lengths 9000", &["9000", "8192"]),
        ("--tasks niah_single_1 --depths 2", &["depth is 2"]),
        ("--max-new-tokens 0", &["--max-new-tokens 0"]),
        ("--data x.jsonl --depths 0.5", &["--depths"]),
        ("--skip-bad-rows", &["--data"]),
        ("--tasks vt,cwe --depths 0.5", &["--depths", "vt, cwe", "one needle"]),
        ("--tasks niah_single_1 --haystack x.txt", &["--haystack", "running text"]),
        ("--cases 0 --tasks vt", &["cases is 0"]),
    ] {
        bench.ruler(flags).refuses(2, parts);
    }
    let empty = write(bench.dir.path(), "empty.txt", " \n");
    bench
        .ruler(&format!("--tasks niah_single_2 --haystack {empty}"))
        .refuses(1, &["empty.txt", "no word"]);
    assert!(!Path::new("x.jsonl").exists());
}
