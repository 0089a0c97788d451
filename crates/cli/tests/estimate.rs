//! `estimate`: pass@k and max@k with their weights, and rewards or k that make none.

mod support;

use serde_json::json;
use support::{all_close, close, fed, finish, has_keys, words};

#[test]
fn each_estimator_gives_its_golden_weights() {
    let rewards = "[0.1, 0.2, 0.7, 1.0]";
    let cases: [(&str, f64, [f64; 4]); 3] = [
        ("plain", 0.925, [0.675, 0.675, 0.675, 0.75]),
        ("loo", 0.925, [-0.325, -0.325, -0.325, 0.05]),
        ("loo-minus-one", 0.925, [0.0, 0.0, 0.125, 0.35]),
    ];
    for (estimator, value, weights) in cases {
        let flags = format!("estimate --k 3 --estimator {estimator} --json");
        let answer = fed(words(&flags), rewards).json();
        has_keys(&answer, &["n", "k", "value", "weights"]);
        assert_eq!((&answer["n"], &answer["k"]), (&json!(4), &json!(3)));
        close(&answer["value"], value);
        all_close(&answer["weights"], &weights);
    }
    let answer = fed(words("estimate --k 3 --estimator binary --json"), "[1, 0, 0, 0]").json();
    close(&answer["value"], 0.75);
    all_close(&answer["weights"], &[0.75, 0.5, 0.5, 0.5]);
}

#[test]
fn a_line_is_a_prompt_and_lines_may_differ_in_length() {
    let input = "[-3.0, -1.0, -2.0, -0.5]\n\n  [0, 1]\n[1, 1, 1]";
    let answers = fed(words("estimate --k 2 --json"), input).lines();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[1]["n"], 2);
    close(&answers[1]["value"], 1.0);
    all_close(&answers[2]["weights"], &[0.0, 0.0, 0.0]);
}

#[test]
fn without_json_value_and_weights_are_two_lines() {
    // The mean, and each reward less the mean of the other three, over four.
    let first = fed(words("estimate --k 1 --json"), "[0, 1, 0, 1]").json();
    close(&first["value"], 0.5);
    all_close(&first["weights"], &[-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 6.0]);
    let done = fed(words("estimate --k 1 --estimator plain"), "[0, 1]");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout, "n 2  k 1  value 0.5\nweights 0 0.5\n");
}

#[test]
fn no_samples_and_more_than_there_are_make_no_estimate() {
    fed(words("estimate --k 0"), "[1, 0]").refuses(2, &["--k 0", "choose k from 1"]);
    fed(words("estimate --k 1 --estimator loo-minus-one"), "[1]").refuses(2, &["--k 1", "2"]);
    fed(words("estimate --k 3 --estimator plain"), "[1, 0]")
        .refuses(1, &["stdin, line 1", "k", "3", "2"]);
    fed(words("estimate --k 2 --estimator loo"), "[1, 0]").refuses(1, &["stdin, line 1", "loo"]);
    fed(words("estimate --k 2"), "[]").refuses(1, &["stdin, line 1"]);
}

#[test]
fn rewards_must_be_finite_numbers() {
    // JSON has no NaN, and 1e999 is beyond f64.
    fed(words("estimate --k 2"), "[1, NaN]")
        .refuses(1, &["stdin, line 1", "expected an array of rewards", "found `[1, NaN]`"]);
    fed(words("estimate --k 2"), "[1, 1e999]").refuses(1, &["stdin, line 1", "out of range"]);
    fed(words("estimate --k 2"), "[1, null]").refuses(1, &["stdin, line 1", "null"]);
    fed(words("estimate --k 2"), "{\"rewards\": [1]}").refuses(1, &["expected an array"]);
    fed(words("estimate --k 1 --estimator binary"), "[0.5, 1]").refuses(1, &["0.5"]);
    fed(words("estimate --k 2"), "[1e308, -1e308]").refuses(1, &["stdin, line 1", "1e308"]);
}

#[test]
fn an_unknown_estimator_lists_the_known() {
    fed(words("estimate --k 2 --estimator lou"), "")
        .refuses(2, &["--estimator", "lou", "loo-minus-one", "binary"]);
}

#[test]
fn text_that_is_not_utf8_is_named_by_line() {
    let done = finish(support::command(words("estimate --k 1 --estimator plain")), b"[1]\n\xff\n");
    assert_eq!(done.code, 1);
    assert!(done.stderr.contains("stdin, line 2: could not be read as text"), "{}", done.stderr);
}

#[test]
fn every_verb_has_help_with_an_example() {
    let verbs = [
        "quickstart",
        "fetch",
        "convert",
        "tokenize",
        "loss",
        "estimate",
        "judge",
        "rope",
        "pairs",
        "pairs build",
        "inspect",
        "score",
        "generate",
        "sft",
        "prefer",
        "evaluate",
        "evaluate preference",
        "evaluate perplexity",
        "evaluate longchat-lines",
        "evaluate free-form-qa",
        "evaluate altered-numeric-qa",
        "evaluate passkey",
        "extend",
        "parity",
        "report",
    ];
    for verb in verbs {
        let done = fed(words(&format!("{verb} --help")), "");
        assert_eq!(done.code, 0, "{verb}");
        assert!(done.stdout.contains("cargo xtask "), "{verb} has no example\n{}", done.stdout);
    }
}

#[test]
fn baselines_answer_in_the_same_shape() {
    for estimator in ["reinforce", "mean", "rloo", "grpo", "max-at-n"] {
        let flags = format!("estimate --k 1 --estimator {estimator} --json");
        let answer = fed(words(&flags), "[0, 1, 0, 1]").json();
        has_keys(&answer, &["n", "k", "value", "weights"]);
        assert_eq!(answer["weights"].as_array().unwrap().len(), 4, "{estimator}");
    }
}

#[test]
fn centred_and_harmonic_answer_like_the_others() {
    let rewards = "[0.1, 0.2, 0.7, 1.0]";
    let answer = fed(words("estimate --k 2 --estimator centred --json"), rewards).json();
    has_keys(&answer, &["n", "k", "value", "weights"]);
    all_close(&answer["weights"], &[-0.4 / 3.0, -0.4 / 3.0, 0.1 / 3.0, 0.7 / 3.0]);
    let answer = fed(words("estimate --estimator harmonic --json"), rewards).json();
    assert_eq!(answer["k"], 1);
    close(&answer["value"], 0.5);
    all_close(&answer["weights"], &[-0.225, -0.575 / 3.0, 0.175 / 3.0, 1.075 / 3.0]);
    let first = fed(words("estimate --estimator harmonic --order 1 --json"), rewards).json();
    let rloo = fed(words("estimate --estimator rloo --json"), rewards).json();
    for (a, b) in
        first["weights"].as_array().unwrap().iter().zip(rloo["weights"].as_array().unwrap())
    {
        close(a, b.as_f64().unwrap());
    }
    fed(words("estimate --k 2 --estimator plain --order 1"), "")
        .refuses(2, &["--order 1", "harmonic"]);
    fed(words("estimate --estimator harmonic --order 0"), "").refuses(2, &["--order 0"]);
    fed(words("estimate --estimator harmonic --order 4"), rewards)
        .refuses(1, &["stdin, line 1", "harmonic", "5"]);
    fed(words("estimate --k 4 --estimator centred"), rewards).refuses(1, &["centred", "5"]);
}

#[test]
fn ratios_make_the_weights_off_policy() {
    let line = r#"{"rewards": [0, 1, 0.5], "ratios": [0.5, 2, 1]}"#;
    let answer = fed(words("estimate --k 2 --json"), line).json();
    close(&answer["value"], 3.25 / 3.0);
    close(&answer["mean_product"], 3.5 / 3.0);
    close(&answer["self_normalised"], 3.25 / 3.5);
    all_close(&answer["weights"], &[0.0, 2.0 / 3.0, 0.25 / 3.0]);
    all_close(&answer["factors"], &[0.0, 1.0 / 3.0, 0.25 / 3.0]);
    let logs =
        r#"{"rewards": [0, 1, 0.5], "log_ratios": [-0.6931471805599453, 0.6931471805599453, 0]}"#;
    let same = fed(words("estimate --k 2 --json"), logs).json();
    all_close(&same["weights"], &[0.0, 2.0 / 3.0, 0.25 / 3.0]);
    // Ratios of 1 are on-policy, and lines of both kinds may be mixed.
    let mixed = "[0, 1, 0.5]\n{\"rewards\": [0, 1, 0.5], \"ratios\": [1, 1, 1]}";
    for estimator in
        ["plain", "loo", "loo-minus-one", "centred", "harmonic", "rloo", "mean", "reinforce"]
    {
        let answers =
            fed(words(&format!("estimate --k 2 --estimator {estimator} --json")), mixed).lines();
        let weights: Vec<f64> =
            answers[0]["weights"].as_array().unwrap().iter().map(|w| w.as_f64().unwrap()).collect();
        all_close(&answers[1]["weights"], &weights);
        close(&answers[1]["value"], answers[0]["value"].as_f64().unwrap());
    }
}

#[test]
fn caps_spare_the_own_ratio() {
    let line = r#"{"rewards": [0, 1, 0.5], "ratios": [3, 2, 1]}"#;
    let answer = fed(words("estimate --k 2 --cap 1.5 --json"), line).json();
    // Pairs with the worst: its ratio counts 1.5; the best keeps its 2.
    all_close(&answer["weights"], &[0.0, 2.0 * (1.5 + 0.5) / 3.0, 1.5 * 0.5 / 3.0]);
    close(&answer["value"], (3.0 * 2.0 + 3.0 * 0.5 + 2.0) / 3.0);
    close(&answer["value_capped"], (1.5 * 1.5 + 1.5 * 0.5 + 1.5) / 3.0);
    fed(words("estimate --k 2 --cap 1.5"), "[0, 1]").refuses(1, &["stdin, line 1", "--cap"]);
    fed(words("estimate --k 2 --cap 0"), line).refuses(2, &["--cap 0"]);
    fed(words("estimate --cap 2 --estimator rloo"), line).refuses(2, &["--cap 2", "rloo"]);
}

#[test]
fn bad_off_policy_lines_are_refused_by_line_and_field() {
    let refuse = |line: &str, words_of: &[&str]| {
        fed(words("estimate --k 2"), line).refuses(1, words_of);
    };
    refuse(r#"{"rewards": [1, 0]}"#, &["stdin, line 1", "`ratios`"]);
    refuse(
        r#"{"rewards": [1, 0], "ratios": [1, 1], "log_ratios": [0, 0]}"#,
        &["stdin, line 1", "`ratios` and `log_ratios`"],
    );
    refuse(r#"{"rewards": [1, 0], "log_ratios": [0]}"#, &["line 1", "`log_ratios`", "1", "2"]);
    refuse(r#"{"rewards": [1, 0], "ratio": [1, 1]}"#, &["line 1", "`ratio`"]);
    refuse(r#"{"rewards": [1, 0], "ratios": [1, -1]}"#, &["line 1", "ratio 1", "-1"]);
    refuse(r#"{"rewards": [1, 0], "log_ratios": [400, 0]}"#, &["line 1", "400"]);
    for (estimator, instead) in
        [("grpo", "rloo"), ("binary", "plain"), ("max-at-n", "loo-minus-one")]
    {
        let flags = format!("estimate --k 2 --estimator {estimator}");
        let line = r#"{"rewards": [1, 0], "ratios": [1, 1]}"#;
        fed(words(&flags), line).refuses(1, &["line 1", estimator, instead]);
    }
}

#[test]
fn a_command_line_that_cannot_be_meant_ends_with_two() {
    for line in ["estimate", "estimate --k two", "estimat --k 2", "estimate --k 2 --kk 3", ""] {
        assert_eq!(fed(words(line), "").code, 2, "{line}");
    }
    for line in ["--version", "--help", "estimate --help"] {
        assert_eq!(fed(words(line), "").code, 0, "{line}");
    }
}
