//! Model folders written as GGUF files. The folders are made of GGUF files that the tests build byte by
//! byte, so what is written has to be what they built.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use bestof_checkpoints::gguf::{
    ConvertOptions, ExportOptions, Exported, GgmlType, convert, export,
};
use bestof_checkpoints::{CheckpointError, ModelFolder};
use serde_json::{Value, json};
use support::raw::Raw;
use support::*;
use tempfile::tempdir;

fn folder_of(builder: &GgufBuilder, dir: &Path) -> PathBuf {
    let out = dir.join("folder");
    convert(&builder.write(dir), &out, &ConvertOptions::default(), &mut |_| ()).unwrap();
    out
}

fn write(folder: &Path, out: &Path, ggml_type: GgmlType) -> Result<Exported, CheckpointError> {
    export(&ModelFolder::open(folder).unwrap(), out, ExportOptions::new(ggml_type), &mut |_| ())
}

fn change(folder: &Path, file: &str, change: impl FnOnce(&mut Value)) {
    let path = folder.join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

/// Metadata of the built file come back, and the tensors as the very bytes they were built of.
fn returns(builder: &GgufBuilder, architecture: &str) {
    let dir = tempdir().unwrap();
    let folder = folder_of(builder, dir.path());
    let (again, out) = (dir.path().join("again.gguf"), dir.path().join("again"));
    let done = write(&folder, &again, GgmlType::F32).unwrap();
    assert_eq!((done.architecture, done.warnings), (architecture, vec![]));
    assert_eq!(done.types, [("F32".to_owned(), builder.tensors.len())]);
    let (built, written) = (Raw::read(&dir.path().join("model.gguf")), Raw::read(&again));
    assert_eq!(written.bytes.len() % 32, 0, "the last tensor is padded too");
    let names = |raw: &Raw| raw.tensors.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&built), names(&written));
    for (name, (sizes, kind, bytes)) in &built.tensors {
        let (written_sizes, written_kind, written) = &written.tensors[name];
        assert_eq!((sizes, kind), (written_sizes, written_kind), "{name}");
        let floats = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        // The 1 of Gemma's norms is taken away and added again.
        let off = floats(bytes).into_iter().zip(floats(written)).map(|(a, b)| (a - b).abs());
        let most = if architecture.starts_with("gemma") { f32::EPSILON } else { 0.0 };
        assert!(off.clone().all(|off| off <= most), "{name}: {:?}", off.reduce(f32::max));
    }
    for (key, value) in &built.metadata {
        assert!(Some(value) == written.metadata.get(key), "{key}");
    }
    assert_eq!(written.word("general.type"), "model");
    assert_eq!(written.number("general.file_type"), 0.0);
    assert_eq!(written.number(&format!("{architecture}.rope.dimension_count")), HEAD_DIM as f64);

    convert(&again, &out, &ConvertOptions::default(), &mut |_| ()).unwrap();
    for name in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"]
    {
        let read = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(&folder), read(&out), "{name}");
    }
}

/// A model with what the converter always writes: the flag, and a token for each row.
fn built(architecture: &str) -> GgufBuilder {
    let mut builder = model(architecture);
    let padded = "<|end|> a b c 1 Ġ ab Ġab 2 <tool> [PAD10] [PAD11]";
    builder
        .set("tokenizer.ggml.add_bos_token", Meta::Bool(false))
        .set("tokenizer.ggml.tokens", texts(&padded.split(' ').collect::<Vec<_>>()))
        .set("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1, 1, 1, 1, 1, 1, 1, 1, 4, 5, 5]));
    builder
}

#[test]
fn every_family_comes_back() {
    for architecture in ["llama", "qwen2", "qwen3", "smollm3", "phi3", "gemma2", "gemma3"] {
        let mut builder = built(architecture);
        if architecture.starts_with("gemma") {
            builder.set(&format!("{architecture}.attention.sliding_window"), Meta::U32(64));
        }
        returns(&builder, architecture);
    }
}

#[test]
fn sentencepiece_comes_back() {
    let mut builder = built("llama");
    let mut tokens: Vec<String> =
        ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "ba", "bab", "\u{2581}ba", "  "]
            .map(str::to_owned)
            .to_vec();
    let mut kinds = vec![2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 4];
    // Rules: ab, ▁ba, ba, bab. What no rule makes has the least score, what is no word none.
    let mut scores =
        [0.0, -1000.0, -1000.0, -1e9, -1e9, -1e9, -1.0, -3.0, -4.0, -2.0, -1000.0].to_vec();
    for byte in 0..=255 {
        tokens.push(format!("<0x{byte:02X}>"));
        scores.push(0.0);
        kinds.push(6);
    }
    builder.remove_tensor("token_embd.weight");
    let rows = tokens.len() + 1;
    builder.tensor("token_embd.weight", &[rows, HIDDEN], Stored::F32, &vec![0.5; rows * HIDDEN]);
    tokens.push(format!("[PAD{}]", tokens.len()));
    scores.push(-1000.0);
    kinds.push(5);
    builder
        .remove("tokenizer.ggml.merges")
        .set("tokenizer.ggml.model", Meta::Text("llama".into()))
        .set("tokenizer.ggml.pre", Meta::Text("default".into()))
        .set("tokenizer.ggml.tokens", Meta::Texts(tokens))
        .set("tokenizer.ggml.scores", Meta::F32s(scores))
        .set("tokenizer.ggml.token_type", Meta::I32s(kinds))
        .set("tokenizer.ggml.bos_token_id", Meta::U32(1))
        .set("tokenizer.ggml.eos_token_id", Meta::U32(2))
        .set("tokenizer.ggml.unknown_token_id", Meta::U32(0))
        .set("tokenizer.ggml.add_bos_token", Meta::Bool(true))
        .set("tokenizer.ggml.add_eos_token", Meta::Bool(true))
        .set("tokenizer.ggml.add_space_prefix", Meta::Bool(true));
    returns(&builder, "llama");
    builder.set("tokenizer.ggml.add_space_prefix", Meta::Bool(false));
    returns(&builder, "llama");
}

#[test]
fn every_cut_that_is_read_is_written() {
    for pre in [
        "default",
        "gpt-2",
        "smollm",
        "llama-bpe",
        "smaug-bpe",
        "qwen2",
        "deepseek-llm",
        "deepseek-coder",
        "deepseek-v3",
        "seed-coder",
        "gpt-4o",
        "tekken",
    ] {
        let mut builder = built("llama");
        builder.set("tokenizer.ggml.pre", Meta::Text(pre.into()));
        returns(&builder, "llama");
    }
}

#[test]
fn templates_and_ends_of_turns_come_back() {
    let mut builder = built("llama");
    builder
        .set("tokenizer.chat_template", Meta::Text("{{ messages[0].content }}".into()))
        .set("tokenizer.ggml.token_type", Meta::I32s(vec![3, 1, 1, 1, 1, 1, 1, 1, 1, 3, 5, 5]))
        .set("tokenizer.ggml.eot_token_id", Meta::U32(9))
        .set("tokenizer.ggml.padding_token_id", Meta::U32(9));
    returns(&builder, "llama");
}

#[test]
fn rotary_scaling_comes_back() {
    let mut linear = built("gemma3");
    linear
        .set("gemma3.attention.sliding_window", Meta::U32(64))
        .set("gemma3.rope.freq_base_swa", Meta::F32(20_000.0))
        .set("gemma3.rope.scaling.type", Meta::Text("linear".into()))
        .set("gemma3.rope.scaling.factor", Meta::F32(8.0));
    returns(&linear, "gemma3");
    let mut yarn = built("qwen2");
    yarn.set("qwen2.rope.scaling.type", Meta::Text("yarn".into()))
        .set("qwen2.rope.scaling.factor", Meta::F32(4.0))
        .set("qwen2.rope.scaling.yarn_beta_fast", Meta::F32(16.0))
        .set("qwen2.rope.scaling.original_context_length", Meta::U32(64));
    returns(&yarn, "qwen2");
    let mut longrope = built("llama");
    longrope
        .set("llama.rope.scaling.type", Meta::Text("longrope".into()))
        .set("llama.rope.scaling.attn_factor", Meta::F32(1.25))
        .set("llama.rope.scaling.original_context_length", Meta::U32(64));
    longrope.tensor("rope_factors_long.weight", &[4], Stored::F32, &[1.0, 2.0, 3.0, 4.5]);
    longrope.tensor("rope_factors_short.weight", &[4], Stored::F32, &[1.0, 1.0, 1.25, 1.5]);
    returns(&longrope, "llama");
    let mut longrope = built("phi3");
    longrope
        .set("phi3.rope.scaling.type", Meta::Text("longrope".into()))
        .set("phi3.rope.scaling.attn_factor", Meta::F32(1.25))
        .set("phi3.rope.scaling.original_context_length", Meta::U32(64));
    longrope.tensor("rope_factors_long.weight", &[4], Stored::F32, &[1.0, 2.0, 3.0, 4.5]);
    longrope.tensor("rope_factors_short.weight", &[4], Stored::F32, &[1.0, 1.0, 1.25, 1.5]);
    returns(&longrope, "phi3");
}

/// Divisors for a head of 8, base 500000, factor 8, low 1, high 4 and 8192 before, computed by hand in
/// Python: wavelengths 2π·500000^(i/4) are 6.28, 167.1, 4442.9 and 118141.
#[test]
fn llama3_becomes_divisors() {
    let dir = tempdir().unwrap();
    let folder = folder_of(&built("llama"), dir.path());
    change(&folder, "config.json", |config| {
        config["rope_parameters"] = json!({
            "rope_type": "llama3", "rope_theta": 500_000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
        });
    });
    let out = dir.path().join("out.gguf");
    write(&folder, &out, GgmlType::F16).unwrap();
    let raw = Raw::read(&out);
    let (sizes, kind, bytes) = &raw.tensors["rope_freqs.weight"];
    assert_eq!((sizes.as_slice(), *kind), (&[4][..], 0));
    let found: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    for (found, expected) in found.iter().zip([1.0, 1.0, 2.694_529_7, 8.0]) {
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
    }
    assert!(!raw.metadata.contains_key("llama.rope.scaling.type"));
}

#[test]
fn types_of_tensors() {
    let dir = tempdir().unwrap();
    let mut builder = built("llama");
    let output = Lcg(5).values(VOCABULARY * HIDDEN);
    builder.tensor("output.weight", &[VOCABULARY, HIDDEN], Stored::F32, &output);
    let folder = folder_of(&builder, dir.path());
    for (ggml_type, number, output, file_type) in [
        (GgmlType::F16, 1, 1, 1.0),
        (GgmlType::BF16, 30, 30, 32.0),
        (GgmlType::Q8_0, 8, 8, 7.0),
        (GgmlType::Q4_0, 2, 8, 2.0),
    ] {
        let out = dir.path().join(format!("{ggml_type}.gguf"));
        let done = write(&folder, &out, ggml_type).unwrap();
        let raw = Raw::read(&out);
        assert_eq!(raw.number("general.file_type"), file_type);
        for (name, (sizes, kind, _)) in &raw.tensors {
            let expected = match name.as_str() {
                _ if sizes.len() == 1 => 0,
                "output.weight" => output,
                _ => number,
            };
            assert_eq!(*kind, expected, "{name} as {ggml_type}");
        }
        assert_eq!(done.types.iter().map(|(_, count)| count).sum::<usize>(), raw.tensors.len());
        assert_eq!(
            raw.metadata.contains_key("general.quantization_version"),
            number < 30 && number > 1
        );
        let back = dir.path().join(format!("{ggml_type}"));
        convert(&out, &back, &ConvertOptions::default(), &mut |_| ()).unwrap();
        let name = "model.layers.1.mlp.down_proj.weight";
        let values = |folder: &Path| {
            ModelFolder::open(folder).unwrap().weights().unwrap().read_f32_any(name).unwrap().1
        };
        let (original, back) = (values(&folder), values(&back));
        // Half a step of values up to 1.
        let most = [(1, 2.5e-4), (30, 2e-3), (8, 4.1e-3), (2, 0.127)];
        let most = most.iter().find(|(kind, _)| *kind == number).unwrap().1;
        assert!(original.iter().zip(&back).all(|(a, b)| (a - b).abs() <= most), "{ggml_type}");
        assert!(original != back);
    }
    let said = write(&folder, &dir.path().join("q4k.gguf"), GgmlType::Q4K).unwrap_err().to_string();
    assert!(said.contains("Q4_K is not written"), "{said}");
}

#[test]
fn a_model_is_called_as_its_folder_or_as_asked() {
    let dir = tempdir().unwrap();
    let folder = folder_of(&built("llama"), dir.path());
    let options = ExportOptions::new(GgmlType::F32);
    for (options, expected) in [(options.clone(), "folder"), (options.with_name("mine"), "mine")] {
        let out = dir.path().join(format!("{expected}.gguf"));
        export(&ModelFolder::open(&folder).unwrap(), &out, options, &mut |_| ()).unwrap();
        // The length, then the text.
        assert_eq!(Raw::read(&out).metadata["general.name"].1[8..], *expected.as_bytes());
    }
}

#[test]
fn nothing_is_overwritten_or_left_half_done() {
    let dir = tempdir().unwrap();
    let folder = folder_of(&built("llama"), dir.path());
    let there = dir.path().join("model.gguf");
    let before = fs::read(&there).unwrap();
    assert!(matches!(
        write(&folder, &there, GgmlType::F16).unwrap_err(),
        CheckpointError::OutputExists { .. }
    ));
    assert!(fs::read(&there).unwrap() == before);
    change(&folder, "config.json", |config| config["num_hidden_layers"] = json!(3));
    let out = dir.path().join("new.gguf");
    let said = write(&folder, &out, GgmlType::F16).unwrap_err().to_string();
    assert!(said.contains("model.layers.2.input_layernorm.weight is missing"), "{said}");
    assert!(!out.exists());
}

/// A folder with a changed file is refused, and nothing written.
fn refused(architecture: &str, file: &str, with: &dyn Fn(&mut Value), expected: &str) {
    let dir = tempdir().unwrap();
    let mut builder = built(architecture);
    if architecture.starts_with("gemma") {
        builder.set(&format!("{architecture}.attention.sliding_window"), Meta::U32(64));
    }
    let folder = folder_of(&builder, dir.path());
    change(&folder, file, with);
    let out = dir.path().join("out.gguf");
    let said = write(&folder, &out, GgmlType::F16).unwrap_err().to_string();
    assert!(said.contains(expected), "{said}\nexpected {expected}");
    assert!(!out.exists());
}

/// The same with one field of `config.json`.
fn config(architecture: &str, field: &str, value: Value, expected: &str) {
    refused(architecture, "config.json", &move |config| config[field] = value.clone(), expected);
}

#[test]
fn settings_that_cannot_be_expressed_are_named() {
    config("llama", "model_type", json!("phi"), "model_type is phi, which a GGUF file cannot");
    config("llama", "hidden_act", json!("gelu"), "hidden_act is \"gelu\"");
    config("llama", "partial_rotary_factor", json!(0.5), "partial_rotary_factor is 0.5");
    config("llama", "tie_word_embeddings", json!("yes"), "tie_word_embeddings");
    config(
        "llama",
        "bestof",
        json!({"no_rope_layers": [1, 0, 1]}),
        "no_rope_layers is 0 for layer 1 (from 0)",
    );
    config("llama", "num_attention_heads", json!(3), "rows of q_proj and k_proj");
    config(
        "llama",
        "max_position_embeddings",
        Value::Null,
        "max_position_embeddings in config.json is missing, expected at least 1",
    );
    config("llama", "hidden_size", json!(64), "shape [12, 32], the metadata asks for [12, 64]");
    config("qwen2", "use_sliding_window", json!(true), "use_sliding_window is true");
    config("gemma2", "attn_logit_softcapping", Value::Null, "attn_logit_softcapping is null");
    config(
        "gemma2",
        "query_pre_attn_scalar",
        json!(144),
        "llama.cpp computes 8 for a model of these sizes",
    );
    config(
        "gemma3",
        "layer_types",
        json!(["full_attention", "sliding_attention"]),
        "layer_types is",
    );
    config(
        "gemma3",
        "attn_logit_softcapping",
        json!(50.0),
        "does not cap the attention of Gemma 3",
    );
}

#[test]
fn rotary_settings_that_cannot_be_expressed_are_named() {
    for (scaling, expected) in [
        (json!({ "rope_type": "dynamic", "factor": 2.0 }), "rope_type is dynamic"),
        (
            json!({ "rope_type": "linear", "factor": 2.0, "mscale": 1.0 }),
            "is mscale, which a GGUF file cannot express",
        ),
        (json!({ "rope_type": "linear" }), "rope type `linear` needs `factor`"),
        (
            json!({ "rope_type": "linear", "factor": -1 }),
            "`factor` -1 of rope type `linear` must be a finite number of at least 1",
        ),
        (
            json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64,
            "attention_factor": 1.0 }),
            "attention_factor is 1",
        ),
        (
            json!({ "rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0],
            "original_max_position_embeddings": 64 }),
            "`short_factor` has 1 entries, but 8 rotating dimensions make 4 pairs",
        ),
    ] {
        config("llama", "rope_parameters", scaling, expected);
    }
    config(
        "qwen2",
        "rope_parameters",
        json!({ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64 }),
        "no such divisors of frequencies in this family",
    );
}

/// Of the two spellings the model takes `rope_scaling`, and an empty map says nothing.
#[test]
fn a_file_is_scaled_as_the_model_is() {
    for parameters in [json!({}), json!({ "rope_type": "default", "rope_theta": 10_000.0 })] {
        let dir = tempdir().unwrap();
        let folder = folder_of(&built("llama"), dir.path());
        change(&folder, "config.json", |config| {
            config["rope_parameters"] = parameters.clone();
            config["rope_scaling"] = json!({ "rope_type": "linear", "factor": 4.0 });
        });
        let out = dir.path().join("out.gguf");
        write(&folder, &out, GgmlType::F16).unwrap();
        let raw = Raw::read(&out);
        assert_eq!(raw.word("llama.rope.scaling.type"), "linear");
        assert_eq!(raw.number("llama.rope.scaling.factor"), 4.0);
    }
}

#[test]
fn tokenizers_that_cannot_be_expressed_are_named() {
    let tokenizer = |field: &str, value: Value, expected: &str| {
        refused("llama", "tokenizer.json", &|file| file[field] = value.clone(), expected);
    };
    tokenizer(
        "normalizer",
        json!({ "type": "Lowercase" }),
        "llama.cpp names no cut that is the same",
    );
    tokenizer(
        "pre_tokenizer",
        json!({ "type": "Whitespace" }),
        "llama.cpp names no cut that is the same",
    );
    tokenizer(
        "post_processor",
        json!({ "type": "TemplateProcessing", "single": [{ "SpecialToken": { "id": "<tool>", "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } }], "pair": [{ "Sequence": { "id": "A", "type_id": 0 } },
            { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<tool>": { "id": "<tool>", "ids": [9], "tokens": ["<tool>"] } } }),
        "the encoding of \"a\" is <tool> a",
    );
}

#[test]
fn a_window_shorter_than_the_context_is_refused() {
    let dir = tempdir().unwrap();
    let mut builder = built("llama");
    builder.set("llama.attention.sliding_window", Meta::U32(64));
    let folder = folder_of(&builder, dir.path());
    let out = dir.path().join("out.gguf");
    let said = write(&folder, &out, GgmlType::F16).unwrap_err().to_string();
    assert!(said.contains("sliding_window is 64"), "{said}");
    change(&folder, "config.json", |config| config["max_position_embeddings"] = json!(64));
    assert_eq!(write(&folder, &out, GgmlType::F16).unwrap().architecture, "llama");
}
