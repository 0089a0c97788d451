//! `reproduce` from a name to claims, report and exit code.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;

use serde_json::Value;
use support::{bestof, has_keys, text, words};
use tempfile::tempdir;

const FIELDS: [&str; 11] = [
    "reproduction",
    "title",
    "source",
    "seed",
    "full",
    "made_with",
    "design",
    "claims",
    "numbers",
    "report",
    "seconds",
];

fn check(document: &Value) {
    has_keys(document, &FIELDS);
    let claims = document["claims"].as_array().unwrap();
    assert!(!claims.is_empty());
    for claim in claims {
        has_keys(claim, &["claim", "rule", "measured", "verdict"]);
        let verdict = claim["verdict"].as_str().unwrap();
        assert!(["holds", "does not hold", "unclear"].contains(&verdict), "{verdict}");
    }
}

#[test]
fn the_toy_is_measured_judged_and_written() {
    let dir = tempdir().unwrap();
    let out = dir.path().join("toy");
    let flags = format!("reproduce pkpo-toy --json --seeds 4 --seed 3 --out {}", out.display());
    let done = bestof(words(&flags));
    let document = done.json();
    check(&document);
    assert_eq!(document["seed"], 3);
    assert_eq!(document["claims"].as_array().unwrap().len(), 12);
    assert_eq!(document["claims"][0]["verdict"], "holds");
    // Optima as an independent quadrature has them, to six digits.
    let optima = document["numbers"]["optima"].as_array().unwrap();
    for (optimum, expected) in optima.iter().zip([0.862_411, 0.901_704, 0.938_661]) {
        assert!((optimum["theta_star"].as_f64().unwrap() - expected).abs() < 1e-6);
    }
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("Figure 4"));
    assert_eq!(document["report"], text(&out.join("report.html")));

    // The same seed gives the same file, byte for byte; another seed another one.
    let claims = || fs::read_to_string(out.join("claims.json")).unwrap();
    let first = claims();
    bestof(words(&flags)).json();
    assert_eq!(claims(), first);
    bestof(words(&flags.replace("--seed 3", "--seed 4"))).json();
    assert_ne!(claims(), first);
}

#[test]
fn people_read_verdicts_and_where_the_report_is() {
    let dir = tempdir().unwrap();
    let out = text(&dir.path().join("toy"));
    let done = bestof(["reproduce", "pkpo-toy", "--seeds", "2", "--out", &out]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for part in ["holds", "theta* for k = 1: 0.862411", "report  ", "report.html"] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
}

#[test]
fn several_are_one_document() {
    let dir = tempdir().unwrap();
    let done = bestof(words(&format!(
        "reproduce pkpo-toy pkpo-toy --json --seeds 2 --out {}",
        dir.path().display()
    )));
    let document = done.json();
    has_keys(&document, &["reproductions"]);
    let both = document["reproductions"].as_array().unwrap();
    assert_eq!(both.len(), 2);
    for one in both {
        check(one);
    }
    // The second was taken up; another start takes up both, and measures what was asked otherwise.
    assert_eq!(done.stderr.matches("by an earlier start").count(), 1, "{}", done.stderr);
    assert!(both[0]["seconds"].is_f64() && both[1]["seconds"].is_null());
    assert!(done.stderr.contains(" s left"), "{}", done.stderr);
    for (seeds, taken_up) in [("2", 2), ("3", 1)] {
        let again = bestof(words(&format!(
            "reproduce pkpo-toy pkpo-toy --seeds {seeds} --out {}",
            dir.path().display()
        )));
        assert_eq!(again.stderr.matches("by an earlier start").count(), taken_up, "{seeds}");
        assert_eq!(again.stdout.matches("theta* for k = 1").count(), 2);
    }
}

#[test]
fn what_cannot_be_meant_is_wrong_usage_and_what_fails_is_named() {
    bestof(["reproduce", "pkpo_toy"]).refuses(2, &["pkpo_toy", "did you mean `pkpo-toy`?"]);
    bestof(["reproduce", "everything"]).refuses(2, &["everything", "pkpo-toy"]);
    for name in ["pkpo-toy", "all"] {
        bestof(["reproduce", name, "--seeds", "1"]).refuses(2, &["--seeds", "at least 2"]);
    }
    bestof(["reproduce", "pkpo-toy", "--data", "x"]).refuses(2, &["--data", "only yelp"]);
    let dir = tempdir().unwrap();
    let out = text(&dir.path().join("y"));
    bestof(words(&format!("reproduce yelp --no-pretrained --data no/such --out {out}")))
        .refuses(1, &["no/such"]);
    bestof(["reproduce", "yelp", "pkpo-toy", "--no-pretrained"])
        .refuses(2, &["--no-pretrained", "`pkpo-toy`", "yelp alone"]);
    let file = support::write(dir.path(), "taken", "");
    bestof(["reproduce", "pkpo-toy", "--seeds", "2", "--out", &file]).refuses(1, &["taken"]);
}

#[test]
fn a_missing_pretrained_model_is_told_before_anything_is_measured() {
    let dir = tempdir().unwrap();
    let mut command = support::command(["reproduce", "pkpo-toy", "yelp", "--seeds", "2"]);
    command.current_dir(dir.path());
    support::finish(command, b"")
        .refuses(1, &["models/minilm-l6-v2", "cargo xtask fetch minilm-l6-v2", "--no-pretrained"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
