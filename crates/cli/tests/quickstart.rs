//! `quickstart` from pairs to report on a tiny model.

mod support;

use std::fs;

use support::model::tiny;
use support::{bestof, has_keys, text, words};
use tempfile::tempdir;

#[test]
fn the_main_job_compares_dpo_with_dpop_and_writes_a_report() {
    let dir = tempdir().unwrap();
    let model = text(&tiny(dir.path()));
    let out = dir.path().join("quickstart");
    let flags = format!(
        "quickstart --model {model} --out {} --pairs 12 --held-out 4 --json",
        out.display()
    );
    let done = bestof(words(&flags));
    let found = done.json();
    has_keys(
        &found,
        &["report", "before", "dpo", "dpop", "findings", "mean_edit_distance", "seconds"],
    );
    let findings = found["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 4);
    for finding in findings {
        has_keys(finding, &["claim", "measured", "verdict"]);
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(["holds", "does not hold", "unclear"].contains(&verdict), "{verdict}");
    }
    for name in ["before", "dpo", "dpop"] {
        let outcome = &found[name];
        assert_eq!(outcome["name"], name);
        assert!(outcome["perplexity"]["value"].as_f64().unwrap() > 1.0);
        assert_eq!(outcome["answers"].as_array().unwrap().len(), 2);
    }
    assert_eq!(found["before"]["displacement"], 0.0);
    assert_ne!(found["dpo"]["logp_chosen"], found["before"]["logp_chosen"]);
    assert!(found["mean_edit_distance"].as_f64().unwrap() < 0.2);
    assert_eq!(found["report"], text(&out.join("report.html")));
    let html = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(html.contains("<svg") && html.contains("DPOP"));
    for file in ["pairs.jsonl", "held-out.jsonl", "dpo/final/config.json", "dpop/adapter"] {
        assert!(out.join(file).exists(), "{file}");
    }
    let lines = |name: &str| fs::read_to_string(out.join(name)).unwrap().lines().count();
    assert_eq!((lines("pairs.jsonl"), lines("held-out.jsonl")), (12, 4));

    // It can be run again over what it left, and the same seed gives the same numbers.
    let again = bestof(words(&flags)).json();
    assert_eq!(again["dpop"]["logp_chosen"], found["dpop"]["logp_chosen"]);
    let shown = bestof(words(&flags.replace("--json", "")));
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    assert!(shown.stdout.contains("report  ") && shown.stdout.contains("DPOP"), "{}", shown.stdout);
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let dir = tempdir().unwrap();
    let out = text(&dir.path().join("out"));
    bestof(["quickstart", "--model", "no/such/model", "--out", &out])
        .refuses(1, &["no/such/model"]);
    for flag in ["--pairs", "--held-out"] {
        bestof(["quickstart", flag, "0", "--out", &out]).refuses(2, &[flag, "zero"]);
    }
}
