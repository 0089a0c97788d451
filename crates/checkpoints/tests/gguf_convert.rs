//! Tiny GGUF models of each family, converted and compared value by value.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::Path;

use bestof_checkpoints::gguf::{ConvertOptions, Converted, convert};
use bestof_checkpoints::{CheckpointError, ModelFolder, StoredType, Weights};
use serde_json::{Value, json};
use support::*;
use tempfile::{TempDir, tempdir};

fn convert_to(
    builder: &GgufBuilder,
    dir: &Path,
    options: ConvertOptions,
) -> Result<Converted, CheckpointError> {
    convert(&builder.write(dir), &dir.join("out"), &options, &mut |_| {})
}

/// The folder that holds `out`, the converted model.
fn converted(builder: &GgufBuilder) -> (TempDir, ModelFolder, Weights) {
    let dir = tempdir().unwrap();
    convert_to(builder, dir.path(), ConvertOptions::default()).unwrap();
    let folder = ModelFolder::open(&dir.path().join("out")).unwrap();
    let weights = folder.weights().unwrap();
    (dir, folder, weights)
}

fn check_config(folder: &ModelFolder, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&folder.config[field], value, "{field}");
    }
}

/// Row of the Hugging Face layout → row of the GGUF layout, for heads of dimension 8.
fn interleaved(row: usize) -> usize {
    let (head, inside) = (row / HEAD_DIM, row % HEAD_DIM);
    let (half, pair) = (inside / 4, inside % 4);
    head * HEAD_DIM + 2 * pair + half
}

#[test]
fn llama_rows_of_queries_and_keys_are_put_back_into_halves() {
    let builder = model("llama");
    let (_dir, _, weights) = converted(&builder);
    for (gguf, hf, rows) in
        [("attn_q", "q_proj", HEADS * HEAD_DIM), ("attn_k", "k_proj", KEY_VALUE_HEADS * HEAD_DIM)]
    {
        let old = values_of(&builder, &format!("blk.1.{gguf}.weight"));
        let new = weights
            .read_f32(&format!("model.layers.1.self_attn.{hf}.weight"), &[rows, HIDDEN])
            .unwrap();
        for row in 0..rows {
            let from = interleaved(row) * HIDDEN;
            assert_eq!(new[row * HIDDEN..][..HIDDEN], old[from..][..HIDDEN], "{hf} row {row}");
        }
    }
    let same = |gguf: &str, hf: &str, shape: &[usize]| {
        assert_eq!(weights.read_f32(hf, shape).unwrap(), values_of(&builder, gguf), "{hf}");
    };
    let keys = KEY_VALUE_HEADS * HEAD_DIM;
    same("token_embd.weight", "model.embed_tokens.weight", &[VOCABULARY, HIDDEN]);
    same("output_norm.weight", "model.norm.weight", &[HIDDEN]);
    same("blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight", &[HIDDEN]);
    same("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight", &[HIDDEN]);
    same("blk.0.attn_v.weight", "model.layers.0.self_attn.v_proj.weight", &[keys, HIDDEN]);
    same("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight", &[HIDDEN, HIDDEN]);
    same("blk.1.ffn_gate.weight", "model.layers.1.mlp.gate_proj.weight", &[FEED_FORWARD, HIDDEN]);
    same("blk.1.ffn_up.weight", "model.layers.1.mlp.up_proj.weight", &[FEED_FORWARD, HIDDEN]);
    same("blk.1.ffn_down.weight", "model.layers.1.mlp.down_proj.weight", &[HIDDEN, FEED_FORWARD]);
    assert_eq!(weights.infos().len(), builder.tensors.len());
}

#[test]
fn llama_configuration() {
    let (_dir, folder, _) = converted(&model("llama"));
    check_config(
        &folder,
        &json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": false,
            "mlp_bias": false, "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 64,
            "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2, "head_dim": 8,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "rope_scaling": null,
            "rope_parameters": { "rope_type": "default", "rope_theta": 500_000.0 }, "vocab_size": 12,
            "tie_word_embeddings": true, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": null,
            "dtype": "float32",
        }),
    );
}

#[test]
fn llama_with_biases_and_a_head_of_its_own() {
    let mut builder = model("llama");
    let mut random = Lcg(3);
    builder.tensor(
        "output.weight",
        &[VOCABULARY, HIDDEN],
        Stored::F32,
        &random.values(VOCABULARY * HIDDEN),
    );
    for layer in 0..LAYERS {
        for (name, size) in [
            ("attn_q", 32),
            ("attn_k", 16),
            ("attn_v", 16),
            ("attn_output", 32),
            ("ffn_gate", 64),
            ("ffn_up", 64),
            ("ffn_down", 32),
        ] {
            builder.tensor(
                &format!("blk.{layer}.{name}.bias"),
                &[size],
                Stored::F32,
                &random.values(size),
            );
        }
    }
    let (_dir, folder, weights) = converted(&builder);
    check_config(
        &folder,
        &json!({ "attention_bias": true, "mlp_bias": true, "tie_word_embeddings": false }),
    );
    let (old, new) = (
        values_of(&builder, "blk.1.attn_k.bias"),
        weights.read_f32("model.layers.1.self_attn.k_proj.bias", &[16]).unwrap(),
    );
    assert!((0..16).all(|row| new[row] == old[interleaved(row)]));
    assert_eq!(
        weights.read_f32("model.layers.0.self_attn.o_proj.bias", &[32]).unwrap(),
        values_of(&builder, "blk.0.attn_output.bias")
    );
    assert_eq!(
        weights.read_f32("lm_head.weight", &[VOCABULARY, HIDDEN]).unwrap(),
        values_of(&builder, "output.weight")
    );
}

#[test]
fn a_llama_with_a_window_is_a_mistral() {
    let mut builder = model("llama");
    builder.set("llama.attention.sliding_window", Meta::U32(64));
    let (_dir, folder, _) = converted(&builder);
    check_config(
        &folder,
        &json!({ "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 64 }),
    );
    assert!(folder.config.get("attention_bias").is_none());
}

#[test]
fn qwen2_keeps_its_rows_and_has_biases() {
    let builder = model("qwen2");
    let (_dir, folder, weights) = converted(&builder);
    check_config(
        &folder,
        &json!({ "model_type": "qwen2", "use_sliding_window": false, "layer_types": ["full_attention", "full_attention"] }),
    );
    for (gguf, hf, shape) in [
        ("attn_q.weight", "q_proj.weight", vec![32, 32]),
        ("attn_q.bias", "q_proj.bias", vec![32]),
        ("attn_k.bias", "k_proj.bias", vec![16]),
    ] {
        let new = weights.read_f32(&format!("model.layers.0.self_attn.{hf}"), &shape).unwrap();
        assert_eq!(new, values_of(&builder, &format!("blk.0.{gguf}")), "{hf}");
    }
}

#[test]
fn gemma_norms_lose_the_one_they_are_stored_with() {
    for (architecture, norms) in [
        ("gemma2", vec![]),
        (
            "gemma3",
            vec![
                ("attn_q_norm", "self_attn.q_norm", HEAD_DIM),
                ("attn_k_norm", "self_attn.k_norm", HEAD_DIM),
            ],
        ),
    ] {
        let mut builder = model(architecture);
        builder.set(&format!("{architecture}.attention.sliding_window"), Meta::U32(16));
        let (_dir, _, weights) = converted(&builder);
        for (gguf, hf, size) in norms.into_iter().chain([
            ("attn_norm", "input_layernorm", HIDDEN),
            ("post_attention_norm", "post_attention_layernorm", HIDDEN),
            ("ffn_norm", "pre_feedforward_layernorm", HIDDEN),
            ("post_ffw_norm", "post_feedforward_layernorm", HIDDEN),
        ]) {
            let new = weights.read_f32(&format!("model.layers.1.{hf}.weight"), &[size]).unwrap();
            let old = values_of(&builder, &format!("blk.1.{gguf}.weight"));
            assert_eq!(new, old.iter().map(|v| v - 1.0).collect::<Vec<_>>(), "{architecture} {hf}");
        }
        let norm = weights.read_f32("model.norm.weight", &[HIDDEN]).unwrap();
        assert_eq!(norm[0], values_of(&builder, "output_norm.weight")[0] - 1.0);
        let q = weights.read_f32("model.layers.0.self_attn.q_proj.weight", &[32, HIDDEN]).unwrap();
        assert_eq!(
            q,
            values_of(&builder, "blk.0.attn_q.weight"),
            "Gemma's rows lie in halves already"
        );
    }
}

#[test]
fn gemma2_configuration() {
    let mut builder = model("gemma2");
    builder.set("gemma2.attn_logit_softcapping", Meta::F32(20.0));
    let (_dir, folder, _) = converted(&builder);
    check_config(
        &folder,
        &json!({
            "model_type": "gemma2", "attn_logit_softcapping": 20.0, "final_logit_softcapping": 30.0,
            "sliding_window": 4096, "layer_types": ["sliding_attention", "full_attention"],
            "query_pre_attn_scalar": 8, "hidden_activation": "gelu_pytorch_tanh", "tie_word_embeddings": true,
        }),
    );
}

#[test]
fn gemma3_has_two_rotary_bases() {
    let mut builder = model("gemma3");
    builder.set("gemma3.attention.sliding_window", Meta::U32(512));
    builder.set("gemma3.rope.scaling.type", Meta::Text("linear".into()));
    builder.set("gemma3.rope.scaling.factor", Meta::F32(8.0));
    let (_dir, folder, _) = converted(&builder);
    check_config(
        &folder,
        &json!({
            "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "sliding_window": 512,
            "layer_types": ["sliding_attention", "sliding_attention"], "rope_theta": 500_000.0,
            "rope_local_base_freq": 10_000.0, "sliding_window_pattern": 6,
            "rope_scaling": { "rope_type": "linear", "factor": 8.0 },
            "rope_parameters": {
                "full_attention": { "rope_type": "linear", "factor": 8.0, "rope_theta": 500_000.0 },
                "sliding_attention": { "rope_type": "default", "rope_theta": 10_000.0 },
            },
            "attn_logit_softcapping": null, "final_logit_softcapping": null,
        }),
    );
}

#[test]
fn a_pattern_may_be_a_flag_for_each_layer() {
    let with = |windows: &[u8]| {
        let mut builder = model("gemma3");
        builder.set("gemma3.attention.sliding_window", Meta::U32(512));
        // An array (type 9) of flags (type 7).
        let count = (windows.len() as u64).to_le_bytes();
        let bytes = [&7_u32.to_le_bytes()[..], &count, windows].concat();
        builder.set("gemma3.attention.sliding_window_pattern", Meta::Raw(9, bytes));
        builder
    };
    for (windows, layer_types, period) in [
        (&[1, 0], ["sliding_attention", "full_attention"], json!(2)),
        (&[0, 1], ["full_attention", "sliding_attention"], Value::Null),
        (&[0, 0], ["full_attention", "full_attention"], json!(1)),
    ] {
        let (_dir, folder, _) = converted(&with(windows));
        let expected = json!({ "layer_types": layer_types, "sliding_window_pattern": period });
        check_config(&folder, &expected);
    }
    let dir = tempdir().unwrap();
    let error = convert_to(&with(&[1, 0, 1]), dir.path(), ConvertOptions::default());
    let said = error.unwrap_err().to_string();
    let expected = "gemma3.attention.sliding_window_pattern is a list of 3, expected a flag for each of 2 layers";
    assert!(said.ends_with(expected), "{said}");
}

#[test]
fn packed_tensors_become_what_the_formulas_say() {
    let mut builder = metadata("llama");
    add_tensors(&mut builder, "llama", &mut Lcg(7));
    let mut random = Lcg(11);
    let mut expected = Vec::new();
    for (gguf, hf, shape, stored) in [
        ("token_embd.weight", "model.embed_tokens.weight", [VOCABULARY, HIDDEN], Stored::Q8_0),
        (
            "blk.0.attn_v.weight",
            "model.layers.0.self_attn.v_proj.weight",
            [16, HIDDEN],
            Stored::Q4_0,
        ),
        (
            "blk.0.ffn_down.weight",
            "model.layers.0.mlp.down_proj.weight",
            [HIDDEN, FEED_FORWARD],
            Stored::F16,
        ),
        (
            "blk.1.ffn_up.weight",
            "model.layers.1.mlp.up_proj.weight",
            [FEED_FORWARD, HIDDEN],
            Stored::BF16,
        ),
    ] {
        builder.remove_tensor(gguf);
        let values = random.values(shape[0] * shape[1]);
        expected.push((hf, shape, builder.tensor(gguf, &shape, stored, &values)));
    }
    // Permuted and packed at once.
    builder.remove_tensor("blk.0.attn_q.weight");
    let q = builder.tensor(
        "blk.0.attn_q.weight",
        &[32, HIDDEN],
        Stored::Q4_0,
        &random.values(32 * HIDDEN),
    );
    let (_dir, _, weights) = converted(&builder);
    for (hf, shape, values) in expected {
        assert_eq!(weights.read_f32(hf, &shape).unwrap(), values, "{hf}");
    }
    let new = weights.read_f32("model.layers.0.self_attn.q_proj.weight", &[32, HIDDEN]).unwrap();
    assert!(
        (0..32)
            .all(|row| new[row * HIDDEN..][..HIDDEN] == q[interleaved(row) * HIDDEN..][..HIDDEN])
    );
}

#[test]
fn the_written_type_and_the_shards_are_chosen_by_the_caller() {
    let builder = model("llama");
    let dir = tempdir().unwrap();
    let options = ConvertOptions { dtype: StoredType::BF16, max_shard_bytes: Some(10_000) };
    let mut seen = Vec::new();
    let out = dir.path().join("out");
    let converted = convert(&builder.write(dir.path()), &out, &options, &mut |p| {
        seen.push((p.values_done, p.values_total));
    })
    .unwrap();
    let folder = ModelFolder::open(&out).unwrap();
    assert_eq!(folder.config["dtype"], "bfloat16");
    assert!(out.join("model.safetensors.index.json").exists());
    let weights = folder.weights().unwrap();
    assert!(weights.infos().iter().all(|info| info.dtype == StoredType::BF16));
    let total = weights.infos().iter().map(|info| info.len() as u64).sum::<u64>();
    assert_eq!(
        (converted.parameters, converted.tensors, converted.model_type.as_str()),
        (total, 20, "llama")
    );
    assert_eq!(converted.source_types, [("F32".to_owned(), 20)]);
    assert_eq!(seen.len(), 20);
    assert_eq!(*seen.last().unwrap(), (total, total));
    assert!(seen.is_sorted());

    let error = convert_to(&builder, dir.path(), ConvertOptions::default()).unwrap_err();
    assert!(matches!(error, CheckpointError::OutputExists { .. }), "{error}");
    let integers = ConvertOptions { dtype: StoredType::I64, ..options };
    assert!(matches!(
        convert_to(&builder, dir.path(), integers),
        Err(CheckpointError::UnwritableType { .. })
    ));
}

#[test]
fn the_same_file_gives_the_same_bytes() {
    let builder = model("llama");
    let (one, _, _) = converted(&builder);
    let (two, _, _) = converted(&builder);
    let mut compared = 0;
    for entry in fs::read_dir(one.path().join("out")).unwrap() {
        let name = entry.unwrap().file_name();
        let read = |dir: &TempDir| fs::read(dir.path().join("out").join(&name)).unwrap();
        assert_eq!(read(&one), read(&two), "{}", name.display());
        compared += 1;
    }
    assert_eq!(compared, 6);
}

#[test]
fn a_failed_conversion_leaves_nothing() {
    let mut builder = model("llama");
    builder.remove_tensor("blk.1.ffn_up.weight");
    let dir = tempdir().unwrap();
    convert_to(&builder, dir.path(), ConvertOptions::default()).unwrap_err();
    // The tokenizer is rebuilt after the output has been started.
    let mut builder = model("llama");
    builder.set("tokenizer.ggml.merges", texts(&["a q"]));
    convert_to(&builder, dir.path(), ConvertOptions::default()).unwrap_err();
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["model.gguf"]);
}

/// The divisors of Llama 3's rule.
fn llama3_factors(factor: f64, original: f64) -> Vec<f32> {
    (0..HEAD_DIM / 2)
        .map(|i| {
            let wavelength =
                2.0 * std::f64::consts::PI * 500_000_f64.powf(i as f64 / (HEAD_DIM / 2) as f64);
            let smooth = (original / wavelength - 1.0) / 3.0;
            if wavelength < original / 4.0 {
                1.0
            } else if wavelength > original {
                factor as f32
            } else {
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            }
        })
        .collect()
}

#[test]
fn stored_rotary_divisors_become_llama3_scaling_or_the_divisors_themselves() {
    let factors = llama3_factors(32.0, 8192.0);
    assert!(factors[0] == 1.0 && factors[3] == 32.0, "{factors:?}");
    let mut builder = model("llama");
    builder.tensor("rope_freqs.weight", &[HEAD_DIM / 2], Stored::F32, &factors);
    let (_dir, folder, weights) = converted(&builder);
    let scaling = json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    assert_eq!(folder.config["rope_scaling"], scaling);
    assert_eq!(folder.config["rope_parameters"]["rope_theta"], 500_000.0);
    assert_eq!(folder.config["rope_parameters"]["factor"], 32.0);
    assert!(!weights.infos().iter().any(|info| info.name.contains("rope")));

    let mut builder = model("llama");
    builder.tensor("rope_freqs.weight", &[HEAD_DIM / 2], Stored::F32, &[1.0, 1.5, 2.5, 3.0]);
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(
        folder.config["rope_scaling"],
        json!({
            "rope_type": "longrope", "factor": 1.0, "attention_factor": 1.0,
            "short_factor": [1.0, 1.5, 2.5, 3.0], "long_factor": [1.0, 1.5, 2.5, 3.0],
            "original_max_position_embeddings": 256,
        })
    );
}

#[test]
fn divisors_for_short_and_long_texts_are_longrope() {
    let mut builder = model("llama");
    builder.set("llama.rope.scaling.original_context_length", Meta::U32(64));
    builder.set("llama.rope.scaling.attn_factor", Meta::F32(1.19));
    builder.tensor("rope_factors_short.weight", &[4], Stored::F32, &[1.0, 1.0, 1.1, 1.2]);
    let short_only = builder.clone();
    builder.tensor("rope_factors_long.weight", &[4], Stored::F32, &[1.0, 2.0, 3.0, 4.0]);
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(
        folder.config["rope_scaling"],
        json!({
            "rope_type": "longrope", "factor": 4.0, "attention_factor": 1.19,
            "short_factor": [1.0, 1.0, 1.1, 1.2], "long_factor": [1.0, 2.0, 3.0, 4.0],
            "original_max_position_embeddings": 64,
        })
    );
    let dir = tempdir().unwrap();
    let error = convert_to(&short_only, dir.path(), ConvertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("rope_factors_long.weight is missing"), "{error}");
    let mut builder = model("llama");
    builder.tensor("rope_freqs.weight", &[4], Stored::F32, &[1.0; 4]);
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(folder.config["rope_scaling"], Value::Null);
}

#[test]
fn named_rotary_scaling() {
    let mut builder = model("llama");
    builder.set("llama.rope.scaling.type", Meta::Text("yarn".into()));
    builder.set("llama.rope.scaling.factor", Meta::F32(4.0));
    builder.set("llama.rope.scaling.original_context_length", Meta::U32(64));
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(
        folder.config["rope_scaling"],
        json!({ "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64 })
    );
    let mut builder = model("llama");
    builder.set("llama.rope.scale_linear", Meta::F32(2.0));
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(folder.config["rope_scaling"], json!({ "rope_type": "linear", "factor": 2.0 }));
    let mut builder = model("llama");
    builder.set("llama.rope.scaling.type", Meta::Text("none".into()));
    let (_dir, folder, _) = converted(&builder);
    assert_eq!(folder.config["rope_scaling"], Value::Null);
}
