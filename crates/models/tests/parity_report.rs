//! The parity report: every reference checkpoint passes, and what cannot pass is refused or fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::path::{Path, PathBuf};

use bestof_checkpoints::CheckpointError;
use bestof_models::parity::{ParityError, ParityReport, run_parity};
use bestof_models::{Device, ModelError};
use safetensors::tensor::{Dtype, TensorView};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

fn run(dir: &Path) -> Result<ParityReport, ParityError> {
    run_parity(dir, &Device::flex())
}

#[test]
fn every_checkpoint_gives_the_reference_numbers() {
    let mut encoders = 0;
    for entry in std::fs::read_dir(fixture("")).unwrap() {
        let dir = entry.unwrap().path();
        let report = run(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        let name = dir.file_name().unwrap().to_string_lossy();
        println!("{name}: {:?}", report.max_abs_diff);
        // Ten times closer than a report asks for: both sides compute in f32.
        assert!(report.ok && report.max_abs_diff.values().all(|d| *d < 1e-4), "{report:?}");
        let outputs: Vec<&str> = report.max_abs_diff.keys().map(String::as_str).collect();
        let expected: &[&str] = match &*name {
            "bert-encoder" => &["last_hidden_state", "pooler_output"],
            "bert-classifier5" | "bert-mlm" => &["logits"],
            _ => &["greedy", "logits", "token_logprobs"],
        };
        assert_eq!(outputs, expected, "{name}");
        encoders += usize::from(name.starts_with("bert"));
    }
    assert_eq!(encoders, 3);
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
fn changed(name: &str, change: impl Fn(&mut Vec<Given>)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
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
    let report = run(dir.path()).unwrap();
    assert!(!report.ok && report.max_abs_diff["last_hidden_state"] > 1.0, "{report:?}");
    assert!(report.max_abs_diff["pooler_output"] < 1e-4);
    let dir = changed("bert-encoder", |t| {
        let mask = named(t, "attention_mask").bytes.clone();
        assert_eq!(mask[mask.len() - 8], 0, "the last token is padding");
        set(named(t, "last_hidden_state"), 3 * 20 * 32 - 1, 9.0);
    });
    assert!(run(dir.path()).unwrap().ok);
    let dir = changed("llama-gqa-untied", |t| {
        // The ninth token is the first one generated.
        named(t, "greedy").bytes[8 * 8] ^= 1;
        set(named(t, "logits"), 7, f32::NAN);
    });
    let report = run(dir.path()).unwrap();
    assert_eq!((report.ok, report.max_abs_diff["greedy"]), (false, 1.0));
    assert_eq!(report.max_abs_diff["logits"], f64::INFINITY);
    assert_eq!(serde_json::to_value(&report).unwrap()["ok"], false);
    let continuation = changed("llama-gqa-untied", |t| {
        let greedy = named(t, "greedy");
        greedy.bytes.drain(..8 * 8);
        greedy.shape = vec![1, 12];
    });
    assert!(run(continuation.path()).unwrap().ok);
    let prompt_only = changed("llama-gqa-untied", |t| {
        let greedy = named(t, "greedy");
        greedy.bytes.truncate(8 * 8);
        greedy.shape = vec![1, 8];
    });
    assert!(matches!(run(prompt_only.path()), Err(ParityError::NothingExpected { .. })));
}

#[test]
fn a_decoders_padding_is_not_compared() {
    let mask = |seen: &dyn Fn(usize) -> bool| Given {
        name: "attention_mask".into(),
        dtype: Dtype::I64,
        shape: vec![2, 24],
        bytes: (0..48).flat_map(|at| i64::from(seen(at)).to_le_bytes()).collect(),
    };
    let padded = |t: &mut Vec<Given>| {
        set(named(t, "logits"), 47 * 128, 99.0);
        set(named(t, "token_logprobs"), 45, 99.0);
        named(t, "input_ids").bytes[47 * 8] ^= 1;
    };
    let dir = changed("llama-gqa-untied", padded);
    assert!(!run(dir.path()).unwrap().ok);
    let dir = changed("llama-gqa-untied", |t| {
        padded(t);
        t.push(mask(&|at| at != 47));
    });
    let report = run(dir.path()).unwrap();
    assert!(report.ok, "{report:?}");
    let dir = changed("llama-gqa-untied", |t| t.push(mask(&|at| at != 24)));
    assert!(matches!(run(dir.path()), Err(ParityError::NotRightPadded { row: 1 })));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let dir = changed("bert-encoder", |_| ());
    std::fs::remove_file(dir.path().join("expected.safetensors")).unwrap();
    assert!(matches!(run(dir.path()), Err(ParityError::NoExpected { .. })));
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    let error = run(dir.path()).unwrap_err();
    assert!(matches!(error, ParityError::Checkpoint(CheckpointError::NoConfig { .. })), "{error}");

    let dir = changed("bert-encoder", |t| named(t, "pooler_output").name = "pooled".into());
    let error = run(dir.path()).unwrap_err();
    assert!(error.to_string().contains("`pooled`; known are input_ids"), "{error}");

    let dir = changed("bert-encoder", |t| {
        t.retain(|t| t.name != "pooler_output" && t.name != "last_hidden_state");
    });
    assert!(matches!(run(dir.path()), Err(ParityError::NothingExpected { .. })));

    let dir = changed("bert-encoder", |t| named(t, "pooler_output").name = "token_logprobs".into());
    assert!(matches!(run(dir.path()), Err(ParityError::NotComputed { .. })));

    let dir = changed("bert-encoder", |t| named(t, "pooler_output").name = "logits".into());
    let error = run(dir.path()).unwrap_err();
    assert!(
        matches!(&error, ParityError::UnknownHead { found } if found == "BertModel"),
        "{error}"
    );

    let dir = changed("bert-encoder", |t| named(t, "pooler_output").shape = vec![32, 3]);
    let error = run(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("[32, 3]") && error.to_string().contains("[3, 32]"),
        "{error}"
    );

    let dir = changed("bert-encoder", |t| named(t, "attention_mask").bytes[0] = 2);
    assert!(matches!(run(dir.path()), Err(ParityError::BadInput { found: 2, .. })));

    let dir = changed("bert-encoder", |t| named(t, "input_ids").bytes[7] = 0xff);
    assert!(matches!(run(dir.path()), Err(ParityError::BadInput { key: "input_ids", .. })));

    let dir = changed("bert-encoder", |t| t.retain(|t| t.name != "input_ids"));
    let error = run(dir.path()).unwrap_err();
    assert!(error.to_string().contains("input_ids"), "{error}");

    let dir = changed("bert-encoder", |_| ());
    std::fs::write(dir.path().join("config.json"), r#"{"model_type": "mamba"}"#).unwrap();
    let error = run(dir.path()).unwrap_err();
    assert!(
        matches!(&error, ParityError::Model(ModelError::UnknownModelType { known, .. }) if known.contains(&"bert")),
        "{error}"
    );
}
