//! A model folder written as a GGUF file and read back says the same of a text, logit for logit.

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::model::{byte_level, completions, set, take_apart, tiny_from};
use support::{bestof, text, words, write};
use tempfile::tempdir;

fn convert(from: &Path, to: &Path, flags: &str) -> Value {
    bestof(words(&format!("convert {} {} --json {flags}", from.display(), to.display()))).json()
}

#[test]
fn logits_survive_the_way_through_a_file_of_every_family() {
    for (family, architecture) in [
        ("llama-gqa-untied", "llama"),
        ("qwen2", "qwen2"),
        ("qwen3", "qwen3"),
        ("smollm3", "smollm3"),
        ("phi3-longrope", "phi3"),
        ("gemma2", "gemma2"),
        ("gemma3", "gemma3"),
    ] {
        let dir = tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let model = tiny_from(family, dir.path());
        byte_level(&model);
        if family.starts_with("gemma") {
            // The scale of queries that llama.cpp computes for these sizes.
            set(&model, "config.json", "query_pre_attn_scalar", json!(16));
        }
        let data = write(dir.path(), "rows.jsonl", completions(6));
        let score = |dir: &Path| -> f64 {
            let flags = format!("score --model {} --data {data} --json", text(dir));
            let rows = bestof(words(&flags)).lines();
            assert_eq!(rows.len(), 6);
            rows.iter().map(|row| row["completion"]["logprob"].as_f64().unwrap()).sum()
        };
        // Rounded to halves first, so that the file has nothing left to round but Gemma's norms.
        convert(&model, &at("half"), "--dtype f16");
        let written = convert(&at("half"), &at("half.gguf"), "--type f16");
        assert_eq!(written["architecture"], architecture);
        convert(&at("half.gguf"), &at("back"), "");
        let (whole, half, back) = (score(&model), score(&at("half")), score(&at("back")));
        assert!((half - back).abs() <= 1e-5 * half.abs(), "{family}: {half} is not {back}");
        assert!((whole - half).abs() > 1e-5 * half.abs(), "{family}: nothing was rounded");

        convert(&model, &at("eight.gguf"), "--type q8_0");
        convert(&at("eight.gguf"), &at("eight"), "");
        let eight = score(&at("eight"));
        assert!((whole - eight).abs() < 0.02 * whole.abs(), "{family}: {whole} against {eight}");
        assert_ne!(whole, eight, "{family}");
        let tensors = |dir: &Path| {
            let (header, _) = take_apart(&dir.join("model.safetensors"));
            let mut names: Vec<String> = header.as_object().unwrap().keys().cloned().collect();
            names.retain(|name| name != "__metadata__");
            names.sort();
            names
        };
        assert_eq!(tensors(&at("back")), tensors(&model), "{family}");
    }
}
