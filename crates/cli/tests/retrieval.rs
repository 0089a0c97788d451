//! `evaluate longchat-lines`, `free-form-qa`, `altered-numeric-qa`, `passkey`, and perplexity over
//! files and at other factors, on a tiny model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::model::{json_lines, tiny};
use support::{Done, bestof, has_keys, text, words, write};
use tempfile::{TempDir, tempdir};

/// A tiny model with a context of 1024 characters.
struct Bench {
    dir: TempDir,
    model: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let dir = tempdir().unwrap();
        let model = tiny(dir.path());
        Self { dir, model }
    }

    fn evaluate(&self, what: &str, flags: &str) -> Done {
        bestof(words(&format!("evaluate {what} --model {} {flags}", self.model.display())))
    }

    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name))
    }
}

fn samples(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn accuracy_comes_by_length_and_depth_with_its_answers() {
    let bench = Bench::new();
    let (said, page) = (bench.path("said.jsonl"), bench.path("page.html"));
    let flags = format!(
        "--lengths 1000,700 --depths 0,1 --cases 2 --max-new-tokens 5 --json --samples-out {said} --report {page}"
    );
    let lines = bench.evaluate("longchat-lines", &flags).lines();
    // All, two lengths, two depths, four of both.
    assert_eq!(lines.len(), 9);
    for line in &lines {
        has_keys(line, &["metric", "value", "low", "high", "n", "length", "depth"]);
        assert_eq!(line["metric"], "accuracy");
    }
    let n = |length: Value, depth: Value| {
        let found = lines.iter().find(|line| line["length"] == length && line["depth"] == depth);
        found.unwrap()["n"].as_u64().unwrap()
    };
    assert_eq!(n(Value::Null, Value::Null), 8);
    assert_eq!(n(json!(700), Value::Null), 4);
    assert_eq!(n(json!(1000), json!(1.0)), 2);

    let answers = samples(&said);
    assert_eq!(answers.len(), 8);
    for answer in &answers {
        let (tokens, length) =
            (answer["tokens"].as_u64().unwrap(), answer["length"].as_u64().unwrap());
        assert!(tokens + 5 <= length && tokens + 60 > length, "{answer}");
        let completion = answer["completion"].as_str().unwrap();
        let first: String = completion
            .chars()
            .skip_while(|c| !c.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        let expected =
            first.parse::<u64>().ok() == answer["answers"][0].as_str().unwrap().parse::<u64>().ok();
        assert_eq!(answer["correct"], json!(expected), "{answer}");
    }
    let hits = answers.iter().filter(|answer| answer["correct"] == true).count();
    assert_eq!(lines[0]["value"].as_f64().unwrap(), hits as f64 / 8.0);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("depth of the answer") && page.contains("longchat-lines"));

    let again = bench.path("again.jsonl");
    let flags =
        format!("--lengths 700 --depths 0 --cases 2 --max-new-tokens 5 --samples-out {again}");
    assert_eq!(bench.evaluate("longchat-lines", &flags).code, 0);
    assert_eq!(samples(&again), answers[..2].to_vec(), "the seed gives the same cases");
    assert_eq!(bench.evaluate("longchat-lines", &format!("{flags} --seed 1")).code, 0);
    assert_ne!(samples(&again)[0]["answers"], answers[0]["answers"]);
}

#[test]
fn questions_come_in_the_papers_variants_and_from_files() {
    let bench = Bench::new();
    let lines =
        bench.evaluate("free-form-qa", "--lengths 900 --cases 1 --max-new-tokens 3 --json").lines();
    assert_eq!((&lines[0]["metric"], &lines[0]["n"]), (&json!("accuracy"), &json!(6)));
    assert!(lines.iter().any(|line| line["depth"] == "middle" && line["metric"] == "f1"));

    let story = "It stood for long. The tower was built in 1911 by masons. It fell at last. ";
    let row = |answer: &str| json!({"question": "When was the tower built?", "answer": answer, "document": story.repeat(2)});
    let data =
        write(bench.dir.path(), "qa.jsonl", json_lines([row("1911"), row("1812"), row("masons")]));
    let said = bench.path("said.jsonl");
    let flags = format!(
        "--lengths 800 --depths 0.5 --cases 3 --max-new-tokens 3 --data {data} --samples-out {said}"
    );
    let done = bench.evaluate("altered-numeric-qa", &flags);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["no answer occurs in its document", "not a number", "of 3 cases"] {
        assert!(done.stderr.contains(part), "{part} is not in {}", done.stderr);
    }
    let answers = samples(&said);
    let altered: u64 = answers[0]["answers"][0].as_str().unwrap().parse().unwrap();
    assert!(altered != 1911 && altered.abs_diff(1911) <= 10);

    let nothing = write(bench.dir.path(), "none.jsonl", json_lines([row("1812")]));
    bench
        .evaluate("free-form-qa", &format!("--lengths 800 --data {nothing}"))
        .refuses(1, &["retrieval task", "no rows"]);
}

#[test]
fn published_rows_are_asked_as_they_are() {
    let bench = Bench::new();
    let turns = |n: usize| {
        json!({"conversations": [
            {"from": "human", "value": format!("Document: it was {n}.\nQuestion: what?"), "tok_len": 9},
            {"from": "agent", "value": n.to_string()},
        ]})
    };
    let data = write(bench.dir.path(), "wiki.jsonl", json_lines((10..16).map(turns)));
    let flags = format!("--lengths 30,100 --max-new-tokens 2 --data {data} --json");
    let lines = bench.evaluate("free-form-qa", &flags).lines();
    assert_eq!(lines[0]["n"], 6);
    assert_eq!(lines[3]["length"], 100, "the smallest length that holds the prompt");
    let done =
        bench.evaluate("free-form-qa", &format!("--lengths 30 --max-new-tokens 2 --data {data}"));
    done.refuses(1, &["6 prompts left out", "no rows"]);
}

#[test]
fn lengths_end_where_the_basis_ends() {
    let bench = Bench::new();
    let flags = "--lengths 2000 --depths 0.5 --cases 1 --max-new-tokens 3";
    bench
        .evaluate("passkey", flags)
        .refuses(2, &["--lengths 2000", "1024", "extend", "--eval-factor"]);
    let done = bench.evaluate("passkey", &format!("{flags} --eval-factor 2 --json"));
    assert_eq!(done.lines()[0]["n"], 1);
    bench
        .evaluate("passkey", &format!("{flags} --eval-factor 0.5"))
        .refuses(2, &["--eval-factor 0.5", "at least 1"]);
    bench.evaluate("passkey", "--lengths 40").refuses(2, &["passkey in", "shortest prompt"]);
    bench.evaluate("passkey", "--depths 2").refuses(2, &["depth", "2"]);
    bench.evaluate("passkey", "--cases 0").refuses(2, &["cases_per_cell is 0"]);
    bench.evaluate("passkey", "--data x.jsonl").refuses(1, &["x.jsonl"]);
    bench.evaluate("longchat-lines", "--data absent.jsonl").refuses(1, &["absent.jsonl"]);
}

#[test]
fn perplexity_is_of_each_file_and_of_all() {
    let bench = Bench::new();
    let book = write(bench.dir.path(), "book.txt", "the fox and the sea ".repeat(30));
    let long = json!({"text": "an old tin ".repeat(150)});
    let rows = write(bench.dir.path(), "rows.jsonl", json_lines([long]));
    let flags = format!("--data {book} {rows} --length 128 --json");
    let lines = bench.evaluate("perplexity", &flags).lines();
    assert_eq!(lines.len(), 3);
    has_keys(&lines[0], &["metric", "value", "low", "high", "n", "file"]);
    has_keys(&lines[2], &["metric", "value", "low", "high", "n"]);
    assert_eq!(lines[0]["n"], 600);
    assert_eq!(lines[1]["n"], 1650, "a text longer than the context is cut into windows");
    let (value, n) = (
        |i: usize| lines[i]["value"].as_f64().unwrap().ln(),
        |i: usize| lines[i]["n"].as_f64().unwrap(),
    );
    assert!((value(2) - (value(0) * n(0) + value(1) * n(1)) / n(2)).abs() < 1e-9);

    let one = bench.evaluate("perplexity", &format!("--data {book} --length 128 --json")).json();
    assert_eq!(one["value"], lines[0]["value"]);
    let scaled = bench
        .evaluate("perplexity", &format!("--data {book} --length 128 --eval-factor 4 --json"))
        .json();
    assert_ne!(scaled["value"], one["value"]);
    let longer = format!("--data {book} --length 2048 --eval-factor 4 --json");
    assert_eq!(bench.evaluate("perplexity", &longer).json()["n"], 600);
}
