//! `parity`: every reference checkpoint passes, and what cannot pass is refused or fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use support::{Done, bestof, has_keys, parity as fixture, text, words};
use tempfile::{TempDir, tempdir};

/// The report on one folder, whose exit code must agree with it.
#[track_caller]
fn report(dir: &Path) -> Value {
    let done = run(dir);
    let report: Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {}", done.stderr));
    has_keys(&report, &["dir", "max_abs_diff", "ok"]);
    assert_eq!(report["dir"], json!(dir));
    assert_eq!(done.code, i32::from(report["ok"] != json!(true)), "{}", done.stderr);
    report
}

fn run(dir: &Path) -> Done {
    bestof(["parity", "--json", &text(dir)])
}

/// The numbers of `max_abs_diff`.
fn differences(report: &Value) -> Vec<(&str, f64)> {
    let numbers = report["max_abs_diff"].as_object().unwrap().iter();
    numbers.map(|(name, value)| (name.as_str(), value.as_f64().unwrap())).collect()
}

#[test]
fn every_checkpoint_gives_the_reference_numbers() {
    let folders = std::fs::read_dir(fixture("")).unwrap();
    let mut names: Vec<String> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut flags = words("parity --json");
    flags.extend(names.iter().map(|name| text(&fixture(name))));
    let reports = bestof(&flags).lines();
    assert_eq!(reports.len(), names.len());
    for (report, name) in reports.iter().zip(&names) {
        has_keys(report, &["dir", "max_abs_diff", "ok"]);
        assert_eq!((&report["dir"], &report["ok"]), (&json!(fixture(name)), &json!(true)));
        // Ten times closer than a report asks for: both sides compute in f32.
        assert!(differences(report).iter().all(|(_, d)| *d < 1e-4), "{report}");
        let outputs: Vec<&str> = differences(report).iter().map(|(output, _)| *output).collect();
        let expected: &[&str] = match name.as_str() {
            "bert-encoder" | "roberta-encoder" => &["last_hidden_state", "pooler_output"],
            name if name.ends_with("-encoder") => &["last_hidden_state"],
            name if name.ends_with("-classifier5") || name.ends_with("-mlm") => &["logits"],
            _ => &["greedy", "logits", "token_logprobs"],
        };
        assert_eq!(outputs, expected, "{name}");
    }
    let encoders = ["-encoder", "-classifier5", "-mlm"];
    let is_encoder = |name: &&String| encoders.iter().any(|end| name.ends_with(end));
    assert_eq!(names.iter().filter(is_encoder).count(), 15);
}

#[test]
fn each_folder_is_reported_and_one_that_differs_fails_the_command() {
    let dir = tempdir().unwrap();
    let (same, differs) = (text(&fixture("llama-gqa-untied")), dir.path().join("differs"));
    std::fs::create_dir(&differs).unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture("llama-gqa-untied").join(file), differs.join(file)).unwrap();
    }
    let expected = fixture("llama-linear4").join("expected.safetensors");
    std::fs::copy(expected, differs.join("expected.safetensors")).unwrap();
    let (differs, absent) = (text(&differs), text(&dir.path().join("absent")));
    let done = bestof(["parity", "--json", &same, &differs, &absent]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let verdicts: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["ok"].clone())
        .collect();
    assert_eq!(verdicts, [json!(true), json!(false)]);
    assert!(done.stderr.contains("2 of 3 folders differ"), "{}", done.stderr);
    assert!(done.stderr.contains(&absent), "{}", done.stderr);
}

/// A tensor of an `expected.safetensors`.
#[derive(Clone)]
struct Given {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The fixture's folder with changed expectations.
fn changed(name: &str, change: impl Fn(&mut Vec<Given>)) -> TempDir {
    let dir = tempdir().unwrap();
    let from = fixture(name);
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(from.join(file), dir.path().join(file)).unwrap();
    }
    let bytes = std::fs::read(from.join("expected.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let given = |(name, view): (String, TensorView<'_>)| Given {
        name,
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        bytes: view.data().to_vec(),
    };
    let mut tensors: Vec<Given> = file.tensors().into_iter().map(given).collect();
    change(&mut tensors);
    let views = tensors
        .iter()
        .map(|t| (&t.name, TensorView::new(t.dtype, t.shape.clone(), &t.bytes).unwrap()));
    std::fs::write(
        dir.path().join("expected.safetensors"),
        safetensors::serialize(views, None).unwrap(),
    )
    .unwrap();
    dir
}

fn named<'a>(tensors: &'a mut [Given], name: &str) -> &'a mut Given {
    tensors.iter_mut().find(|t| t.name == name).unwrap()
}

fn set(tensor: &mut Given, at: usize, value: f32) {
    tensor.bytes[4 * at..4 * at + 4].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn a_changed_number_fails_unless_it_is_padding() {
    // Row 0 of the fixture is whole, the last is padded.
    let dir = changed("bert-encoder", |t| set(named(t, "last_hidden_state"), 40, 9.0));
    let found = report(dir.path());
    assert_eq!(found["ok"], false);
    assert!(found["max_abs_diff"]["last_hidden_state"].as_f64().unwrap() > 1.0, "{found}");
    assert!(found["max_abs_diff"]["pooler_output"].as_f64().unwrap() < 1e-4, "{found}");
    let dir = changed("bert-encoder", |t| {
        let mask = named(t, "attention_mask").bytes.clone();
        assert_eq!(mask[mask.len() - 8], 0, "the last token is padding");
        set(named(t, "last_hidden_state"), 3 * 20 * 32 - 1, 9.0);
    });
    assert_eq!(report(dir.path())["ok"], true);
    let dir = changed("llama-gqa-untied", |t| {
        // The ninth token is the first one generated.
        named(t, "greedy").bytes[8 * 8] ^= 1;
    });
    let found = report(dir.path());
    assert_eq!((&found["ok"], &found["max_abs_diff"]["greedy"]), (&json!(false), &json!(1.0)));
    let dir = changed("llama-gqa-untied", |t| set(named(t, "logits"), 7, f32::NAN));
    let done = run(dir.path());
    assert!(done.code == 1 && done.stderr.contains("logits holds NaN at element 7"), "{done:?}");
    let continuation = changed("llama-gqa-untied", |t| {
        let greedy = named(t, "greedy");
        greedy.bytes.drain(..8 * 8);
        greedy.shape = vec![1, 12];
    });
    assert_eq!(report(continuation.path())["ok"], true);
    let prompt_only = changed("llama-gqa-untied", |t| {
        let greedy = named(t, "greedy");
        greedy.bytes.truncate(8 * 8);
        greedy.shape = vec![1, 8];
    });
    run(prompt_only.path()).refuses(1, &["holds no output to compare; known are greedy"]);
}

#[test]
fn a_decoders_padding_is_not_compared() {
    let mask = |attended: &dyn Fn(usize) -> bool| Given {
        name: "attention_mask".into(),
        dtype: Dtype::I64,
        shape: vec![2, 24],
        bytes: (0..48).flat_map(|at| i64::from(attended(at)).to_le_bytes()).collect(),
    };
    let padded = |t: &mut Vec<Given>| {
        set(named(t, "logits"), 47 * 128, 99.0);
        set(named(t, "token_logprobs"), 45, 99.0);
        named(t, "input_ids").bytes[47 * 8] ^= 1;
    };
    let dir = changed("llama-gqa-untied", padded);
    assert_eq!(report(dir.path())["ok"], false);
    let dir = changed("llama-gqa-untied", |t| {
        padded(t);
        t.push(mask(&|at| at != 47));
    });
    let found = report(dir.path());
    assert_eq!(found["ok"], true, "{found}");
    let dir = changed("llama-gqa-untied", |t| t.push(mask(&|at| at != 24)));
    run(dir.path()).refuses(1, &["row 1 is padded before or between its tokens"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<Given>), parts: &[&str]| {
        run(changed("bert-encoder", change).path()).refuses(1, parts);
    };
    let dir = changed("bert-encoder", |_| ());
    std::fs::remove_file(dir.path().join("expected.safetensors")).unwrap();
    run(dir.path()).refuses(1, &["has no expected.safetensors"]);
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    run(dir.path()).refuses(1, &["config.json"]);

    let dir = changed("bert-encoder", |_| ());
    std::fs::write(dir.path().join("config.json"), r#"{"model_type": "mamba"}"#).unwrap();
    run(dir.path()).refuses(1, &["mamba", "bert"]);

    refused(
        &|t| named(t, "pooler_output").name = "pooled".into(),
        &["`pooled`; known are input_ids"],
    );
    refused(
        &|t| t.retain(|t| t.name != "pooler_output" && t.name != "last_hidden_state"),
        &["holds no output to compare"],
    );
    refused(
        &|t| named(t, "pooler_output").name = "token_logprobs".into(),
        &["`token_logprobs` is expected, which a bert encoder does not have"],
    );
    refused(
        &|t| named(t, "pooler_output").name = "logits".into(),
        &["`BertModel`", "BertForMaskedLM"],
    );
    refused(&|t| named(t, "pooler_output").shape = vec![32, 3], &["[32, 3]", "[3, 32]"]);
    refused(
        &|t| named(t, "attention_mask").bytes[0] = 2,
        &["`attention_mask` holds 2, expected 0 or 1"],
    );
    refused(&|t| named(t, "input_ids").bytes[7] = 0xff, &["`input_ids` holds -", "a token id"]);
    refused(&|t| t.retain(|t| t.name != "input_ids"), &["input_ids"]);
}
