//! What a run leaves loads where the original did: the same tensors, shapes, configuration and
//! tokenizer, and no complaint from transformers where Python has it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::model::{completions, take_apart, tiny_from};
use support::{bestof, text, write};
use tempfile::tempdir;

/// Names and shapes of a checkpoint's tensors.
fn shapes(dir: &Path) -> BTreeMap<String, Value> {
    let (header, _) = take_apart(&dir.join("model.safetensors"));
    let tensors = header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
    tensors.map(|(name, info)| (name.clone(), info["shape"].clone())).collect()
}

/// `config.json` without what says how the weights are stored.
fn config(dir: &Path) -> Value {
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap();
    for key in ["dtype", "torch_dtype"] {
        config.as_object_mut().unwrap().remove(key);
    }
    config
}

const LOAD: &str = r#"
import sys
try:
    import torch, transformers
except ImportError:
    print("absent"); sys.exit()
model, info = transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], output_loading_info=True)
wrong = {key: list(value) for key, value in info.items() if value}
finite = bool(model(torch.tensor([[5, 6, 7]])).logits.isfinite().all())
print("whole" if finite and not wrong else f"not whole: finite {finite}, {wrong}")
"#;

/// What transformers says of a model folder; `absent` where Python does not have it.
fn in_transformers(dir: &Path) -> String {
    let python = std::env::var("BESTOF_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .args(["-c", LOAD])
        .arg(dir)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .map(|output| (output.status.success(), output.stdout, output.stderr));
    match output {
        Err(_) => "absent".to_owned(),
        Ok((true, stdout, _)) => String::from_utf8_lossy(&stdout).trim().to_owned(),
        Ok((false, _, stderr)) => String::from_utf8_lossy(&stderr).into_owned(),
    }
}

#[test]
fn a_trained_checkpoint_has_the_form_of_the_original() {
    for (family, lora) in [
        ("llama-tied-theta100k", true),
        ("llama-gqa-untied", false),
        ("gemma3", true),
        ("qwen2", false),
    ] {
        let dir = tempdir().unwrap();
        let model = tiny_from(family, dir.path());
        let data = write(dir.path(), "rows.jsonl", completions(8));
        let run = dir.path().join("run");
        let adapters = if lora { "[lora]\nr = 2\n" } else { "" };
        let settings = format!(
            "[model]\npath = {:?}\n[data]\ntrain = {data:?}\nmax_length = 64\n[output]\ndir = {:?}\n\
             [train]\nmax_steps = 2\n{adapters}",
            text(&model),
            text(&run)
        );
        let settings = write(dir.path(), "run.toml", settings);
        bestof(["sft", "--json", "--config", &settings]).json();

        let exported = run.join("final");
        assert_eq!(shapes(&exported), shapes(&model), "{family}");
        assert_eq!(config(&exported), config(&model), "{family}");
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            let read = |dir: &Path| std::fs::read(dir.join(file)).unwrap();
            assert_eq!(read(&exported), read(&model), "{family}, {file}");
        }
        let verdict = in_transformers(&exported);
        assert!(verdict == "whole" || verdict == "absent", "{family}: {verdict}");
    }
}
