//! `rope`: frequencies by parameters and by either spelling of a config, and what makes none.

mod support;

use serde_json::{Value, json};
use support::{all_close, bestof, close, has_keys, parity, text, words, write};
use tempfile::tempdir;

fn rope(flags: &str) -> Value {
    let answer = bestof(words(&format!("rope {flags} --json"))).json();
    has_keys(&answer, &["rope_type", "inv_freq", "attention_factor"]);
    answer
}

#[test]
fn methods_by_parameters_give_golden_frequencies() {
    let head = "--head-dim 8 --theta 10000";
    let longrope = "--short-factor 1.0,1.05,1.1,1.2 --long-factor 1.1,1.7,3.0,8.0 --factor 32 \
                    --original-max-position-embeddings 4096";
    let cases: &[(&str, String, f64, [f64; 4])] = &[
        ("default", String::new(), 1.0, [1.0, 0.1, 0.01, 0.001]),
        ("linear", "--factor 2".into(), 1.0, [0.5, 0.05, 0.005, 0.0005]),
        (
            "dynamic",
            "--factor 2 --max-position-embeddings 2048 --length 2048".into(),
            1.0,
            [1.0, 0.1, 0.01, 0.001],
        ),
        (
            "yarn",
            "--factor 2 --original-max-position-embeddings 64".into(),
            1.069_314_718_055_994_5,
            [1.0, 0.075, 0.005, 0.0005],
        ),
        (
            "longrope",
            format!("{longrope} --length 4096"),
            1.190_238_071_423_808_3,
            [1.0, 0.095_238_095_238_095_23, 0.009_090_909_090_909_09, 0.000_833_333_333_333_333_4],
        ),
        (
            "longrope",
            format!("{longrope} --length 4097"),
            1.190_238_071_423_808_3,
            [
                0.909_090_909_090_909_1,
                0.058_823_529_411_764_71,
                0.003_333_333_333_333_333,
                0.000_125,
            ],
        ),
        (
            "power",
            "--power 0.5".into(),
            1.0,
            [1.0, 0.086_602_540_378_443_87, 0.007_071_067_811_865_476, 0.0005],
        ),
        ("truncated", "--a 0.005 --b 0.05 --rho 0.002".into(), 1.0, [1.0, 0.1, 0.002, 0.0]),
        (
            "truncated",
            "--truncate 2048".into(),
            1.0,
            [1.0, 0.1, 0.01, 0.000_191_747_598_485_705_15],
        ),
    ];
    for (method, flags, factor, frequencies) in cases {
        let answer = rope(&format!("--method {method} {head} {flags}"));
        close(&answer["attention_factor"], *factor);
        all_close(&answer["inv_freq"], frequencies);
    }
}

#[test]
fn both_spellings_of_a_config_say_the_same() {
    let dir = tempdir().unwrap();
    let shape = json!({"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4,
                       "max_position_embeddings": 128});
    let with = |name: &str, more: Value| {
        let mut config = shape.clone();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        write(dir.path(), name, config.to_string())
    };
    let yarn = json!({"factor": 2.0, "original_max_position_embeddings": 64});
    let mut old = yarn.clone();
    old["rope_type"] = json!("yarn");
    let mut older = yarn.clone();
    older["type"] = json!("yarn");
    let mut new = old.clone();
    new["rope_theta"] = json!(10000.0);
    let paths = [
        with("old.json", json!({"rope_theta": 10000.0, "rope_scaling": old})),
        with("older.json", json!({"rope_theta": 10000.0, "rope_scaling": older})),
        with("new.json", json!({"rope_parameters": new})),
    ];
    for path in paths {
        let answer = rope(&format!("--config {path}"));
        assert_eq!(answer["rope_type"], "yarn");
        close(&answer["attention_factor"], 1.069_314_718_055_994_5);
        all_close(&answer["inv_freq"], &[1.0, 0.075, 0.005, 0.0005]);
    }
    let plain = with("plain.json", json!({"rope_theta": 10000.0, "rope_scaling": null}));
    all_close(&rope(&format!("--config {plain}"))["inv_freq"], &[1.0, 0.1, 0.01, 0.001]);
}

#[test]
fn a_folder_stands_for_its_config_and_gemma3_has_a_line_for_each_kind_of_layer() {
    let dir = text(&parity("llama-linear4"));
    let answer = rope(&format!("--config {dir}"));
    assert_eq!(answer["rope_type"], "linear");
    close(&answer["inv_freq"][0], 0.25);

    let gemma = text(&parity("gemma3"));
    let lines = bestof(words(&format!("rope --config {gemma} --json"))).lines();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["layer_type"].as_str()).collect();
    assert_eq!(kinds, ["full_attention", "sliding_attention"]);
    has_keys(&lines[0], &["rope_type", "inv_freq", "attention_factor", "layer_type"]);
}

#[test]
fn without_json_there_is_a_line_a_pair() {
    let done = bestof(words("rope --method default --head-dim 4 --theta 10000"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stdout.lines().count(), 3);
}

#[test]
fn an_unknown_method_or_type_is_named() {
    bestof(words("rope --method yam --head-dim 8 --theta 10000"))
        .refuses(2, &["yam", "yarn", "longrope"]);
    let dir = tempdir().unwrap();
    let config = json!({"model_type": "llama", "hidden_size": 32, "num_attention_heads": 4,
                        "rope_theta": 1e4, "rope_scaling": {"rope_type": "yrn", "factor": 2.0}});
    let path = write(dir.path(), "config.json", config.to_string());
    bestof(words(&format!("rope --config {path}"))).refuses(1, &[&path, "yrn", "yarn"]);
}

#[test]
fn parameters_out_of_range_or_missing_are_wrong_usage() {
    let refused = |flags: &str, parts: &[&str]| {
        bestof(words(&format!("rope {flags}"))).refuses(2, parts);
    };
    refused("--method linear --head-dim 8 --theta 10000", &["linear", "`factor`", "missing"]);
    refused(
        "--method linear --head-dim 8 --theta 10000 --factor 0.5",
        &["`factor` 0.5", "least 1"],
    );
    refused("--method default --head-dim 7 --theta 10000", &["head dimension 7", "even"]);
    refused("--method default --head-dim 8 --theta 1", &["rope_theta 1", "above 1"]);
    refused("--method default --head-dim 8 --theta 10000 --factor 2", &["factor", "default"]);
    assert_eq!(bestof(words("rope --method default")).code, 2);
    assert_eq!(bestof(words("rope")).code, 2);
}

#[test]
fn a_config_that_is_not_there_or_not_json_is_named() {
    let dir = tempdir().unwrap();
    let absent = text(&dir.path().join("absent.json"));
    bestof(words(&format!("rope --config {absent}"))).refuses(1, &["could not read", &absent]);
    let broken = write(dir.path(), "broken.json", "{\"rope_theta\": ");
    bestof(words(&format!("rope --config {broken}"))).refuses(1, &[&broken, "not JSON", "line 1"]);
    let binary = write(dir.path(), "binary.json", b"{\"rope\xff\": 1}");
    bestof(words(&format!("rope --config {binary}"))).refuses(1, &[&binary, "UTF-8"]);
}
