//! `judge`: rows in, outcomes out, and rows that it refuses.

mod support;

use std::path::PathBuf;

use serde_json::{Value, json};
use support::{bestof, close, fed, has_keys, words};

fn row(answer: &str, completion: &str) -> String {
    json!({"answer": answer, "completion": completion}).to_string()
}

fn outcomes(flags: &str, rows: &[String]) -> Vec<String> {
    let lines = fed(words(&format!("judge --json {flags}")), &rows.join("\n")).lines();
    lines.iter().map(|line| line["outcome"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_outcome_has_its_word_and_the_answer_that_was_read() {
    let rows = [
        row("0.5", r"so it is \boxed{\frac12}"),
        row("0.5", r"\boxed{0.6}"),
        row("0.5", r"\boxed{0.5} or \boxed{0.6}"),
        row("72", "#### "),
    ];
    let lines = fed(words("judge --verifier number --json"), &rows.join("\n\n")).lines();
    has_keys(&lines[0], &["outcome", "reward", "reason", "extracted"]);
    let found: Vec<(&Value, &Value)> =
        lines.iter().map(|line| (&line["outcome"], &line["extracted"])).collect();
    assert_eq!(found[0], (&json!("right"), &json!("0.5")));
    assert_eq!(found[1], (&json!("wrong"), &json!("0.6")));
    assert_eq!(found[2], (&json!("unclear"), &json!("0.5, 0.6")));
    assert_eq!(found[3], (&json!("unclear"), &Value::Null));
    close(&lines[0]["reward"], 1.0);
    close(&lines[2]["reward"], 0.0);
}

#[test]
fn the_verifier_is_chosen_by_name_and_number_is_the_default() {
    let rows = [row("2\\sqrt{3}", "\\boxed{\\sqrt{12}}"), row("(1,2)", "\\boxed{(2,1)}")];
    assert_eq!(outcomes("--verifier math", &rows), ["right", "wrong"]);
    assert_eq!(outcomes("--verifier choice", &[row("B", "The answer is (B).")]), ["right"]);
    assert_eq!(outcomes("", &[r#"{"answer": 5, "completion": "It is 5."}"#.to_owned()]), ["right"]);
    let grid = row("1 2\n3 4", "1 2\n3 0");
    assert_eq!(outcomes("--verifier grid", &[grid]), ["partial"]);
    let countdown = json!({"numbers": [2, 3], "target": 6, "completion": "2 * 3"}).to_string();
    assert_eq!(outcomes("--verifier countdown", &[countdown]), ["right"]);
}

#[test]
fn a_file_is_read_like_stdin_and_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.jsonl");
    std::fs::write(&file, format!("{}\n{}\n", row("5", "5"), row("5", "6"))).unwrap();
    let done = bestof([PathBuf::from("judge"), file]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(
        done.stdout,
        "line 1: right    reward 1  5 equals 5  from \"5\"\n\
         line 2: wrong    reward 0  6 is not 5  from \"6\"\n\
         2 rows: 1 right, 1 wrong, 0 unclear, 0 failed; mean reward 0.5000\n"
    );
}

#[cfg(unix)]
#[test]
fn a_program_judges_with_all_fields_of_the_row() {
    let reply = |reward: &str| format!("echo '{{\"reward\": {reward}, \"reason\": \"said\"}}'");
    let run = |script: &str, input: &str| {
        let mut args = words("judge --json --time-limit 5 --program sh -c");
        args.push(script.to_owned());
        fed(args, input)
    };
    let line = r#"{"prompt": "p", "answer": "a", "completion": "c"}"#;
    let script = format!("grep -q '\"prompt\":\"p\"' && {} || exit 3", reply("1"));
    assert_eq!(run(&script, line).json()["outcome"], "right");
    assert_eq!(run(&reply("0.25"), line).json()["outcome"], "partial");
    let failed = run("exit 3", line).json();
    assert_eq!(failed["outcome"], "failed");
    close(&failed["reward"], 0.0);
    let late = fed(words("judge --json --time-limit 0.2 --program sleep 30"), line).json();
    assert_eq!(late["outcome"], "failed");
    assert!(late["reason"].as_str().unwrap().contains("longer than 200ms"), "{late}");
}

#[cfg(unix)]
#[test]
fn a_program_that_is_kept_judges_line_after_line() {
    let script = "n=0; while read -r line; do n=$((n+1)); case \"$line\" in *crash*) exit 3;; esac; \
                  echo \"{\\\"reward\\\": 1, \\\"reason\\\": \\\"$n\\\"}\"; done";
    let rows = ["a", "b", "crash", "c"].map(|completion| row("x", completion)).join("\n");
    let reasons = |flags: &str| -> Vec<String> {
        let mut args = words(&format!("judge --json {flags} --program sh -c"));
        args.push(script.to_owned());
        let lines = fed(args, &rows).lines();
        lines.iter().map(|line| line["reason"].as_str().unwrap_or_default().to_owned()).collect()
    };
    let crash = "the program failed (exit status: 3): ";
    assert_eq!(reasons(""), ["1", "1", crash, "1"]);
    assert_eq!(reasons("--persistent"), ["1", "2", crash, "1"]);
}

#[test]
fn bad_rows_are_named() {
    let judge = |input: &str| fed(words("judge --verifier number"), input);
    judge("{\"answer\": \"5\"}")
        .refuses(1, &["stdin, line 1", "`completion` is missing", "`answer`"]);
    judge("{\"completion\": \"5\"}").refuses(1, &["stdin, line 1", "`answer` is missing"]);
    judge("{\"answer\": \"5\", \"completion\": \"5\", \"solution\": \"5\"}")
        .refuses(1, &["stdin, line 1", "`solution` is not read", "`answer`, `completion`"]);
    judge("{\"answer\": [5], \"completion\": \"5\"}").refuses(1, &["`answer` has to be", "`[5]`"]);
    judge("{\"answer\": \"5\", \"completion\": 5}").refuses(1, &["`completion` has to be", "`5`"]);
    judge("[1]").refuses(1, &["stdin, line 1", "expected an object", "found `[1]`"]);
    judge("{\"answer\": \"five\", \"completion\": \"5\"}")
        .refuses(1, &["stdin, line 1", "\"five\" is not a number"]);
    bestof(words("judge nowhere.jsonl")).refuses(1, &["cannot read nowhere.jsonl"]);
}

#[test]
fn flags_that_nothing_reads_are_refused() {
    fed(words("judge --verifier maths"), "").refuses(2, &["maths", "countdown-near"]);
    fed(words("judge --verifier program"), "").refuses(2, &["--program"]);
    fed(words("judge --time-limit 3"), "").refuses(2, &["--time-limit"]);
    fed(words("judge --persistent"), "").refuses(2, &["--persistent"]);
    fed(words("judge --verifier math --program true"), "").refuses(2, &["--program"]);
    fed(words("judge --program no-such-program"), "").refuses(1, &["no-such-program"]);
}
